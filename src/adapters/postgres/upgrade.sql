-- Upgrades a table that a version before 0.1.0 created. PostgresStore::migrate runs this script if
-- the table still has the column notice_stage, which the script removes.

ALTER TABLE keyfob_tokens
    ADD COLUMN issuer TEXT COLLATE "C",
    ADD COLUMN bound BIGINT CHECK (bound IN (0, 1)),
    ADD COLUMN last_used_address TEXT COLLATE "C",
    ADD COLUMN last_used_client TEXT COLLATE "C",
    ADD COLUMN notice_lead BIGINT,
    ADD COLUMN notice_leases BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN import_algorithm TEXT COLLATE "C",
    ADD COLUMN import_parameters TEXT COLLATE "C",
    ADD COLUMN import_salt BYTEA,
    ADD CHECK ((issuer IS NULL) = (bound IS NULL));
UPDATE keyfob_tokens
    SET notice_lead = CASE notice_stage WHEN 'month' THEN 2592000000 WHEN 'week' THEN 604800000 ELSE 86400000 END
    WHERE notice_stage <> 'none';
ALTER TABLE keyfob_tokens ALTER COLUMN notice_leases DROP DEFAULT, DROP COLUMN notice_stage;
