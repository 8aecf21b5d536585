-- The host's own tables. The tables of the tokens are keyfob's.
CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    suspended INTEGER NOT NULL DEFAULT 0
) STRICT;

-- AUTOINCREMENT, because a project's id is part of its tokens and must never be used again.
CREATE TABLE IF NOT EXISTS projects (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('personal', 'shared', 'public')),
    -- Set for a personal project only. A person has at most one.
    owner_id INTEGER UNIQUE REFERENCES users (id),
    CHECK ((kind = 'personal') = (owner_id IS NOT NULL))
) STRICT;

CREATE TABLE IF NOT EXISTS memberships (
    project_id INTEGER NOT NULL REFERENCES projects (id),
    user_id INTEGER NOT NULL REFERENCES users (id),
    PRIMARY KEY (project_id, user_id)
) STRICT, WITHOUT ROWID;

-- The id is stored as its SHA-256, so that a reader of the database cannot take over a session.
CREATE TABLE IF NOT EXISTS sessions (
    id_hash BLOB PRIMARY KEY,
    data TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Forms that have issued or rotated a token, by the random id that the page gave each. A form that
-- is sent again does nothing. Of each person the latest 128 are kept.
CREATE TABLE IF NOT EXISTS spent_forms (
    id INTEGER PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users (id),
    form TEXT NOT NULL,
    UNIQUE (user_id, form)
) STRICT;

-- The names of tokens in the JSON API. A row is created when a token is first seen, so a row may be
-- missing but is never wrong.
CREATE TABLE IF NOT EXISTS token_names (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,
    user_id INTEGER NOT NULL REFERENCES users (id),
    project TEXT NOT NULL,
    token_id TEXT NOT NULL,
    UNIQUE (project, token_id)
) STRICT;
CREATE INDEX IF NOT EXISTS token_names_of_user ON token_names (user_id, project);

-- The administrators, who may see and revoke the tokens of others, and suspend people.
CREATE TABLE IF NOT EXISTS admins (
    user_id INTEGER PRIMARY KEY REFERENCES users (id)
) STRICT;

-- The audit trail of each token: who did what to it.
CREATE TABLE IF NOT EXISTS token_events (
    id INTEGER PRIMARY KEY,
    -- Milliseconds since 1970.
    at INTEGER NOT NULL,
    project TEXT NOT NULL,
    token_id TEXT NOT NULL,
    event TEXT NOT NULL,
    actor TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS token_events_of_token ON token_events (project, token_id, id);

-- Refused requests with each token, and repeated reports of a leaked token: a row for each kind and
-- day. Of each token the latest 100 rows are kept.
CREATE TABLE IF NOT EXISTS token_refusals (
    project TEXT NOT NULL,
    token_id TEXT NOT NULL,
    event TEXT NOT NULL,
    -- The reason, if the event does not imply it.
    reason TEXT NOT NULL,
    -- The reporter of a leak. Empty for requests with the token.
    actor TEXT NOT NULL,
    -- Days in UTC since 1 January 1970.
    day INTEGER NOT NULL,
    -- The time of the last one, in milliseconds since 1970.
    at INTEGER NOT NULL,
    times INTEGER NOT NULL,
    PRIMARY KEY (project, token_id, event, reason, actor, day)
) STRICT, WITHOUT ROWID;

-- Revoked groups of tokens. The trail of each token of a group names the group.
CREATE TABLE IF NOT EXISTS group_revocations (
    id INTEGER PRIMARY KEY,
    -- Milliseconds since 1970, after the whole group was revoked.
    at INTEGER NOT NULL,
    project TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('owner', 'family', 'created_before', 'key')),
    value TEXT NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS group_revocations_of_project ON group_revocations (project, at);

-- Tokens that end within a day, for the notice to their owner. A row is deleted when it is no
-- longer true.
CREATE TABLE IF NOT EXISTS token_notices (
    project TEXT NOT NULL,
    token_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    PRIMARY KEY (project, token_id)
) STRICT;
CREATE INDEX IF NOT EXISTS token_notices_of_owner ON token_notices (owner);

-- Leaked tokens, as the first report describes them. Their owner sees an alarm until `seen` is 1.
CREATE TABLE IF NOT EXISTS token_leaks (
    project TEXT NOT NULL,
    token_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    -- Milliseconds since 1970.
    at INTEGER NOT NULL,
    reporter TEXT NOT NULL,
    -- A reporter wrote it, so it is shown as text.
    url TEXT NOT NULL,
    seen INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (project, token_id)
) STRICT;
CREATE INDEX IF NOT EXISTS token_leaks_of_owner ON token_leaks (owner, at) WHERE seen = 0;

-- How many tokens that were bound to a leaked one ended with it.
CREATE TABLE IF NOT EXISTS leaked_issuers (
    project TEXT NOT NULL,
    token_id TEXT NOT NULL,
    bound_ended INTEGER NOT NULL,
    PRIMARY KEY (project, token_id)
) STRICT, WITHOUT ROWID;

-- The bound tokens among those that the page names. The page names them last, because their issuer
-- can issue any number of them.
CREATE TABLE IF NOT EXISTS bound_tokens (
    project TEXT NOT NULL,
    token_id TEXT NOT NULL,
    PRIMARY KEY (project, token_id)
) STRICT, WITHOUT ROWID;

-- Reports of GitHub that were answered, by the SHA-256 of their bodies. A row is deleted when
-- GitHub no longer uses its key.
CREATE TABLE IF NOT EXISTS github_deliveries (
    digest BLOB PRIMARY KEY,
    key_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The models that administrators added on the page.
CREATE TABLE IF NOT EXISTS models (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id INTEGER NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    -- The upstream's name in the configuration file, which holds the credential.
    upstream TEXT NOT NULL,
    upstream_model TEXT,
    is_default INTEGER NOT NULL,
    UNIQUE (project_id, name)
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS models_default ON models (project_id) WHERE is_default;

-- The check value of each key of the pepper. A start with another pepper is refused. A row is never
-- overwritten.
CREATE TABLE IF NOT EXISTS key_checks (
    number INTEGER PRIMARY KEY,
    value BLOB NOT NULL CHECK (length(value) = 16)
) STRICT;
