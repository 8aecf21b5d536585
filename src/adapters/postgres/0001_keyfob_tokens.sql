-- keyfob: personal access tokens.
--
-- A table with a row for each token, and three small tables beside it. The row of a dead token
-- remains until it is purged. This script may run more than once, by PostgresStore::migrate or by
-- your own migration tool. It neither begins nor commits a transaction, so a tool may run it inside
-- one.
--
-- Every time is in milliseconds since 1970-01-01T00:00:00Z. The service supplies it, never the
-- database. No column holds a secret: `digest` is a MAC from which no token can be recovered. Text
-- sorts by code point (COLLATE "C") in every database, regardless of its default collation.
--
-- The crate's types check the bounds of each text when they write it and when they read it. Only
-- faults that would be costly to miss also have a CHECK. The words of `kind` and `revoked_reason`
-- have no CHECK, so that a new word does not need a new table.

CREATE TABLE IF NOT EXISTS keyfob_tokens (
    -- The leading marker of the token's text, such as acme_pat.
    prefix TEXT COLLATE "C" NOT NULL,
    -- The project of the token. It is the shard key and the first column of the primary key.
    project TEXT COLLATE "C" NOT NULL,
    -- The public id, 16 characters. The first character is the number of the key that the digest
    -- was computed with.
    id TEXT COLLATE "C" NOT NULL CHECK (length(id) = 16),
    -- HMAC-SHA-256 of the token.
    digest BYTEA NOT NULL CHECK (length(digest) = 32),
    -- The purpose of the token, in the owner's words.
    name TEXT COLLATE "C" NOT NULL,
    -- The name in Unicode lower case, by which lists search and sort. The crate computes it,
    -- because engines fold case differently.
    name_folded TEXT COLLATE "C" NOT NULL,
    -- The host's id of the user that the token acts for.
    owner TEXT COLLATE "C" NOT NULL,
    -- human, service or agent.
    kind TEXT COLLATE "C" NOT NULL,
    -- The scopes that the token grants, sorted and separated by single spaces. An empty text grants
    -- none.
    scopes TEXT COLLATE "C" NOT NULL,
    -- Text of the host, often JSON. It is empty if there is none.
    metadata TEXT COLLATE "C" NOT NULL,
    -- The addresses from which the token may be used: CIDR blocks, separated by single spaces. An
    -- empty text allows any address.
    addresses TEXT COLLATE "C" NOT NULL,
    -- The time at which the token was issued.
    created_at BIGINT NOT NULL,
    -- The actor that issued the token.
    created_by TEXT COLLATE "C" NOT NULL,
    -- The id of the token that issued this one, in the same project. NULL if it has no issuer.
    issuer TEXT COLLATE "C",
    -- 1 if the token works only while its issuer works, 0 if it does not depend on its issuer, NULL
    -- if it has no issuer.
    bound BIGINT CHECK (bound IN (0, 1)),
    -- Set while the token waits for its confirmation. It ends at this time unless it is confirmed.
    confirm_by BIGINT,
    -- The token does not work before this time.
    not_before BIGINT,
    -- The token does not work at or after this time. NULL means that it never expires.
    expires_at BIGINT,
    -- The last use that was recorded. Not every use is recorded. No index has this column, so
    -- recording a use changes no index.
    last_used_at BIGINT,
    -- The client's address at the recorded use, if the host records it.
    last_used_address TEXT COLLATE "C",
    -- The client's own description at the recorded use, if the host records it. A client may send
    -- any text here.
    last_used_client TEXT COLLATE "C",
    -- Set while the token is disabled: the time at which it was disabled.
    disabled_at BIGINT,
    -- Set while the token is disabled: the actor that disabled it.
    disabled_by TEXT COLLATE "C",
    -- Set permanently when the token is revoked: the time.
    revoked_at BIGINT,
    -- Set permanently when the token is revoked: the actor.
    revoked_by TEXT COLLATE "C",
    -- Set permanently when the token is revoked: the reason, a word of RFC 5280 section 5.3.1.
    revoked_reason TEXT COLLATE "C",
    -- The id of the first token of its chain of rotations. For that first token, its own id.
    family TEXT COLLATE "C" NOT NULL,
    -- The id of the token that this token replaced.
    rotated_from TEXT COLLATE "C",
    -- The id of the token that replaced this token.
    rotated_to TEXT COLLATE "C",
    -- Set when the token is rotated: the time at which it stops working.
    grace_until BIGINT,
    -- The caller's id of the request that issued the token. It identifies a repeat of the request.
    request_id TEXT COLLATE "C",
    -- The last notice of expiry that was sent: the number of milliseconds before the expiry.
    notice_lead BIGINT,
    -- Set while a sender holds the lease on the next notice: the time at which the lease ends.
    notice_lease_until BIGINT,
    -- The number of times that a notice of this token was claimed.
    notice_leases BIGINT NOT NULL,
    -- Set for an imported token whose old hash is not a plain SHA-2 hash: the algorithm of that
    -- hash.
    import_algorithm TEXT COLLATE "C",
    -- The parameters of that algorithm, in its own notation. Empty if it has none.
    import_parameters TEXT COLLATE "C",
    -- The salt of that hash. Empty if it has none.
    import_salt BYTEA,
    -- 1 at first. Each change raises it by 1, except last uses and notices. Updates compare it
    -- before they write.
    version BIGINT NOT NULL CHECK (version >= 1),

    PRIMARY KEY (project, id),
    CHECK ((issuer IS NULL) = (bound IS NULL)),
    CHECK ((disabled_at IS NULL) = (disabled_by IS NULL)),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL) AND (revoked_at IS NULL) = (revoked_reason IS NULL))
)
-- PARTITION BY HASH (project)
;

