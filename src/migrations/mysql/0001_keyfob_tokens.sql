-- keyfob: personal access tokens.
--
-- One table with a row for each token, and a table for locks. The row of an ended token remains
-- until it is purged. This script may run more than once, by MysqlStore::migrate or by your own
-- migration tool. MariaDB and MySQL commit each statement on its own. A later version of keyfob
-- adds further scripts, and never changes this script.
--
-- Every time is in milliseconds since 1970-01-01T00:00:00Z. The service supplies it, never the
-- database. No column holds a secret: `digest` is a MAC from which no token can be recovered.
--
-- Text is compared byte by byte, and a space at the end counts. The collations that do this have
-- different names in MariaDB and MySQL. Each server executes only the comment that is for it.
--
-- The crate checks the bounds of each text when it writes the text and when it reads the text. Only
-- faults that would be costly to miss also have a CHECK. The columns `kind` and `revoked_reason`
-- have no CHECK on their words, so that a later version can add a word without a new table. The
-- widths are in characters, except those of VARBINARY, which are in bytes. No index has more than
-- 3,072 bytes, the limit of InnoDB. Statements refer to the columns by name, so you may add columns
-- at any place.

CREATE TABLE IF NOT EXISTS keyfob_tokens (
    -- The leading marker of the token's text, such as acme_pat.
    prefix VARCHAR(20) NOT NULL,
    -- The project of the token. It is the shard key and the first column of the primary key.
    project VARCHAR(32) NOT NULL,
    -- The public id, 16 characters. The first character is the number of the key that the digest
    -- was computed with.
    id VARCHAR(16) NOT NULL CHECK (char_length(id) = 16),
    -- HMAC-SHA-256 of the token.
    digest VARBINARY(32) NOT NULL CHECK (octet_length(digest) = 32),
    -- The purpose of the token, in the owner's words.
    name VARCHAR(255) NOT NULL,
    -- The name in Unicode lower case, by which lists search and sort. The crate computes it,
    -- because engines fold case differently. It is a byte string, because a folded name has at most
    -- 1,020 bytes but may have 510 characters, for which no index would have room.
    name_folded VARBINARY(1020) NOT NULL,
    -- The host's id of the user that the token acts for.
    owner VARCHAR(255) NOT NULL,
    -- The kind of the token's holder: human, service or agent.
    kind VARCHAR(32) NOT NULL,
    -- The scopes that the token grants, sorted and separated by single spaces. An empty text grants
    -- none.
    scopes TEXT NOT NULL,
    -- Text that the host keeps with the token, often JSON. An empty text means that there is none.
    metadata TEXT NOT NULL,
    -- The addresses from which the token may be used: CIDR blocks, separated by single spaces. An
    -- empty text allows any address.
    addresses TEXT NOT NULL,
    -- The time at which the token was issued.
    created_at BIGINT NOT NULL,
    -- The actor that issued the token.
    created_by VARCHAR(255) NOT NULL,
    -- The id of the token that issued this token, in the same project. NULL if no token issued it.
    issuer VARCHAR(16),
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
    -- The expiry as a sort key. A token that never expires sorts last: its key is one millisecond
    -- after the latest time.
    expires_order BIGINT GENERATED ALWAYS AS (coalesce(expires_at, 253402300800000)) STORED,
    -- The time of the last recorded use. Not every use is recorded. No index has this column, so
    -- recording a use changes no index.
    last_used_at BIGINT,
    -- The client's address at the recorded use, if the host records it.
    last_used_address VARCHAR(64),
    -- The client's description of itself (User-Agent) at the recorded use, if the host records it.
    -- A client may send any text.
    last_used_client VARCHAR(255),
    -- Set while the token is disabled: the time at which it was disabled.
    disabled_at BIGINT,
    -- Set while the token is disabled: the actor that disabled it.
    disabled_by VARCHAR(255),
    -- Set permanently when the token is revoked: the time of the revocation.
    revoked_at BIGINT,
    -- Set permanently when the token is revoked: the actor that revoked it.
    revoked_by VARCHAR(255),
    -- Set permanently when the token is revoked: the reason for the revocation, a word of RFC 5280
    -- section 5.3.1.
    revoked_reason VARCHAR(64),
    -- The id of the first token in this token's chain of rotations. A token that replaced no other
    -- token has its own id here.
    family VARCHAR(16) NOT NULL,
    -- The id of the token that this token replaced.
    rotated_from VARCHAR(16),
    -- The id of the token that replaced this token.
    rotated_to VARCHAR(16),
    -- Set when the token is rotated: the time at which the rotated token stops working.
    grace_until BIGINT,
    -- The id that the caller gave to the request that issued the token. It identifies a repeat of
    -- the request.
    request_id VARCHAR(255),
    -- The lead of the last notice of expiry that was sent: the time between the notice and the
    -- expiry, in milliseconds.
    notice_lead BIGINT,
    -- Set while a sender holds the lease on the next notice: the time at which the lease ends.
    notice_lease_until BIGINT,
    -- The number of times that a sender has claimed a notice of this token.
    notice_leases BIGINT NOT NULL,
    -- Set for an imported token whose old hash is not a plain SHA-2 hash: the algorithm of that
    -- hash.
    import_algorithm VARCHAR(32),
    -- Set together with `import_algorithm`: the parameters of the algorithm, in the algorithm's own
    -- notation. An empty text means that it has none.
    import_parameters VARCHAR(255),
    -- Set together with `import_algorithm`: the salt of the old hash. An empty value means that it
    -- has none.
    import_salt VARBINARY(64),
    -- The version of the row. It begins at 1. Each change raises it by 1, except last uses and
    -- notices. An update compares it with the expected version before it writes.
    version BIGINT NOT NULL CHECK (version >= 1),
    -- Set for an imported token: a MAC of the hash that the old system stored. A look-up by the old
    -- token finds the row by this MAC.
    import_key VARBINARY(32) CHECK (octet_length(import_key) = 32),
    -- The time at which the token ends if nothing changes the row. A token that never ends sorts
    -- last. NULL for a revoked token, so that an index on this column leads only to other tokens.
    ends_order BIGINT GENERATED ALWAYS AS (CASE WHEN revoked_at IS NULL THEN
        least(coalesce(grace_until, 253402300800000), coalesce(confirm_by, 253402300800000),
            coalesce(expires_at, 253402300800000)) END) STORED,
    -- The time at which the token ended or will end, by revocation too. A token that never ends sorts
    -- last.
    ended_order BIGINT GENERATED ALWAYS AS (least(coalesce(revoked_at, 253402300800000),
        coalesce(grace_until, 253402300800000), coalesce(confirm_by, 253402300800000),
        coalesce(expires_at, 253402300800000))) STORED,
    -- The lead of the last notice that was sent. A token without a notice sorts last: its value is one
    -- millisecond above the largest lead. NULL if the token needs no notice, so that an index on this
    -- column leads only to other tokens.
    notice_order BIGINT GENERATED ALWAYS AS (CASE WHEN revoked_at IS NULL AND rotated_to IS NULL
        AND confirm_by IS NULL AND expires_at IS NOT NULL THEN coalesce(notice_lead, 31622400001) END) STORED,

    PRIMARY KEY (project, id),
    -- Three indices for the tokens of one owner in one project, one index for each order of a list.
    -- The first index also serves counts and the list of an owner's projects.
    KEY keyfob_tokens_owner_created (owner, project, created_at, id),
    KEY keyfob_tokens_owner_name (owner, project, name_folded, id),
    KEY keyfob_tokens_owner_expires (owner, project, expires_order, id),
    -- The tokens of an owner that are not revoked, sorted by the time at which each token ends. This
    -- index serves the check of the owner's limit, and the revocation of all tokens of an owner.
    -- Both operations read only tokens that have not ended, so their cost does not depend on the
    -- number of ended tokens.
    KEY keyfob_tokens_owner_ends (owner, project, ends_order),
    -- For lists in the order of creation, and for the revocation of tokens that were created before
    -- a time.
    KEY keyfob_tokens_created (project, created_at, id),
    -- For lists in the order of the names.
    KEY keyfob_tokens_name (project, name_folded, id),
    -- For lists in the order of expiry, and for finding the notices that are due.
    KEY keyfob_tokens_expires (project, expires_order, id),
    -- The tokens of a family (a chain of rotations) that are not revoked, sorted by the time at
    -- which each token ends.
    KEY keyfob_tokens_family_ends (family, project, ends_order),
    -- The tokens that another token issued, sorted by issuer and in the order of their creation.
    KEY keyfob_tokens_issuer (issuer, project, created_at, id),
    -- The tokens that are bound to an issuer and not revoked, sorted by issuer and by the time at
    -- which each token ends. This index serves the check of the issuer's limit, the revocation of
    -- tokens whose issuer has ended, and the search for issuers that have ended. The search reads all
    -- projects, so the index begins with the column by which it reads only bound tokens.
    KEY keyfob_tokens_bound_ends (bound, project, issuer, ends_order),
    -- All tokens, sorted by the time at which each token ended or will end. A purge finds the projects
    -- with ended tokens in this index, so its cost does not depend on the number of projects.
    KEY keyfob_tokens_ended (ended_order, project),
    -- The tokens that may need a notice of expiry, sorted by the lead of the last notice that was
    -- sent, and by expiry. A sender finds the projects with due notices in this index. A notice is due
    -- for tokens with a larger lead that expire before a time, so the search reads only these tokens.
    KEY keyfob_tokens_notices (notice_order, expires_at, project),
    -- Imported tokens by the MAC of their old hash.
    UNIQUE KEY keyfob_tokens_import (import_key),
    CHECK ((issuer IS NULL) = (bound IS NULL)),
    CHECK ((disabled_at IS NULL) = (disabled_by IS NULL)),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL) AND (revoked_at IS NULL) = (revoked_reason IS NULL))
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4
    /*M!100202 COLLATE utf8mb4_nopad_bin */ /*!80017 COLLATE utf8mb4_0900_bin */;

-- The turns of projects. A turn is the lock on a project's row in this table. An operation that
-- changes several tokens of a project, or that must count them first, holds this lock until it
-- commits. Imports lock the row with the empty name, which no project has.
CREATE TABLE IF NOT EXISTS keyfob_turns (
    -- The id of the project, or the empty name for imports.
    project VARCHAR(32) NOT NULL PRIMARY KEY
) ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4
    /*M!100202 COLLATE utf8mb4_nopad_bin */ /*!80017 COLLATE utf8mb4_0900_bin */;
