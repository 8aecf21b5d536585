-- keyfob: personal access tokens.
--
-- One table, a row for each token, dead ones too until they are purged. It may be run again and again, by
-- SqliteStore::migrate or by the host's own migration tool; it holds no transaction of its own, so a tool may wrap it.
--
-- Every time is in milliseconds since 1970-01-01T00:00:00Z, given by the service, never by the database.
-- No column holds a secret: `digest` is a MAC that no token can be made from.
-- What the bounds of a text are is checked by the crate's types, on the way in and on the way out; a CHECK stands here only
-- for what would be costly to miss. Words (kind, reason) have none: a new word must not need a new table.

CREATE TABLE IF NOT EXISTS keyfob_tokens (
    -- The leading marker of the token's text: acme_pat.
    prefix TEXT NOT NULL,
    -- The project it is for; the shard key, first in the primary key.
    project TEXT NOT NULL,
    -- The public look-up id, 16 characters; the first is the number of the key that made the digest.
    id TEXT NOT NULL CHECK (length(id) = 16),
    -- HMAC-SHA-256 of the whole token.
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    -- What it is for, in its owner's words.
    name TEXT NOT NULL,
    -- The name in Unicode lower case, as lists search and sort it: made by the crate, for engines fold differently.
    name_folded TEXT NOT NULL,
    -- The host's id of the user it acts for.
    owner TEXT NOT NULL,
    -- human, service or agent.
    kind TEXT NOT NULL,
    -- What it may do: scopes, sorted, separated by single spaces; empty grants none.
    scopes TEXT NOT NULL,
    -- Text of the host's own, often JSON; empty where there is none.
    metadata TEXT NOT NULL,
    -- Where it may be used from: CIDR blocks, separated by single spaces; empty allows any address.
    addresses TEXT NOT NULL,
    -- When it was made.
    created_at INTEGER NOT NULL,
    -- Who made it.
    created_by TEXT NOT NULL,
    -- The id of the token that issued it, in the same project.
    issuer TEXT,
    -- Of a token that another issued: 1 if it works only while that does, else 0.
    bound INTEGER CHECK (bound IN (0, 1)),
    -- Set while it waits to be confirmed; it ends at this time if nobody does.
    confirm_by INTEGER,
    -- It does not work before this time.
    not_before INTEGER,
    -- It does not work from this time on; NULL is never.
    expires_at INTEGER,
    -- The expiry as it sorts, never last: one millisecond behind the last time there is. Computed, and kept in an index only.
    -- A column, as SQLite seeks a place of two values (expiry, id) in an index of columns, not in one of expressions.
    expires_order INTEGER NOT NULL GENERATED ALWAYS AS (coalesce(expires_at, 253402300800000)) VIRTUAL,
    -- The last use that was written, coarser than each use. In no index, so that writing it is one page.
    last_used_at INTEGER,
    -- The client's address at that use, if it is recorded.
    last_used_address TEXT,
    -- What the client said it was at that use, if it is recorded: anybody can write anything there.
    last_used_client TEXT,
    -- Set while it is disabled: since when.
    disabled_at INTEGER,
    -- Set while it is disabled: by whom.
    disabled_by TEXT,
    -- Set for ever once it is revoked: since when.
    revoked_at INTEGER,
    -- Set for ever once it is revoked: by whom.
    revoked_by TEXT,
    -- Set for ever once it is revoked: why, in a word of RFC 5280 section 5.3.1.
    revoked_reason TEXT,
    -- The id of the first token of its chain of rotations: its own where it is that.
    family TEXT NOT NULL,
    -- The id of the token it took over from.
    rotated_from TEXT,
    -- The id of the token that took over from it.
    rotated_to TEXT,
    -- Once it is rotated: the time at which it stops working.
    grace_until INTEGER,
    -- The caller's id of the request that made it, so that a repeat is known as one.
    request_id TEXT,
    -- The last notice of its end that was sent: how many milliseconds before its expiry.
    notice_lead INTEGER,
    -- While somebody sends its next notice: until when nobody else does.
    notice_lease_until INTEGER,
    -- How often a notice of it was claimed.
    notice_leases INTEGER NOT NULL,
    -- Only for imported tokens whose old hash is not a plain SHA-2: the algorithm of that hash.
    import_algorithm TEXT,
    -- Its parameters, in the algorithm's own form; empty where it has none.
    import_parameters TEXT,
    -- Its salt; empty where it has none.
    import_salt BLOB,
    -- 1 at first, one more with each change but of last uses and notices: for compare-and-swap.
    version INTEGER NOT NULL CHECK (version >= 1),
    -- Only for imported tokens: a MAC of the old token's stored hash, by which it is found.
    import_key BLOB CHECK (length(import_key) = 32),

    PRIMARY KEY (project, id),
    CHECK ((issuer IS NULL) = (bound IS NULL)),
    CHECK ((disabled_at IS NULL) = (disabled_by IS NULL)),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL) AND (revoked_at IS NULL) = (revoked_reason IS NULL))
) STRICT;

