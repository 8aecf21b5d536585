-- Upgrades a table that a version before 0.1.0 created. SqliteStore::migrate runs this script if
-- the table still has the column notice_stage, which the script removes.

ALTER TABLE keyfob_tokens ADD COLUMN issuer TEXT;
ALTER TABLE keyfob_tokens ADD COLUMN bound INTEGER CHECK (bound IN (0, 1)) CHECK ((issuer IS NULL) = (bound IS NULL));
ALTER TABLE keyfob_tokens ADD COLUMN last_used_address TEXT;
ALTER TABLE keyfob_tokens ADD COLUMN last_used_client TEXT;
ALTER TABLE keyfob_tokens ADD COLUMN notice_lead INTEGER;
ALTER TABLE keyfob_tokens ADD COLUMN notice_leases INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keyfob_tokens ADD COLUMN import_algorithm TEXT;
ALTER TABLE keyfob_tokens ADD COLUMN import_parameters TEXT;
ALTER TABLE keyfob_tokens ADD COLUMN import_salt BLOB;
UPDATE keyfob_tokens
    SET notice_lead = CASE notice_stage WHEN 'month' THEN 2592000000 WHEN 'week' THEN 604800000 ELSE 86400000 END
    WHERE notice_stage <> 'none';
ALTER TABLE keyfob_tokens DROP COLUMN notice_stage;
