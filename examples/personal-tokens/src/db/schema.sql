-- The host's own tables, for SQLite, PostgreSQL and MariaDB. keyfob creates the tables of the tokens.
-- The words in braces are types for which the engines have different names: `schema.rs` has them.

-- Each transaction locks this row, so that the transactions of all processes take turns.
CREATE TABLE IF NOT EXISTS turns (
    id {int} PRIMARY KEY
){table};
INSERT INTO turns (id) VALUES (1) ON CONFLICT DO NOTHING;

-- The periodic work that one process does for all. Its times are by the clock of the database, in
-- milliseconds since 1970, so that the clocks of the processes need not agree.
CREATE TABLE IF NOT EXISTS jobs (
    name {word} PRIMARY KEY,
    -- The time from which the work is due. It moves to the next period when the work has been done.
    due {int} NOT NULL DEFAULT 0,
    -- The process that does the work, by a random text, and the time until which no other may begin.
    holder {word} NOT NULL DEFAULT '',
    held_until {int} NOT NULL DEFAULT 0,
    -- How often the work has been done.
    runs {int} NOT NULL DEFAULT 0,
    -- The end of the last run and of the last successful run, by the clock of the process. The error
    -- of the last run is empty if it succeeded.
    ended_at {int},
    succeeded_at {int},
    error {text} NOT NULL DEFAULT ''
){table};
INSERT INTO jobs (name) VALUES ('notices') ON CONFLICT DO NOTHING;
INSERT INTO jobs (name) VALUES ('orphans') ON CONFLICT DO NOTHING;
INSERT INTO jobs (name) VALUES ('purge') ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS users (
    id {id},
    name {name} NOT NULL UNIQUE,
    password_hash {text} NOT NULL,
    -- How often the sessions of the person were ended, by a suspension for example. A session works
    -- only while this number and the password are the same as when it began.
    sessions_ended {int} NOT NULL DEFAULT 0,
    suspended {int} NOT NULL DEFAULT 0
){table};

-- AUTOINCREMENT, because a project's id is part of its tokens and must never be reused.
CREATE TABLE IF NOT EXISTS projects (
    id {id},
    name {name} NOT NULL,
    kind {word} NOT NULL CHECK (kind IN ('personal', 'shared', 'public')),
    -- Set for a personal project only. A person has at most one.
    owner_id {int} UNIQUE REFERENCES users (id),
    CHECK ((kind = 'personal') = (owner_id IS NOT NULL))
){table};
-- Each person has a personal project, so a search for the public ones must not read all projects.
CREATE INDEX IF NOT EXISTS projects_public ON projects (name, id) WHERE kind = 'public';

CREATE TABLE IF NOT EXISTS memberships (
    project_id {int} NOT NULL REFERENCES projects (id),
    user_id {int} NOT NULL REFERENCES users (id),
    PRIMARY KEY (project_id, user_id)
){keyed};
CREATE INDEX IF NOT EXISTS memberships_of_user ON memberships (user_id);
-- The administrator's list of projects does not read the personal projects.
CREATE INDEX IF NOT EXISTS projects_by_name ON projects (name, id) WHERE kind <> 'personal';

-- People whom an administrator removed. Their row in `users` stays, because tokens and the audit
-- trail name its id. In that row, a text that nobody can type replaces the name, so that a new
-- person may have the name.
CREATE TABLE IF NOT EXISTS removed_people (
    user_id {int} PRIMARY KEY REFERENCES users (id),
    name {name} NOT NULL,
    -- Milliseconds since 1970.
    at {int} NOT NULL
){table};

-- Projects that an administrator removed, and the personal projects of removed people. Their row in
-- `projects` stays, because tokens and the audit trail name its id.
CREATE TABLE IF NOT EXISTS removed_projects (
    project_id {int} PRIMARY KEY REFERENCES projects (id),
    -- Milliseconds since 1970.
    at {int} NOT NULL
){table};

-- The one-time links of people who have not chosen a password yet. Only the SHA-256 of the code in
-- the link is stored. A row is deleted when the person chooses a password.
CREATE TABLE IF NOT EXISTS invitations (
    user_id {int} PRIMARY KEY REFERENCES users (id),
    code_hash {hash} NOT NULL UNIQUE CHECK (length(code_hash) = 32),
    -- Milliseconds since 1970.
    expires_at {int} NOT NULL
){table};

