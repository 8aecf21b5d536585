
CREATE TABLE IF NOT EXISTS keyfob_tokens (
    prefix TEXT COLLATE "C" NOT NULL,
    project TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL CHECK (length(id) = 16),
    digest BYTEA NOT NULL CHECK (length(digest) = 32),
    name TEXT COLLATE "C" NOT NULL,
    name_folded TEXT COLLATE "C" NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    scopes TEXT COLLATE "C" NOT NULL,
    metadata TEXT COLLATE "C" NOT NULL,
    addresses TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    confirm_by BIGINT,
    not_before BIGINT,
    expires_at BIGINT,
    last_used_at BIGINT,
    disabled_at BIGINT,
    disabled_by TEXT COLLATE "C",
    revoked_at BIGINT,
    revoked_by TEXT COLLATE "C",
    revoked_reason TEXT COLLATE "C",
    family TEXT COLLATE "C" NOT NULL,
    rotated_from TEXT COLLATE "C",
    rotated_to TEXT COLLATE "C",
    grace_until BIGINT,
    request_id TEXT COLLATE "C",
    notice_stage TEXT COLLATE "C" NOT NULL,
    notice_lease_until BIGINT,
    version BIGINT NOT NULL CHECK (version >= 1),

    PRIMARY KEY (project, id),
    CHECK ((disabled_at IS NULL) = (disabled_by IS NULL)),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL) AND (revoked_at IS NULL) = (revoked_reason IS NULL))
)
-- PARTITION BY HASH (project)
;

CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_created ON keyfob_tokens (owner, project, created_at, id);
CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_name ON keyfob_tokens (owner, project, name_folded, id);
CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_expires
    ON keyfob_tokens (owner, project, (coalesce(expires_at, 253402300800000)), id);

CREATE INDEX IF NOT EXISTS keyfob_tokens_created ON keyfob_tokens (project, created_at, id);

CREATE INDEX IF NOT EXISTS keyfob_tokens_name ON keyfob_tokens (project, name_folded, id);

CREATE INDEX IF NOT EXISTS keyfob_tokens_expires
    ON keyfob_tokens (project, (coalesce(expires_at, 253402300800000)), id);

CREATE INDEX IF NOT EXISTS keyfob_tokens_family ON keyfob_tokens (project, family);

CREATE TABLE IF NOT EXISTS keyfob_turns (
    project TEXT COLLATE "C" NOT NULL PRIMARY KEY
);

CREATE TABLE IF NOT EXISTS keyfob_imports (
    import_key BYTEA NOT NULL PRIMARY KEY CHECK (length(import_key) = 32),
    project TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL
);

CREATE TABLE IF NOT EXISTS keyfob_beats (
    store BIGINT NOT NULL PRIMARY KEY,
    beat BIGINT NOT NULL,
    written_at BIGINT NOT NULL
);

CREATE INDEX IF NOT EXISTS keyfob_imports_token ON keyfob_imports (project, id);
