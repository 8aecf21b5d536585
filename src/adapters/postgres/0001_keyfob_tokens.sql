-- keyfob: personal access tokens.
--
-- A row for each token, dead ones too until they are purged. It may be run again and again, by PostgresStore::migrate or by
-- the host's own migration tool; it holds no transaction of its own, so a tool may wrap it.
--
-- Every time is in milliseconds since 1970-01-01T00:00:00Z, given by the service, never by the database.
-- No column holds a secret: `digest` is a MAC that no token can be made from.
-- Text sorts by code point (COLLATE "C"), whatever the database's own collation is.
-- What the bounds of a text are is checked by the crate's types, on the way in and on the way out; a CHECK stands here only
-- for what would be costly to miss. Words (kind, reason) have none: a new word must not need a new table.

CREATE TABLE IF NOT EXISTS keyfob_tokens (
    -- The leading marker of the token's text: acme_pat.
    prefix TEXT COLLATE "C" NOT NULL,
    -- The project it is for; the shard key, first in the primary key.
    project TEXT COLLATE "C" NOT NULL,
    -- The public look-up id, 16 characters; the first is the number of the key that made the digest.
    id TEXT COLLATE "C" NOT NULL CHECK (length(id) = 16),
    -- HMAC-SHA-256 of the whole token.
    digest BYTEA NOT NULL CHECK (length(digest) = 32),
    -- What it is for, in its owner's words.
    name TEXT COLLATE "C" NOT NULL,
    -- The name in Unicode lower case, as lists search and sort it: made by the crate, for engines fold differently.
    name_folded TEXT COLLATE "C" NOT NULL,
    -- The host's id of the user it acts for.
    owner TEXT COLLATE "C" NOT NULL,
    -- human, service or agent.
    kind TEXT COLLATE "C" NOT NULL,
    -- What it may do: scopes, sorted, separated by single spaces; empty grants none.
    scopes TEXT COLLATE "C" NOT NULL,
    -- Text of the host's own, often JSON; empty where there is none.
    metadata TEXT COLLATE "C" NOT NULL,
    -- Where it may be used from: CIDR blocks, separated by single spaces; empty allows any address.
    addresses TEXT COLLATE "C" NOT NULL,
    -- When it was made.
    created_at BIGINT NOT NULL,
    -- Who made it.
    created_by TEXT COLLATE "C" NOT NULL,
    -- The id of the token that issued it, in the same project.
    issuer TEXT COLLATE "C",
    -- Of a token that another issued: 1 if it works only while that does, else 0.
    bound BIGINT CHECK (bound IN (0, 1)),
    -- Set while it waits to be confirmed; it ends at this time if nobody does.
    confirm_by BIGINT,
    -- It does not work before this time.
    not_before BIGINT,
    -- It does not work from this time on; NULL is never.
    expires_at BIGINT,
    -- The last use that was written, coarser than each use. In no index, so that writing it moves no index entry.
    last_used_at BIGINT,
    -- The client's address at that use, if it is recorded.
    last_used_address TEXT COLLATE "C",
    -- What the client said it was at that use, if it is recorded: anybody can write anything there.
    last_used_client TEXT COLLATE "C",
    -- Set while it is disabled: since when.
    disabled_at BIGINT,
    -- Set while it is disabled: by whom.
    disabled_by TEXT COLLATE "C",
    -- Set for ever once it is revoked: since when.
    revoked_at BIGINT,
    -- Set for ever once it is revoked: by whom.
    revoked_by TEXT COLLATE "C",
    -- Set for ever once it is revoked: why, in a word of RFC 5280 section 5.3.1.
    revoked_reason TEXT COLLATE "C",
    -- The id of the first token of its chain of rotations: its own where it is that.
    family TEXT COLLATE "C" NOT NULL,
    -- The id of the token it took over from.
    rotated_from TEXT COLLATE "C",
    -- The id of the token that took over from it.
    rotated_to TEXT COLLATE "C",
    -- Once it is rotated: the time at which it stops working.
    grace_until BIGINT,
    -- The caller's id of the request that made it, so that a repeat is known as one.
    request_id TEXT COLLATE "C",
    -- The last notice of its end that was sent: how many milliseconds before its expiry.
    notice_lead BIGINT,
    -- While somebody sends its next notice: until when nobody else does.
    notice_lease_until BIGINT,
    -- How often a notice of it was claimed.
    notice_leases BIGINT NOT NULL,
    -- Only for imported tokens whose old hash is not a plain SHA-2: the algorithm of that hash.
    import_algorithm TEXT COLLATE "C",
    -- Its parameters, in the algorithm's own form; empty where it has none.
    import_parameters TEXT COLLATE "C",
    -- Its salt; empty where it has none.
    import_salt BYTEA,
    -- 1 at first, one more with each change but of last uses and notices: for compare-and-swap.
    version BIGINT NOT NULL CHECK (version >= 1),

    PRIMARY KEY (project, id),
    CHECK ((issuer IS NULL) = (bound IS NULL)),
    CHECK ((disabled_at IS NULL) = (disabled_by IS NULL)),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL) AND (revoked_at IS NULL) = (revoked_reason IS NULL))
)
-- PARTITION BY HASH (project)
;

