-- keyfob: personal access tokens.
--
-- One table with a row for each token, and three small tables. The row of an ended token remains
-- until it is purged. This script may run more than once, by PostgresStore::migrate or by your own
-- migration tool. It neither begins nor commits a transaction, so a tool may run it inside one. A
-- later version of keyfob adds further scripts, and never changes this script.
--
-- Every time is in milliseconds since 1970-01-01T00:00:00Z. The service supplies it, never the
-- database. No column holds a secret: `digest` is a MAC from which no token can be recovered. Text
-- sorts by code point (COLLATE "C") in every database, regardless of its default collation.
--
-- The crate checks the bounds of each text when it writes the text and when it reads the text. Only
-- faults that would be costly to miss also have a CHECK. The columns `kind` and `revoked_reason`
-- have no CHECK on their words, so that a later version can add a word without a new table.

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
    -- The kind of the token's holder: human, service or agent.
    kind TEXT COLLATE "C" NOT NULL,
    -- The scopes that the token grants, sorted and separated by single spaces. An empty text grants
    -- none.
    scopes TEXT COLLATE "C" NOT NULL,
    -- Text that the host keeps with the token, often JSON. An empty text means that there is none.
    metadata TEXT COLLATE "C" NOT NULL,
    -- The addresses from which the token may be used: CIDR blocks, separated by single spaces. An
    -- empty text allows any address.
    addresses TEXT COLLATE "C" NOT NULL,
    -- The time at which the token was issued.
    created_at BIGINT NOT NULL,
    -- The actor that issued the token.
    created_by TEXT COLLATE "C" NOT NULL,
    -- The id of the token that issued this token, in the same project. NULL if no token issued it.
    issuer TEXT COLLATE "C",
    -- 1 if the token works only while its issuer works. 0 if the token does not depend on its
    -- issuer. NULL if the token has no issuer.
    bound BIGINT CHECK (bound IN (0, 1)),
    -- Set while the token waits for its confirmation: the time at which the token ends unless it is
    -- confirmed before.
    confirm_by BIGINT,
    -- The token does not work before this time.
    not_before BIGINT,
    -- The token does not work at or after this time. NULL means that it never expires.
    expires_at BIGINT,
    -- The time of the last recorded use. Not every use is recorded. No index has this column, so
    -- recording a use changes no index.
    last_used_at BIGINT,
    -- The client's address at the recorded use, if the host records it.
    last_used_address TEXT COLLATE "C",
    -- The client's description of itself (User-Agent) at the recorded use, if the host records it.
    -- A client may send any text.
    last_used_client TEXT COLLATE "C",
    -- Set while the token is disabled: the time at which it was disabled.
    disabled_at BIGINT,
    -- Set while the token is disabled: the actor that disabled it.
    disabled_by TEXT COLLATE "C",
    -- Set permanently when the token is revoked: the time of the revocation.
    revoked_at BIGINT,
    -- Set permanently when the token is revoked: the actor that revoked it.
    revoked_by TEXT COLLATE "C",
    -- Set permanently when the token is revoked: the reason for the revocation, a word of RFC 5280
    -- section 5.3.1.
    revoked_reason TEXT COLLATE "C",
    -- The id of the first token in this token's chain of rotations. A token that replaced no other
    -- token has its own id here.
    family TEXT COLLATE "C" NOT NULL,
    -- The id of the token that this token replaced.
    rotated_from TEXT COLLATE "C",
    -- The id of the token that replaced this token.
    rotated_to TEXT COLLATE "C",
    -- Set when the token is rotated: the time at which the rotated token stops working.
    grace_until BIGINT,
    -- The id that the caller gave to the request that issued the token. It identifies a repeat of
    -- the request.
    request_id TEXT COLLATE "C",
    -- The lead of the last notice of expiry that was sent: the time between the notice and the
    -- expiry, in milliseconds.
    notice_lead BIGINT,
    -- Set while a sender holds the lease on the next notice: the time at which the lease ends.
    notice_lease_until BIGINT,
    -- The number of times that a sender has claimed a notice of this token.
    notice_leases BIGINT NOT NULL,
    -- Set for an imported token whose old hash is not a plain SHA-2 hash: the algorithm of that
    -- hash.
    import_algorithm TEXT COLLATE "C",
    -- Set together with `import_algorithm`: the parameters of the algorithm, in the algorithm's own
    -- notation. An empty text means that it has none.
    import_parameters TEXT COLLATE "C",
    -- Set together with `import_algorithm`: the salt of the old hash. An empty value means that it
    -- has none.
    import_salt BYTEA,
    -- The version of the row. It begins at 1. Each change raises it by 1, except last uses and
    -- notices. An update compares it with the expected version before it writes.
    version BIGINT NOT NULL CHECK (version >= 1),

    PRIMARY KEY (project, id),
    CHECK ((issuer IS NULL) = (bound IS NULL)),
    CHECK ((disabled_at IS NULL) = (disabled_by IS NULL)),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL) AND (revoked_at IS NULL) = (revoked_reason IS NULL))
)
-- PARTITION BY HASH (project)
;