-- An owner's tokens in one project, an index for each order of a list: a page is read from its place on, however many tokens
-- the owner or the project has. The revocation and the name stand in each, so that a search, or a page without the
-- revoked, passes over the others in the index and reads no row that it does not return.
-- The first also serves revoking all, counts and the projects of an owner.
CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_created
    ON keyfob_tokens (owner, project, created_at, id, revoked_at, name_folded);
CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_name
    ON keyfob_tokens (owner, project, name_folded, id, revoked_at);
CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_expires
    ON keyfob_tokens (owner, project, expires_order, id, revoked_at, name_folded);
-- An owner's tokens that are not revoked, by the time at which each ends by itself, never last: for the limit and for revoking
-- all, which look at those that have not ended, however many have.
CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_ends ON keyfob_tokens (owner, project,
    min(coalesce(grace_until, 253402300800000), coalesce(confirm_by, 253402300800000), coalesce(expires_at, 253402300800000)))
    WHERE revoked_at IS NULL;
-- What they replace, in files made before there was a release.
DROP INDEX IF EXISTS keyfob_tokens_owner;

-- Lists by creation; revoking what was created before a time.
CREATE INDEX IF NOT EXISTS keyfob_tokens_created ON keyfob_tokens (project, created_at, id);

-- Lists by name.
CREATE INDEX IF NOT EXISTS keyfob_tokens_name ON keyfob_tokens (project, name_folded, id);

-- Lists by expiry; notices that are due.
CREATE INDEX IF NOT EXISTS keyfob_tokens_expires ON keyfob_tokens (project, expires_order, id);

-- A chain of rotations, in the same way.
CREATE INDEX IF NOT EXISTS keyfob_tokens_family_ends ON keyfob_tokens (family, project,
    min(coalesce(grace_until, 253402300800000), coalesce(confirm_by, 253402300800000), coalesce(expires_at, 253402300800000)))
    WHERE revoked_at IS NULL;
-- What it replaces, in files made before there was a release.
DROP INDEX IF EXISTS keyfob_tokens_family;

-- What a token issued, in the order of creation.
CREATE INDEX IF NOT EXISTS keyfob_tokens_issuer ON keyfob_tokens (issuer, project, created_at, id) WHERE issuer IS NOT NULL;
-- What is bound to a token and not revoked, by issuer and by the time at which each ends by itself, never last: for the limit,
-- for revoking it after its issuer, and for finding the issuers that have ended.
CREATE INDEX IF NOT EXISTS keyfob_tokens_bound_ends ON keyfob_tokens (project, issuer,
    min(coalesce(grace_until, 253402300800000), coalesce(confirm_by, 253402300800000), coalesce(expires_at, 253402300800000)))
    WHERE bound = 1 AND revoked_at IS NULL;

-- Imported tokens by their old hash; tokens that were not imported take no room in it.
CREATE UNIQUE INDEX IF NOT EXISTS keyfob_tokens_import ON keyfob_tokens (import_key) WHERE import_key IS NOT NULL;