-- The tokens of one owner in one project. There is one index for each order of a list. The first
-- index also serves revoking all tokens of an owner, counts, and the projects of an owner.
CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_created ON keyfob_tokens (owner, project, created_at, id);
CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_name ON keyfob_tokens (owner, project, name_folded, id);
CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_expires
    ON keyfob_tokens (owner, project, (coalesce(expires_at, 253402300800000)), id);
-- The tokens of an owner that are not revoked, by the time at which each ends without any further
-- change. A token that never ends sorts last. This index serves the check of the owner's limit and
-- revoking all tokens of an owner. Both read only tokens that have not ended, so their cost does
-- not depend on how many have ended.
CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_ends
    ON keyfob_tokens (owner, project, (coalesce(least(grace_until, confirm_by, expires_at), 253402300800000)))
    WHERE revoked_at IS NULL;

-- Lists by creation, and revoking tokens that were created before a time.
CREATE INDEX IF NOT EXISTS keyfob_tokens_created ON keyfob_tokens (project, created_at, id);

-- Lists by name.
CREATE INDEX IF NOT EXISTS keyfob_tokens_name ON keyfob_tokens (project, name_folded, id);

-- Lists by expiry, and notices that are due. A token that never expires sorts last: its key is one
-- millisecond after the latest time.
CREATE INDEX IF NOT EXISTS keyfob_tokens_expires
    ON keyfob_tokens (project, (coalesce(expires_at, 253402300800000)), id);

-- The tokens of a family (a chain of rotations) that are not revoked, by the time at which each
-- ends.
CREATE INDEX IF NOT EXISTS keyfob_tokens_family_ends
    ON keyfob_tokens (family, project, (coalesce(least(grace_until, confirm_by, expires_at), 253402300800000)))
    WHERE revoked_at IS NULL;

-- The turns of projects. An operation on several tokens of a project, or one that must count them
-- first, locks the project's row here. The row with the empty name, which no project has, is the
-- turn of imports.
CREATE TABLE IF NOT EXISTS keyfob_turns (
    project TEXT COLLATE "C" NOT NULL PRIMARY KEY
);

-- The tokens that a token issued, in the order of their creation.
CREATE INDEX IF NOT EXISTS keyfob_tokens_issuer ON keyfob_tokens (issuer, project, created_at, id) WHERE issuer IS NOT NULL;
-- The tokens that are bound to an issuer and not revoked, by issuer and by the time at which each
-- ends. A token that never ends sorts last. This index serves the check of the issuer's limit,
-- revoking tokens after their issuer ended, and finding issuers that have ended.
CREATE INDEX IF NOT EXISTS keyfob_tokens_bound_ends ON keyfob_tokens (project, issuer,
    (coalesce(least(grace_until, confirm_by, expires_at), 253402300800000)))
    WHERE bound = 1 AND revoked_at IS NULL;

-- Imported tokens by a MAC of their old hash. This is a table of its own because its key is unique
-- across all projects.
CREATE TABLE IF NOT EXISTS keyfob_imports (
    import_key BYTEA NOT NULL PRIMARY KEY CHECK (length(import_key) = 32),
    project TEXT COLLATE "C" NOT NULL,
    id TEXT COLLATE "C" NOT NULL
);

-- The last beat of each store that reads from standbys. The beat that a standby shows proves how
-- old its data may be.
CREATE TABLE IF NOT EXISTS keyfob_beats (
    -- A random number that identifies the store.
    store BIGINT NOT NULL PRIMARY KEY,
    beat BIGINT NOT NULL,
    -- The time by the service's clock. A row is deleted a day after its store has ended.
    written_at BIGINT NOT NULL
);

-- For a purge, which deletes the import key together with the token.
CREATE INDEX IF NOT EXISTS keyfob_imports_token ON keyfob_imports (project, id);
