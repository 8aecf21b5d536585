-- The host's own tables. Those of the tokens are keyfob's.
CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    suspended INTEGER NOT NULL DEFAULT 0
) STRICT;

-- AUTOINCREMENT: a project's id stands in its tokens, so it must never be used again.
CREATE TABLE IF NOT EXISTS projects (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('personal', 'shared', 'public')),
    -- Of a personal project only; nobody has two.
    owner_id INTEGER UNIQUE REFERENCES users (id),
    CHECK ((kind = 'personal') = (owner_id IS NOT NULL))
) STRICT;

CREATE TABLE IF NOT EXISTS memberships (
    project_id INTEGER NOT NULL REFERENCES projects (id),
    user_id INTEGER NOT NULL REFERENCES users (id),
    PRIMARY KEY (project_id, user_id)
) STRICT, WITHOUT ROWID;

-- The id is kept as its SHA-256, so that who reads the database cannot take a session over.
CREATE TABLE IF NOT EXISTS sessions (
    id_hash BLOB PRIMARY KEY,
    data TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Forms that made or rotated a token, by the random id that the page gave each. Sent again, they do it no second time. Of each
-- person the latest 128 are kept.
CREATE TABLE IF NOT EXISTS spent_forms (
    id INTEGER PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users (id),
    form TEXT NOT NULL,
    UNIQUE (user_id, form)
) STRICT;

-- The names by which the JSON API knows a token. They are made on first sight of a token, so a row may be missing
-- but is never wrong.
CREATE TABLE IF NOT EXISTS token_names (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,
    user_id INTEGER NOT NULL REFERENCES users (id),
    project TEXT NOT NULL,
    token_id TEXT NOT NULL,
    UNIQUE (project, token_id)
) STRICT;
CREATE INDEX IF NOT EXISTS token_names_of_user ON token_names (user_id, project);

-- Who may see and end everybody's tokens, and suspend people.
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

-- What was refused of each token, and how often it was reported again after it had leaked: a row for each kind and day. Of
-- each token the latest 100 are kept.
CREATE TABLE IF NOT EXISTS token_refusals (
    project TEXT NOT NULL,
    token_id TEXT NOT NULL,
    event TEXT NOT NULL,
    -- Why, if the event does not say it.
    reason TEXT NOT NULL,
    -- Of a report; empty for requests with the token.
    actor TEXT NOT NULL,
    -- In UTC, counted from 1 January 1970.
    day INTEGER NOT NULL,
    -- The last of them, in milliseconds since 1970.
    at INTEGER NOT NULL,
    times INTEGER NOT NULL,
    PRIMARY KEY (project, token_id, event, reason, actor, day)
) STRICT, WITHOUT ROWID;

-- Groups of tokens that were revoked. The trail of each token of a group tells that it ended with the others.
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

-- Tokens whose owner is to be told that they end within a day. A row goes once it is true no more.
CREATE TABLE IF NOT EXISTS token_notices (
    project TEXT NOT NULL,
    token_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    PRIMARY KEY (project, token_id)
) STRICT;
CREATE INDEX IF NOT EXISTS token_notices_of_owner ON token_notices (owner);

-- Tokens that were found where they should not be, as the first report has it: their owners are told until they say that they know.
CREATE TABLE IF NOT EXISTS token_leaks (
    project TEXT NOT NULL,
    token_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    -- Milliseconds since 1970.
    at INTEGER NOT NULL,
    reporter TEXT NOT NULL,
    -- Written by strangers.
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

-- Tokens that are bound to another, of those that the page tells of. It names them last: their
-- issuer can make any number of them.
CREATE TABLE IF NOT EXISTS bound_tokens (
    project TEXT NOT NULL,
    token_id TEXT NOT NULL,
    PRIMARY KEY (project, token_id)
) STRICT, WITHOUT ROWID;

-- Reports of GitHub's that were answered, by the SHA-256 of their bodies. A row is deleted when GitHub no longer uses its key.
CREATE TABLE IF NOT EXISTS github_deliveries (
    digest BLOB PRIMARY KEY,
    key_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The models that administrators added by the form.
CREATE TABLE IF NOT EXISTS models (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id INTEGER NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    -- A name of the configuration file's, where the credential stands.
    upstream TEXT NOT NULL,
    upstream_model TEXT,
    is_default INTEGER NOT NULL,
    UNIQUE (project_id, name)
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS models_default ON models (project_id) WHERE is_default;

-- The check value of each key of the pepper. A start with another pepper is refused; a row is never overwritten.
CREATE TABLE IF NOT EXISTS key_checks (
    number INTEGER PRIMARY KEY,
    value BLOB NOT NULL CHECK (length(value) = 16)
) STRICT;
