
CREATE TABLE IF NOT EXISTS keyfob_tokens (
    prefix TEXT NOT NULL,
    project TEXT NOT NULL,
    id TEXT NOT NULL CHECK (length(id) = 16),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    name TEXT NOT NULL,
    name_folded TEXT NOT NULL,
    owner TEXT NOT NULL,
    kind TEXT NOT NULL,
    scopes TEXT NOT NULL,
    metadata TEXT NOT NULL,
    addresses TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    confirm_by INTEGER,
    not_before INTEGER,
    expires_at INTEGER,
    expires_order INTEGER NOT NULL GENERATED ALWAYS AS (coalesce(expires_at, 253402300800000)) VIRTUAL,
    last_used_at INTEGER,
    disabled_at INTEGER,
    disabled_by TEXT,
    revoked_at INTEGER,
    revoked_by TEXT,
    revoked_reason TEXT,
    family TEXT NOT NULL,
    rotated_from TEXT,
    rotated_to TEXT,
    grace_until INTEGER,
    request_id TEXT,
    notice_stage TEXT NOT NULL,
    notice_lease_until INTEGER,
    version INTEGER NOT NULL CHECK (version >= 1),
    import_key BLOB CHECK (length(import_key) = 32),

    PRIMARY KEY (project, id),
    CHECK ((disabled_at IS NULL) = (disabled_by IS NULL)),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL) AND (revoked_at IS NULL) = (revoked_reason IS NULL))
) STRICT;

CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_created
    ON keyfob_tokens (owner, project, created_at, id, revoked_at, name_folded);
CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_name
    ON keyfob_tokens (owner, project, name_folded, id, revoked_at);
CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_expires
    ON keyfob_tokens (owner, project, expires_order, id, revoked_at, name_folded);
DROP INDEX IF EXISTS keyfob_tokens_owner;

CREATE INDEX IF NOT EXISTS keyfob_tokens_created ON keyfob_tokens (project, created_at, id);

CREATE INDEX IF NOT EXISTS keyfob_tokens_name ON keyfob_tokens (project, name_folded, id);

CREATE INDEX IF NOT EXISTS keyfob_tokens_expires ON keyfob_tokens (project, expires_order, id);

CREATE INDEX IF NOT EXISTS keyfob_tokens_family ON keyfob_tokens (project, family);

CREATE UNIQUE INDEX IF NOT EXISTS keyfob_tokens_import ON keyfob_tokens (import_key) WHERE import_key IS NOT NULL;