-- Only the SHA-256 of the session id is stored, so that a reader of the database cannot take over a
-- session.
CREATE TABLE IF NOT EXISTS sessions (
    id_hash {hash} PRIMARY KEY,
    data {text} NOT NULL,
    expires_at {int} NOT NULL
){keyed};

-- Forms that have created a token, a person or a project. The page gives each form a random id.
-- Sending a form again does nothing. The latest 128 forms of each person are kept, for a day.
CREATE TABLE IF NOT EXISTS spent_forms (
    id {id},
    user_id {int} NOT NULL REFERENCES users (id),
    -- Milliseconds since 1970.
    at {int} NOT NULL DEFAULT 0,
    form {word} NOT NULL,
    UNIQUE (user_id, form)
){table};

-- The names of tokens in the JSON API. A row is created when the service first reads the name of a
-- token, so a token may not have a row yet.
CREATE TABLE IF NOT EXISTS token_names (
    id {id},
    uuid {word} NOT NULL UNIQUE,
    user_id {int} NOT NULL REFERENCES users (id),
    project {word} NOT NULL,
    token_id {word} NOT NULL,
    UNIQUE (project, token_id)
){table};
CREATE INDEX IF NOT EXISTS token_names_of_user ON token_names (user_id, project);

-- The administrators, who may see and revoke the tokens of others, and suspend people.
CREATE TABLE IF NOT EXISTS admins (
    user_id {int} PRIMARY KEY REFERENCES users (id)
){table};

-- The audit trail of each token: the operations on it and their actors.
CREATE TABLE IF NOT EXISTS token_events (
    id {id},
    -- Milliseconds since 1970.
    at {int} NOT NULL,
    project {word} NOT NULL,
    token_id {word} NOT NULL,
    event {word} NOT NULL,
    actor {name} NOT NULL,
    detail {text} NOT NULL
){table};
CREATE INDEX IF NOT EXISTS token_events_of_token ON token_events (project, token_id, id);

-- Refused requests with a token, and repeated reports of a leaked token: one row for each token,
-- kind of event and day. The latest 100 rows of each token are kept.
CREATE TABLE IF NOT EXISTS token_refusals (
    project {word} NOT NULL,
    token_id {word} NOT NULL,
    event {word} NOT NULL,
    -- The reason for the refusal. Empty if the event implies the reason.
    reason {word} NOT NULL,
    -- The reporter of a leak. Empty if a request with the token caused the event.
    actor {name} NOT NULL,
    -- Days in UTC since 1 January 1970.
    day {int} NOT NULL,
    -- The time of the latest event in this row, in milliseconds since 1970.
    at {int} NOT NULL,
    times {int} NOT NULL,
    PRIMARY KEY (project, token_id, event, reason, actor, day)
){keyed};
CREATE INDEX IF NOT EXISTS token_refusals_by_time ON token_refusals (at);

-- Accepted requests with a token: one row for each token and day. Rows are deleted after 31 days.
CREATE TABLE IF NOT EXISTS token_uses (
    project {word} NOT NULL,
    token_id {word} NOT NULL,
    -- Days in UTC since 1 January 1970.
    day {int} NOT NULL,
    times {int} NOT NULL,
    PRIMARY KEY (project, token_id, day)
){keyed};

-- Accepted requests that were not counted for their tokens, because there were too many at a time:
-- one row for each day.
CREATE TABLE IF NOT EXISTS uses_not_counted (
    day {int} PRIMARY KEY,
    times {int} NOT NULL
){table};

-- Groups of tokens that were revoked. From these rows, the audit trail of a token names the group
-- with which the token was revoked.
CREATE TABLE IF NOT EXISTS group_revocations (
    id {id},
    -- The time when the whole group had been revoked, in milliseconds since 1970.
    at {int} NOT NULL,
    project {word} NOT NULL,
    kind {word} NOT NULL CHECK (kind IN ('owner', 'family', 'created_before', 'key')),
    value {name} NOT NULL,
    actor {name} NOT NULL,
    reason {word} NOT NULL
){table};
CREATE INDEX IF NOT EXISTS group_revocations_of_project ON group_revocations (project, at);
CREATE INDEX IF NOT EXISTS group_revocations_by_time ON group_revocations (at);