-- Three indices for the tokens of one owner in one project, one index for each order of a list. The
-- first index also serves counts and the list of an owner's projects.
CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_created ON keyfob_tokens (owner, project, created_at, id);
CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_name ON keyfob_tokens (owner, project, name_folded, id);
CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_expires
    ON keyfob_tokens (owner, project, (coalesce(expires_at, 253402300800000)), id);
-- The tokens of an owner that are not revoked, sorted by the time at which each token ends if
-- nothing changes it. A token that never ends sorts last. This index serves the check of the
-- owner's limit, and the revocation of all tokens of an owner. Both operations read only tokens
-- that have not ended, so their cost does not depend on the number of ended tokens.
CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_ends
    ON keyfob_tokens (owner, project, (coalesce(least(grace_until, confirm_by, expires_at), 253402300800000)))
    WHERE revoked_at IS NULL;

-- For lists in the order of creation, and for the revocation of tokens that were created before a
-- time.
CREATE INDEX IF NOT EXISTS keyfob_tokens_created ON keyfob_tokens (project, created_at, id);

-- For lists in the order of the names.
CREATE INDEX IF NOT EXISTS keyfob_tokens_name ON keyfob_tokens (project, name_folded, id);

-- For lists in the order of expiry, and for finding the notices that are due. A token that never
-- expires sorts last: its key is one millisecond after the latest time.
CREATE INDEX IF NOT EXISTS keyfob_tokens_expires
    ON keyfob_tokens (project, (coalesce(expires_at, 253402300800000)), id);

-- The tokens of a family (a chain of rotations) that are not revoked, sorted by the time at which
-- each token ends.
CREATE INDEX IF NOT EXISTS keyfob_tokens_family_ends
    ON keyfob_tokens (family, project, (coalesce(least(grace_until, confirm_by, expires_at), 253402300800000)))
    WHERE revoked_at IS NULL;

-- All tokens that end, sorted by the time at which each token ended or will end. A purge finds the
-- projects with ended tokens in this index, so its cost does not depend on the number of projects.
CREATE INDEX IF NOT EXISTS keyfob_tokens_ended ON keyfob_tokens ((least(revoked_at, grace_until, confirm_by, expires_at)), project);

-- The tokens that may need a notice of expiry, sorted by the lead of the last notice that was sent,
-- and by expiry. A token without a notice sorts last: its key is one millisecond above the largest
-- lead. A sender finds the projects with due notices in this index. A notice is due for tokens with
-- a larger lead that expire before a time, so the search reads only these tokens.
CREATE INDEX IF NOT EXISTS keyfob_tokens_notices ON keyfob_tokens ((coalesce(notice_lead, 31622400001)), expires_at, project)
    WHERE revoked_at IS NULL AND rotated_to IS NULL AND confirm_by IS NULL AND expires_at IS NOT NULL;

-- The turns of projects. A turn is the lock on a project's row in this table. An operation that
-- changes several tokens of a project, or that must count them first, holds this lock until it
-- commits. Imports lock the row with the empty name, which no project has.
CREATE TABLE IF NOT EXISTS keyfob_turns (
    -- The id of the project, or the empty name for imports.
    project TEXT COLLATE "C" NOT NULL PRIMARY KEY
);

-- The tokens that another token issued, sorted by issuer and in the order of their creation.
CREATE INDEX IF NOT EXISTS keyfob_tokens_issuer ON keyfob_tokens (issuer, project, created_at, id) WHERE issuer IS NOT NULL;
-- The tokens that are bound to an issuer and not revoked, sorted by issuer and by the time at which
-- each token ends. A token that never ends sorts last. This index serves the check of the issuer's
-- limit, the revocation of tokens whose issuer has ended, and the search for issuers that have
-- ended.
CREATE INDEX IF NOT EXISTS keyfob_tokens_bound_ends ON keyfob_tokens (project, issuer,
    (coalesce(least(grace_until, confirm_by, expires_at), 253402300800000)))
    WHERE bound = 1 AND revoked_at IS NULL;

-- Imported tokens by the MAC of their old hash. The MACs have a table of their own because they
-- must be unique across all projects.
CREATE TABLE IF NOT EXISTS keyfob_imports (
    -- The MAC of the hash that the old system stored.
    import_key BYTEA NOT NULL PRIMARY KEY CHECK (length(import_key) = 32),
    -- The project of the imported token.
    project TEXT COLLATE "C" NOT NULL,
    -- The id of the imported token.
    id TEXT COLLATE "C" NOT NULL
);

-- The last beat of each store that reads from standbys. A beat is a number that the store writes at
-- regular intervals. The last beat that a standby has proves how old the data of the standby may
-- be.
CREATE TABLE IF NOT EXISTS keyfob_beats (
    -- A random number that identifies the store that writes the beats.
    store BIGINT NOT NULL PRIMARY KEY,
    -- The number of the last beat.
    beat BIGINT NOT NULL,
    -- The time of the last beat, by the service's clock. A store that starts to write beats deletes
    -- the rows whose last beat is more than a day old.
    written_at BIGINT NOT NULL
);

-- For a purge, which deletes the row in `keyfob_imports` together with the token.
CREATE INDEX IF NOT EXISTS keyfob_imports_token ON keyfob_imports (project, id);
