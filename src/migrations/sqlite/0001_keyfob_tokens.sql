-- keyfob: personal access tokens.
--
-- One table with a row for each token. The row of an ended token remains until it is purged. This
-- script may run more than once, by SqliteStore::migrate or by your own migration tool. It neither
-- begins nor commits a transaction, so a tool may run it inside one. A later version of keyfob adds
-- further scripts, and never changes this script.
--
-- Every time is in milliseconds since 1970-01-01T00:00:00Z. The service supplies it, never the
-- database. No column holds a secret: `digest` is a MAC from which no token can be recovered.
--
-- The crate checks the bounds of each text when it writes the text and when it reads the text. Only
-- faults that would be costly to miss also have a CHECK. The columns `kind` and `revoked_reason`
-- have no CHECK on their words, so that a later version can add a word without a new table.

CREATE TABLE IF NOT EXISTS keyfob_tokens (
    -- The leading marker of the token's text, such as acme_pat.
    prefix TEXT NOT NULL,
    -- The project of the token. It is the shard key and the first column of the primary key.
    project TEXT NOT NULL,
    -- The public id, 16 characters. The first character is the number of the key that the digest
    -- was computed with.
    id TEXT NOT NULL CHECK (length(id) = 16),
    -- HMAC-SHA-256 of the token.
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    -- The purpose of the token, in the owner's words.
    name TEXT NOT NULL,
    -- The name in Unicode lower case, by which lists search and sort. The crate computes it,
    -- because engines fold case differently.
    name_folded TEXT NOT NULL,
    -- The host's id of the user that the token acts for.
    owner TEXT NOT NULL,
    -- The kind of the token's holder: human, service or agent.
    kind TEXT NOT NULL,
    -- The scopes that the token grants, sorted and separated by single spaces. An empty text grants
    -- none.
    scopes TEXT NOT NULL,
    -- Text that the host keeps with the token, often JSON. An empty text means that there is none.
    metadata TEXT NOT NULL,
    -- The addresses from which the token may be used: CIDR blocks, separated by single spaces. An
    -- empty text allows any address.
    addresses TEXT NOT NULL,
    -- The time at which the token was issued.
    created_at INTEGER NOT NULL,
    -- The actor that issued the token.
    created_by TEXT NOT NULL,
    -- The id of the token that issued this token, in the same project. NULL if no token issued it.
    issuer TEXT,
    -- 1 if the token works only while its issuer works. 0 if the token does not depend on its
    -- issuer. NULL if the token has no issuer.
    bound INTEGER CHECK (bound IN (0, 1)),
    -- Set while the token waits for its confirmation: the time at which the token ends unless it is
    -- confirmed before.
    confirm_by INTEGER,
    -- The token does not work before this time.
    not_before INTEGER,
    -- The token does not work at or after this time. NULL means that it never expires.
    expires_at INTEGER,
    -- The expiry as a sort key. A token that never expires sorts last: its key is one millisecond
    -- after the latest time. SQLite computes the value and stores it only in indices. The value is
    -- a column because SQLite can seek a pair (expiry, id) in an index of columns, but not in an
    -- index of expressions.
    expires_order INTEGER NOT NULL GENERATED ALWAYS AS (coalesce(expires_at, 253402300800000)) VIRTUAL,
    -- The time of the last recorded use. Not every use is recorded. No index has this column, so
    -- recording a use writes a single page.
    last_used_at INTEGER,
    -- The client's address at the recorded use, if the host records it.
    last_used_address TEXT,
    -- The client's description of itself (User-Agent) at the recorded use, if the host records it.
    -- A client may send any text.
    last_used_client TEXT,
    -- Set while the token is disabled: the time at which it was disabled.
    disabled_at INTEGER,
    -- Set while the token is disabled: the actor that disabled it.
    disabled_by TEXT,
    -- Set permanently when the token is revoked: the time of the revocation.
    revoked_at INTEGER,
    -- Set permanently when the token is revoked: the actor that revoked it.
    revoked_by TEXT,
    -- Set permanently when the token is revoked: the reason for the revocation, a word of RFC 5280
    -- section 5.3.1.
    revoked_reason TEXT,
    -- The id of the first token in this token's chain of rotations. A token that replaced no other
    -- token has its own id here.
    family TEXT NOT NULL,
    -- The id of the token that this token replaced.
    rotated_from TEXT,
    -- The id of the token that replaced this token.
    rotated_to TEXT,
    -- Set when the token is rotated: the time at which the rotated token stops working.
    grace_until INTEGER,
    -- The id that the caller gave to the request that issued the token. It identifies a repeat of
    -- the request.
    request_id TEXT,
    -- The lead of the last notice of expiry that was sent: the time between the notice and the
    -- expiry, in milliseconds.
    notice_lead INTEGER,
    -- Set while a sender holds the lease on the next notice: the time at which the lease ends.
    notice_lease_until INTEGER,
    -- The number of times that a sender has claimed a notice of this token.
    notice_leases INTEGER NOT NULL,
    -- Set for an imported token whose old hash is not a plain SHA-2 hash: the algorithm of that
    -- hash.
    import_algorithm TEXT,
    -- Set together with `import_algorithm`: the parameters of the algorithm, in the algorithm's own
    -- notation. An empty text means that it has none.
    import_parameters TEXT,
    -- Set together with `import_algorithm`: the salt of the old hash. An empty value means that it
    -- has none.
    import_salt BLOB,
    -- The version of the row. It begins at 1. Each change raises it by 1, except last uses and
    -- notices. An update compares it with the expected version before it writes.
    version INTEGER NOT NULL CHECK (version >= 1),
    -- Set for an imported token: a MAC of the hash that the old system stored. A look-up by the old
    -- token finds the row by this MAC.
    import_key BLOB CHECK (length(import_key) = 32),

    PRIMARY KEY (project, id),
    CHECK ((issuer IS NULL) = (bound IS NULL)),
    CHECK ((disabled_at IS NULL) = (disabled_by IS NULL)),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL) AND (revoked_at IS NULL) = (revoked_reason IS NULL))
) STRICT;

