BEGIN TRANSACTION;
CREATE TABLE admins (
    user_id INTEGER PRIMARY KEY REFERENCES users (id)
) STRICT;
INSERT INTO "admins" VALUES(1);
CREATE TABLE keyfob_tokens (
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
INSERT INTO "keyfob_tokens" VALUES('demo_pat','2','1chzk7bnH847T2S8',X'1EF360A5D3D681642031701C4803CEFE09284F88A8DBC56BFC5B70FF2E11C464','forever','forever','1','human','models:use','','',1796025302736,'1',NULL,NULL,NULL,1796025302866,NULL,NULL,NULL,NULL,NULL,'1chzk7bnH847T2S8',NULL,NULL,NULL,NULL,'none',NULL,1,NULL);
INSERT INTO "keyfob_tokens" VALUES('demo_pat','2','1qqHNdnpfiPq9plI',X'1BFA750C2813E91F3EFE39A155C865E622EF2E92935F1418ADDFAF02E1439003','thirty days','thirty days','1','human','models:use','','',1796025302762,'1',NULL,NULL,1798617302762,NULL,NULL,NULL,NULL,NULL,NULL,'1qqHNdnpfiPq9plI',NULL,NULL,NULL,NULL,'month',NULL,1,NULL);
INSERT INTO "keyfob_tokens" VALUES('demo_pat','2','1mBYauSHAa5UOSYr',X'A2717AC269F90EC3B27DDA91F974D3E34C07D1F0508398DA966776744E55605A','to rotate','to rotate','1','human','models:use','','',1796025302775,'1',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'1mBYauSHAa5UOSYr',NULL,'1EBHE9XEN5dZiPIi',1796025302819,NULL,'none',NULL,2,NULL);
INSERT INTO "keyfob_tokens" VALUES('demo_pat','2','10MUsbhPims4kOvG',X'AE205A5525CADD1FDD8C9E2C3CA5AD63A4A3135788498CA7BD974728D185231E','to end','to end','1','human','models:use','','',1796025302786,'1',NULL,NULL,NULL,NULL,NULL,NULL,1796025302839,'1','cessation_of_operation','10MUsbhPims4kOvG',NULL,NULL,NULL,NULL,'none',NULL,2,NULL);
INSERT INTO "keyfob_tokens" VALUES('demo_pat','2','1uxzXOtCVuRpTPRn',X'53F6DD57AA840F2651D4880DF287B2CB3025BA5FC35BB97DE7AF4729AD85B720','to leak','to leak','1','human','models:use','','',1796025302802,'1',NULL,NULL,NULL,NULL,NULL,NULL,1796025302869,'a leak report','key_compromise','1uxzXOtCVuRpTPRn',NULL,NULL,NULL,NULL,'none',NULL,2,NULL);
INSERT INTO "keyfob_tokens" VALUES('demo_pat','2','1l7buBb8bbSGt9OE',X'6C47C38C50C0E5D6594884B4DD1B8D712D32F3FBBB200CD3BA812256E8E7DACA','to disable','to disable','1','human','models:use','','',1796025302806,'1',NULL,NULL,NULL,NULL,1796025302851,'1',NULL,NULL,NULL,'1l7buBb8bbSGt9OE',NULL,NULL,NULL,NULL,'none',NULL,2,NULL);
INSERT INTO "keyfob_tokens" VALUES('demo_pat','2','1EBHE9XEN5dZiPIi',X'3F2B872A132E678AD1008D387B8729AA73E600B0842889EEE74F96B9852A1601','to rotate','to rotate','1','human','models:use','','',1796025302819,'1',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'1mBYauSHAa5UOSYr','1mBYauSHAa5UOSYr',NULL,NULL,NULL,'none',NULL,1,NULL);
INSERT INTO "keyfob_tokens" VALUES('demo_pat','2','1xKnFjwq4UTBoLIX',X'4E2B536ECCF969E2E81A694F2C55D1112069B9E0863AB6612954259DA63193AD','of grace','of grace','2','human','models:use','','',1796025304517,'2',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'1xKnFjwq4UTBoLIX',NULL,NULL,NULL,NULL,'none',NULL,1,NULL);
CREATE TABLE memberships (
    project_id INTEGER NOT NULL REFERENCES projects (id),
    user_id INTEGER NOT NULL REFERENCES users (id),
    PRIMARY KEY (project_id, user_id)
) STRICT, WITHOUT ROWID;
INSERT INTO "memberships" VALUES(2,1);
INSERT INTO "memberships" VALUES(2,2);
INSERT INTO "memberships" VALUES(3,1);
CREATE TABLE models (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id INTEGER NOT NULL REFERENCES projects (id),
    name TEXT NOT NULL,
    upstream TEXT NOT NULL,
    upstream_model TEXT,
    is_default INTEGER NOT NULL,
    UNIQUE (project_id, name)
) STRICT;
CREATE TABLE projects (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('personal', 'shared', 'public')),
    owner_id INTEGER UNIQUE REFERENCES users (id),
    CHECK ((kind = 'personal') = (owner_id IS NOT NULL))
) STRICT;
INSERT INTO "projects" VALUES(1,'Personal (ada)','personal',1);
INSERT INTO "projects" VALUES(2,'Difference engine','shared',NULL);
INSERT INTO "projects" VALUES(3,'Weather station','shared',NULL);
INSERT INTO "projects" VALUES(4,'Open library','public',NULL);
INSERT INTO "projects" VALUES(5,'Personal (grace)','personal',2);
CREATE TABLE sessions (
    id_hash BLOB PRIMARY KEY,
    data TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "sessions" VALUES(X'48B77816B7C02424880866F01714B4E9A12FE92E78AE4D22BB330EA9949FEA90','{"visit":{"csrf":"14e957af3624434c10d7bbd57ec12413","spent_forms":[],"user":1}}',1796054102);
INSERT INTO "sessions" VALUES(X'9395E9EE5DB3F5C9670ECE1949A727AD8A2C9F9D152DFF0603B086A9F158B963','{"visit":{"csrf":"433e635cfcb3c9257257a27c89bc3f8d","spent_forms":[],"user":2}}',1796054104);
CREATE TABLE token_events (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    project TEXT NOT NULL,
    token_id TEXT NOT NULL,
    event TEXT NOT NULL,
    actor TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
INSERT INTO "token_events" VALUES(1,1796025302740,'2','1chzk7bnH847T2S8','issued','1','');
INSERT INTO "token_events" VALUES(2,1796025302768,'2','1qqHNdnpfiPq9plI','issued','1','');
INSERT INTO "token_events" VALUES(3,1796025302780,'2','1mBYauSHAa5UOSYr','issued','1','');
INSERT INTO "token_events" VALUES(4,1796025302792,'2','10MUsbhPims4kOvG','issued','1','');
INSERT INTO "token_events" VALUES(5,1796025302803,'2','1uxzXOtCVuRpTPRn','issued','1','');
INSERT INTO "token_events" VALUES(6,1796025302807,'2','1l7buBb8bbSGt9OE','issued','1','');
INSERT INTO "token_events" VALUES(7,1796025302832,'2','1EBHE9XEN5dZiPIi','issued','1','in the place of 1mBYauSHAa5UOSYr');
INSERT INTO "token_events" VALUES(8,1796025302832,'2','1mBYauSHAa5UOSYr','rotated','1','to 1EBHE9XEN5dZiPIi, works until 2026-11-30T07:55:02.819Z');
INSERT INTO "token_events" VALUES(9,1796025302848,'2','10MUsbhPims4kOvG','revoked','1','cessation_of_operation');
INSERT INTO "token_events" VALUES(10,1796025302864,'2','1l7buBb8bbSGt9OE','disabled','1','');
INSERT INTO "token_events" VALUES(11,1796025302868,'2','10MUsbhPims4kOvG','failed','','revoked, 0 more before');
INSERT INTO "token_events" VALUES(12,1796025302876,'2','1uxzXOtCVuRpTPRn','revoked','a leak report','key_compromise');
INSERT INTO "token_events" VALUES(13,1796025302876,'2','1uxzXOtCVuRpTPRn','leaked','a leak report','');
INSERT INTO "token_events" VALUES(14,1796025304528,'2','1xKnFjwq4UTBoLIX','issued','2','');
CREATE TABLE token_leaks (
    project TEXT NOT NULL,
    token_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    at INTEGER NOT NULL,
    reporter TEXT NOT NULL,
    url TEXT NOT NULL,
    seen INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (project, token_id)
) STRICT;
INSERT INTO "token_leaks" VALUES('2','1uxzXOtCVuRpTPRn','1','to leak',1796025302876,'a leak report','https://paste.example/1',0);
CREATE TABLE token_names (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,
    user_id INTEGER NOT NULL REFERENCES users (id),
    project TEXT NOT NULL,
    token_id TEXT NOT NULL,
    UNIQUE (project, token_id)
) STRICT;
INSERT INTO "token_names" VALUES(1,'44b6917a-1134-4cde-b040-42e7d5f2cbdc',1,'2','1chzk7bnH847T2S8');
INSERT INTO "token_names" VALUES(2,'6a2799be-a73d-4cb7-aab7-de0b91ac77bd',1,'2','1qqHNdnpfiPq9plI');
INSERT INTO "token_names" VALUES(3,'8091a0bd-e0c1-44d8-bb9b-49255ef4f491',1,'2','1mBYauSHAa5UOSYr');
INSERT INTO "token_names" VALUES(4,'40b6661d-13ae-4ade-aed9-4ad5863c1e93',1,'2','10MUsbhPims4kOvG');
INSERT INTO "token_names" VALUES(5,'df9cb532-7754-45ee-b621-2f7c32dd9fdf',1,'2','1uxzXOtCVuRpTPRn');
INSERT INTO "token_names" VALUES(6,'61b5cc79-5f00-4bc9-afb9-151ee5361a10',1,'2','1l7buBb8bbSGt9OE');
INSERT INTO "token_names" VALUES(7,'517f7359-4bc5-48cb-ac84-81345203bede',1,'2','1EBHE9XEN5dZiPIi');
INSERT INTO "token_names" VALUES(8,'14e0ebd0-3247-4f6c-abb6-9897c59a463f',2,'2','1xKnFjwq4UTBoLIX');
CREATE TABLE token_notices (
    project TEXT NOT NULL,
    token_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    PRIMARY KEY (project, token_id)
) STRICT;
CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    suspended INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO "users" VALUES(1,'ada','$argon2id$v=19$m=19456,t=2,p=1$G0ditOs03S9jK6lFG/B0/g$o641+YxXN05O5uEdxOsZ1kMhxB1XKES9UDWISE9PQA0',0);
INSERT INTO "users" VALUES(2,'grace','$argon2id$v=19$m=19456,t=2,p=1$G0ditOs03S9jK6lFG/B0/g$o641+YxXN05O5uEdxOsZ1kMhxB1XKES9UDWISE9PQA0',0);
CREATE INDEX keyfob_tokens_owner_created
    ON keyfob_tokens (owner, project, created_at, id, revoked_at, name_folded);
CREATE INDEX keyfob_tokens_owner_name
    ON keyfob_tokens (owner, project, name_folded, id, revoked_at);
CREATE INDEX keyfob_tokens_owner_expires
    ON keyfob_tokens (owner, project, expires_order, id, revoked_at, name_folded);
CREATE INDEX keyfob_tokens_created ON keyfob_tokens (project, created_at, id);
CREATE INDEX keyfob_tokens_name ON keyfob_tokens (project, name_folded, id);
CREATE INDEX keyfob_tokens_expires ON keyfob_tokens (project, expires_order, id);
CREATE INDEX keyfob_tokens_family ON keyfob_tokens (project, family);
CREATE UNIQUE INDEX keyfob_tokens_import ON keyfob_tokens (import_key) WHERE import_key IS NOT NULL;
CREATE INDEX token_names_of_user ON token_names (user_id, project);
CREATE INDEX token_events_of_token ON token_events (project, token_id, id);
CREATE INDEX token_notices_of_owner ON token_notices (owner);
CREATE INDEX token_leaks_of_owner ON token_leaks (owner, at) WHERE seen = 0;
CREATE UNIQUE INDEX models_default ON models (project_id) WHERE is_default;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('users',2);
INSERT INTO "sqlite_sequence" VALUES('projects',5);
INSERT INTO "sqlite_sequence" VALUES('token_names',8);
COMMIT;