-- An owner's tokens in one project, an index for each order of a list.
-- The first also serves revoking all, counts and the projects of an owner.
CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_created ON keyfob_tokens (owner, project, created_at, id);
CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_name ON keyfob_tokens (owner, project, name_folded, id);
CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_expires
    ON keyfob_tokens (owner, project, (coalesce(expires_at, 253402300800000)), id);
-- An owner's tokens that are not revoked, by the time at which each ends by itself, never last: for the limit and for revoking
-- all, which look at those that have not ended, however many have.
CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_ends
    ON keyfob_tokens (owner, project, (coalesce(least(grace_until, confirm_by, expires_at), 253402300800000)))
    WHERE revoked_at IS NULL;

-- Lists by creation; revoking what was created before a time.
CREATE INDEX IF NOT EXISTS keyfob_tokens_created ON keyfob_tokens (project, created_at, id);

-- Lists by name.
CREATE INDEX IF NOT EXISTS keyfob_tokens_name ON keyfob_tokens (project, name_folded, id);

-- Lists by expiry, never last: one millisecond behind the last time there is. Notices that are due.
CREATE INDEX IF NOT EXISTS keyfob_tokens_expires
    ON keyfob_tokens (project, (coalesce(expires_at, 253402300800000)), id);

-- A chain of rotations, in the same way.
CREATE INDEX IF NOT EXISTS keyfob_tokens_family_ends
    ON keyfob_tokens (family, project, (coalesce(least(grace_until, confirm_by, expires_at), 253402300800000)))
    WHERE revoked_at IS NULL;

-- Whose turn it is: an act on several rows of a project, or one that must count them first, locks the project's row here.
-- The row of the empty name, which no project has, is the turn of imports.
CREATE TABLE IF NOT EXISTS keyfob_turns (
    project TEXT COLLATE "C" NOT NULL PRIMARY KEY
);

-- What a token issued, in the order of creation.
CREATE INDEX IF NOT EXISTS keyfob_tokens_issuer ON keyfob_tokens (issuer, project, created_at, id) WHERE issuer IS NOT NULL;
-- What is bound to a token and not revoked, by issuer and by the time at which each ends by itself, never last: for the limit,
-- for revoking it after its issuer, and for finding the issuers that have ended.
CREATE INDEX IF NOT EXISTS keyfob_tokens_bound_ends ON keyfob_tokens (project, issuer,
    (coalesce(least(grace_until, confirm_by, expires_at), 253402300800000)))
    WHERE bound = 1 AND revoked_at IS NULL;

-- Imported tokens by their old hash: a MAC of it. A table of its own, as its key is one of all projects.
CREATE TABLE IF NOT EXISTS keyfob_imports (
    import_key BYTEA NOT NULL PRIMARY KEY CHECK (length(import_key) = 32),
    project TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL
);

-- The last beat of each store that reads from standbys: what a standby shows of it proves how far the standby is behind.
CREATE TABLE IF NOT EXISTS keyfob_beats (
    -- A random number for each store.
    store BIGINT NOT NULL PRIMARY KEY,
    beat BIGINT NOT NULL,
    -- By the service's clock; a row is cleared away a day after its store has ended.
    written_at BIGINT NOT NULL
);

-- For a purge, which frees the look-up key.
CREATE INDEX IF NOT EXISTS keyfob_imports_token ON keyfob_imports (project, id);