-- Tokens that end within a day, for the notice to their owner. A row is deleted when the token has
-- been rotated or has ended.
CREATE TABLE IF NOT EXISTS token_notices (
    -- The order in which the notices were stored. A file of an earlier version has only SQLite's rowid.
    id {id},
    project {word} NOT NULL,
    token_id {word} NOT NULL,
    owner {name} NOT NULL,
    UNIQUE (project, token_id)
){table};
CREATE INDEX IF NOT EXISTS token_notices_of_owner ON token_notices (owner);

-- Leaked tokens, as the first report describes them. Their owner sees an alarm until `seen` is 1.
CREATE TABLE IF NOT EXISTS token_leaks (
    project {word} NOT NULL,
    token_id {word} NOT NULL,
    owner {name} NOT NULL,
    name {name} NOT NULL,
    -- Milliseconds since 1970.
    at {int} NOT NULL,
    reporter {name} NOT NULL,
    -- The address of the leak. A reporter wrote it, so the page shows it as text and not as a link.
    url {text} NOT NULL,
    seen {int} NOT NULL DEFAULT 0,
    PRIMARY KEY (project, token_id)
){table};
CREATE INDEX IF NOT EXISTS token_leaks_of_owner ON token_leaks (owner, at) WHERE seen = 0;

-- The number of tokens that ended together with a leaked token because they were bound to it.
CREATE TABLE IF NOT EXISTS leaked_issuers (
    project {word} NOT NULL,
    token_id {word} NOT NULL,
    bound_ended {int} NOT NULL,
    PRIMARY KEY (project, token_id)
){keyed};

-- Those tokens in `token_notices` and `token_leaks` that are bound to another token. The page names
-- them last, because their issuer can issue any number of them.
CREATE TABLE IF NOT EXISTS bound_tokens (
    project {word} NOT NULL,
    token_id {word} NOT NULL,
    PRIMARY KEY (project, token_id)
){keyed};

-- The keys of GitHub's secret scanning, which one process fetches for all. There is one row.
CREATE TABLE IF NOT EXISTS github_keys (
    id {int} PRIMARY KEY,
    -- When a process last began to fetch the keys, and when the fetch began that brought this
    -- document. They differ while a fetch is in progress, and after a fetch that failed. Milliseconds
    -- since 1970, by the clock of the process.
    asked_at {int} NOT NULL DEFAULT 0,
    came_at {int} NOT NULL DEFAULT 0,
    -- The keys as GitHub publishes them, in JSON. Empty before the first fetch.
    document {text} NOT NULL DEFAULT ''
){table};
INSERT INTO github_keys (id) VALUES (1) ON CONFLICT DO NOTHING;

-- Reports of GitHub that the service has processed, by the SHA-256 of their bodies. A row is
-- deleted when GitHub no longer uses the key that signed the report, or with the ended tokens that
-- are as old.
CREATE TABLE IF NOT EXISTS github_deliveries (
    digest {hash} PRIMARY KEY,
    -- Milliseconds since 1970.
    at {int} NOT NULL DEFAULT 0,
    key_id {word} NOT NULL
){keyed};

-- Tokens that the purge is about to delete, or that were not found. If a token does not exist when
-- its mark is old enough, the rows about it are deleted.
CREATE TABLE IF NOT EXISTS gone_tokens (
    project {word} NOT NULL,
    token_id {word} NOT NULL,
    -- The time at which the token was first not found, in milliseconds since 1970. 0 for a token that
    -- the purge is about to delete.
    since {int} NOT NULL,
    PRIMARY KEY (project, token_id)
){keyed};

-- The token at which the next search for tokens that do not exist begins.
CREATE TABLE IF NOT EXISTS gone_search (
    id {int} PRIMARY KEY CHECK (id = 1),
    project {word} NOT NULL,
    token_id {word} NOT NULL
){table};

-- The models that administrators added on the page.
CREATE TABLE IF NOT EXISTS models (
    id {id},
    project_id {int} NOT NULL REFERENCES projects (id),
    name {name} NOT NULL,
    -- The upstream's name in the configuration file, which holds the credential.
    upstream {name} NOT NULL,
    upstream_model {name},
    is_default {int} NOT NULL,
    UNIQUE (project_id, name)
){table};
CREATE UNIQUE INDEX IF NOT EXISTS models_default ON models (project_id) WHERE is_default = 1;

-- The check value of each key of the pepper. A start with another pepper is refused. A row is never
-- overwritten.
CREATE TABLE IF NOT EXISTS key_checks (
    number {int} PRIMARY KEY,
    value {hash} NOT NULL CHECK (length(value) = 16)
){table};