-- Three indices for the tokens of one owner in one project, one index for each order of a list. A
-- page begins at its cursor in the index, so its cost does not depend on the number of tokens. Each
-- index includes the time of revocation and the name. So a search, or a list without revoked
-- tokens, skips other rows in the index, and reads only the rows that it returns. The first index
-- also serves counts and the list of an owner's projects.
CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_created
    ON keyfob_tokens (owner, project, created_at, id, revoked_at, name_folded);
CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_name
    ON keyfob_tokens (owner, project, name_folded, id, revoked_at);
CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_expires
    ON keyfob_tokens (owner, project, expires_order, id, revoked_at, name_folded);
-- The tokens of an owner that are not revoked, sorted by the time at which each token ends if
-- nothing changes it. A token that never ends sorts last. This index serves the check of the
-- owner's limit, and the revocation of all tokens of an owner. Both operations read only tokens
-- that have not ended, so their cost does not depend on the number of ended tokens.
CREATE INDEX IF NOT EXISTS keyfob_tokens_owner_ends ON keyfob_tokens (owner, project,
    min(coalesce(grace_until, 253402300800000), coalesce(confirm_by, 253402300800000), coalesce(expires_at, 253402300800000)))
    WHERE revoked_at IS NULL;

-- For lists in the order of creation, and for the revocation of tokens that were created before a
-- time.
CREATE INDEX IF NOT EXISTS keyfob_tokens_created ON keyfob_tokens (project, created_at, id);

-- For lists in the order of the names.
CREATE INDEX IF NOT EXISTS keyfob_tokens_name ON keyfob_tokens (project, name_folded, id);

-- For lists in the order of expiry, and for finding the notices that are due.
CREATE INDEX IF NOT EXISTS keyfob_tokens_expires ON keyfob_tokens (project, expires_order, id);

-- The tokens of a family (a chain of rotations) that are not revoked, sorted by the time at which
-- each token ends.
CREATE INDEX IF NOT EXISTS keyfob_tokens_family_ends ON keyfob_tokens (family, project,
    min(coalesce(grace_until, 253402300800000), coalesce(confirm_by, 253402300800000), coalesce(expires_at, 253402300800000)))
    WHERE revoked_at IS NULL;

-- All tokens that end, sorted by the time at which each token ended or will end. A purge finds the
-- projects with ended tokens in this index, so its cost does not depend on the number of projects.
CREATE INDEX IF NOT EXISTS keyfob_tokens_ended ON keyfob_tokens (
    min(coalesce(revoked_at, 253402300800000), coalesce(grace_until, 253402300800000), coalesce(confirm_by, 253402300800000), coalesce(expires_at, 253402300800000)), project);

-- The tokens that may need a notice of expiry, sorted by the lead of the last notice that was sent,
-- and by expiry. A token without a notice sorts last: its key is one millisecond above the largest
-- lead. A sender finds the projects with due notices in this index. A notice is due for tokens with
-- a larger lead that expire before a time, so the search reads only these tokens.
CREATE INDEX IF NOT EXISTS keyfob_tokens_notices ON keyfob_tokens (coalesce(notice_lead, 31622400001), expires_at, project)
    WHERE revoked_at IS NULL AND rotated_to IS NULL AND confirm_by IS NULL AND expires_at IS NOT NULL;

-- The tokens that another token issued, sorted by issuer and in the order of their creation.
CREATE INDEX IF NOT EXISTS keyfob_tokens_issuer ON keyfob_tokens (issuer, project, created_at, id) WHERE issuer IS NOT NULL;
-- The tokens that are bound to an issuer and not revoked, sorted by issuer and by the time at which
-- each token ends. A token that never ends sorts last. This index serves the check of the issuer's
-- limit, the revocation of tokens whose issuer has ended, and the search for issuers that have
-- ended.
CREATE INDEX IF NOT EXISTS keyfob_tokens_bound_ends ON keyfob_tokens (project, issuer,
    min(coalesce(grace_until, 253402300800000), coalesce(confirm_by, 253402300800000), coalesce(expires_at, 253402300800000)))
    WHERE bound = 1 AND revoked_at IS NULL;

-- Imported tokens by the MAC of their old hash. Other tokens take no space in this index.
CREATE UNIQUE INDEX IF NOT EXISTS keyfob_tokens_import ON keyfob_tokens (import_key) WHERE import_key IS NOT NULL;
