//! Tests of the store in MariaDB: every law of the store contract, and the features that only this
//! engine has.

mod connections;
mod crash;
mod plans;

use std::time::Duration;

use keyfob::{
    Policy, TokenRecord, TokenStore,
    conformance::Handles,
    mint,
    record::{Revocation, RevocationReason},
    store::{COLUMNS, StoreErrorKind, mysql::MysqlStore},
};
use sqlx::mysql::MySqlPoolOptions;

#[cfg(feature = "serde")]
use crate::support::kit::serves_texts_of_an_earlier_rule;
use crate::support::kit::{World, keeps_every_law};
use crate::support::mariadb::{Server, shared};
use crate::support::{actor, keyring, new_token, now};

mod on_a_pool {
    use super::*;

    async fn world() -> Option<World> {
        let server = shared()?;
        World::new(server.store().await, server)
    }

    each_law!([token_store, maintenance, import, rules], world().await);
}

mod with_two_handles {
    use super::*;

    async fn handles() -> Option<World> {
        let server = shared()?;
        let url = server.database();
        let first = MysqlStore::connect(&url).await.unwrap();
        first.migrate().await.unwrap();
        World::new(Handles::new(first, MysqlStore::connect(&url).await.unwrap()), server)
    }

    each_law!([shared, shared_maintenance, shared_import], handles().await);
}

#[cfg(feature = "serde")]
#[tokio::test]
async fn texts_of_an_earlier_rule_are_served() {
    let Some(server) = shared() else { return };
    serves_texts_of_an_earlier_rule(server.store().await).await;
}

fn record() -> TokenRecord {
    mint(&keyring(), &Policy::default(), new_token(), &actor(), now()).unwrap().record
}

/// Returns a store on a pool of one connection, which runs this SQL first.
async fn store_with(url: &str, sql: &'static str) -> Result<MysqlStore, keyfob::store::StoreError> {
    let pool = MySqlPoolOptions::new().max_connections(1).after_connect(move |connection, _| {
        Box::pin(async move { sqlx::raw_sql(sql).execute(connection).await.map(drop) })
    });
    MysqlStore::from_pool(pool.connect(url).await.unwrap()).await
}

fn source(error: &keyfob::store::StoreError) -> String {
    let mut texts = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        texts.push(error.to_string());
        cause = error.source();
    }
    texts.join(": ")
}

async fn url_of(server: &Server, store: &MysqlStore) -> String {
    let name: String = sqlx::query_scalar("SELECT database()").fetch_one(store.pool()).await.unwrap();
    format!("mysql://tests@127.0.0.1:{}/{name}", server.port)
}

#[tokio::test]
async fn settings_that_may_lose_tokens_are_refused() {
    let Some(server) = Server::start_in(std::env::temp_dir(), &["log-bin", "sync-binlog=1"]) else { return };
    let url = server.database();
    for (session, named) in [
        ("SET autocommit = 0", "autocommit is off"),
        ("SET sql_mode = ''", "sql_mode is not strict"),
        ("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED", "READ UNCOMMITTED"),
    ] {
        let error = store_with(&url, session).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Other);
        assert!(source(&error).contains(named), "{}", source(&error));
    }
    // A store that is open refuses a write after an administrator has weakened the server.
    let store = MysqlStore::connect(&url).await.unwrap();
    store.migrate().await.unwrap();
    for (setting, weak, safe) in [("innodb_flush_log_at_trx_commit", "0 2", "3 1"), ("sync_binlog", "0 100", "1")] {
        for value in weak.split(' ') {
            server.ask(&format!("SET GLOBAL {setting} = {value}"));
            let named = format!("{setting} is {value}, but must be 1");
            let error = MysqlStore::connect(&url).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Other);
            assert!(source(&error).contains(&named), "{}", source(&error));
            let error = store.insert(record(), None, None).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Other);
            assert!(source(&error).contains(&named), "{}", source(&error));
        }
        for value in safe.split(' ') {
            server.ask(&format!("SET GLOBAL {setting} = {value}"));
            store.insert(record(), None, None).await.unwrap();
        }
    }
}

/// A host may run the migrations as another user than its service. The user of the service then
/// needs only four privileges on each table. The store keeps every law as this user, with a single
/// connection, and with the strictest defaults of the service's pool.
#[tokio::test]
async fn a_user_that_cannot_create_tables_opens_a_checked_store() {
    let Some(server) = shared() else { return };
    let owner = server.store().await;
    let url = url_of(&server, &owner).await;
    let name = url.rsplit('/').next().unwrap().to_owned();
    server.ask("CREATE USER IF NOT EXISTS narrow@'127.0.0.1'");
    for table in ["keyfob_tokens", "keyfob_turns"] {
        server.ask(&format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {name}.{table} TO narrow@'127.0.0.1'"));
    }
    let defaults = "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY; SET sql_mode = 'TRADITIONAL,ANSI'";
    let store = store_with(&url.replace("tests@", "narrow@"), defaults).await.unwrap();
    store.check_schema().await.unwrap();
    keeps_every_law(store.clone()).await;
    let fresh = server.database().rsplit('/').next().unwrap().to_owned();
    server.ask(&format!("GRANT SELECT ON {fresh}.* TO narrow@'127.0.0.1'"));
    let elsewhere = MysqlStore::connect(&url.replace("tests@", "narrow@").replace(&name, &fresh)).await.unwrap();
    assert_eq!(elsewhere.migrate().await.unwrap_err().kind(), StoreErrorKind::Other);
    for table in ["keyfob_tokens", "keyfob_turns"] {
        for privilege in ["INSERT", "UPDATE", "DELETE"] {
            server.ask(&format!("REVOKE {privilege} ON {name}.{table} FROM narrow@'127.0.0.1'"));
            let fault = schema_fault(&store).await;
            assert!(fault.contains(&format!("no privilege {privilege} on {table}")), "{fault}");
            server.ask(&format!("GRANT {privilege} ON {name}.{table} TO narrow@'127.0.0.1'"));
        }
    }
    store.check_schema().await.unwrap();
}

/// Checks that the schema is refused. Returns the text of the cause.
async fn schema_fault(store: &MysqlStore) -> String {
    let error = store.check_schema().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Schema);
    source(&error)
}

#[tokio::test]
async fn the_check_of_the_schema_names_each_missing_or_different_part() {
    let Some(server) = shared() else { return };
    let store = MysqlStore::connect(&server.database()).await.unwrap();
    assert!(schema_fault(&store).await.starts_with("the database has no table keyfob_tokens"));
    store.migrate().await.unwrap();
    let run = async |sql: &str| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(store.pool()).await.unwrap();
    };
    run("ALTER TABLE keyfob_tokens ADD COLUMN team TEXT, ADD INDEX teams (created_by)").await;
    store.check_schema().await.unwrap();
    let renamed = COLUMNS.map(|column| column.name).into_iter().chain(["name_folded", "import_key"]);
    // The server keeps the definitions that use a column, so only columns without them are renamed.
    let free = ["prefix", "name", "scopes", "last_used_client", "notice_leases", "version", "import_salt"];
    for column in renamed.filter(|column| free.contains(column)) {
        run(&format!("ALTER TABLE keyfob_tokens DROP CONSTRAINT IF EXISTS version, RENAME COLUMN {column} TO renamed"))
            .await;
        let fault = schema_fault(&store).await;
        assert!(fault.contains(&format!("no column keyfob_tokens.{column} (")), "{fault}");
        run(&format!("ALTER TABLE keyfob_tokens RENAME COLUMN renamed TO {column}")).await;
    }
    for (change, named, back) in [
        ("ENGINE = Aria", "the table keyfob_tokens is \"Aria\", but must be \"InnoDB\"", "ENGINE = InnoDB"),
        (
            "MODIFY family VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL",
            "is \"varchar(16) utf8mb4_general_ci NOT NULL\", but must be \"varchar(16) bytewise NOT NULL\"",
            "MODIFY family VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL",
        ),
        (
            "MODIFY owner VARCHAR(100) NOT NULL",
            "the column keyfob_tokens.owner is \"varchar(100)",
            "MODIFY owner VARCHAR(255) NOT NULL",
        ),
        (
            "MODIFY version BIGINT NULL",
            "the column keyfob_tokens.version is \"bigint\"",
            "MODIFY version BIGINT NOT NULL",
        ),
        (
            "DROP INDEX keyfob_tokens_name",
            "no index keyfob_tokens_name (project, name_folded, id)",
            "ADD INDEX keyfob_tokens_name (project, name_folded, id)",
        ),
        (
            "DROP INDEX keyfob_tokens_import, ADD INDEX keyfob_tokens_import (import_key)",
            "the index keyfob_tokens_import is \"import_key\", but must be \"UNIQUE import_key\"",
            "DROP INDEX keyfob_tokens_import, ADD UNIQUE INDEX keyfob_tokens_import (import_key)",
        ),
    ] {
        run(&format!("ALTER TABLE keyfob_tokens {change}")).await;
        let fault = schema_fault(&store).await;
        assert!(fault.contains(named), "{change}: {fault}");
        run(&format!("ALTER TABLE keyfob_tokens {back}")).await;
        store.check_schema().await.unwrap();
    }
    run("DROP TABLE keyfob_turns").await;
    assert!(schema_fault(&store).await.starts_with("the database has no table keyfob_turns"));
}

#[tokio::test]
async fn processes_migrate_concurrently_and_again() {
    let Some(server) = shared() else { return };
    let url = server.database();
    let migrate = async || MysqlStore::connect(&url).await.unwrap().migrate().await;
    let (a, b, c) = tokio::join!(migrate(), migrate(), migrate());
    a.and(b).and(c).unwrap();
    migrate().await.unwrap();
}

#[tokio::test]
async fn an_open_transaction_elsewhere_delays_no_find() {
    let Some(server) = shared() else { return };
    let store = server.store().await;
    let key = store.insert(record(), None, None).await.unwrap().key();
    // On a connection of the store, the server would end this transaction after 10 seconds.
    let mut other = sqlx::MySqlPool::connect(&url_of(&server, &store).await).await.unwrap().begin().await.unwrap();
    sqlx::query("SELECT 1 FROM keyfob_tokens FOR UPDATE").execute(&mut *other).await.unwrap();
    let found = tokio::time::timeout(Duration::from_secs(2), store.find(&key)).await.unwrap().unwrap();
    assert!(found.is_some());

    // A write that waits for the other transaction fails after a time, and changes nothing.
    let revocation = Revocation { at: now(), by: actor(), reason: RevocationReason::KeyCompromise };
    assert_eq!(store.revoke(&key, &revocation).await.unwrap_err().kind(), StoreErrorKind::Unavailable);
    let refused = store.revoke_owner(&key.project, &found.unwrap().owner, &revocation).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Unavailable);
    drop(other);
    assert!(store.find(&key).await.unwrap().unwrap().revoked.is_none());
    assert!(store.revoke(&key, &revocation).await.unwrap().unwrap().revoked.is_some());
}

/// The URL can contain a password, so no error may contain the URL.
#[tokio::test]
async fn no_error_shows_the_url() {
    for url in ["mysql://ada:hunter2@[", "postgres://ada:hunter2@db/x", "mysql://ada:hunter2@127.0.0.1:1/x"] {
        let error = MysqlStore::connect(url).await.unwrap_err();
        assert!(!format!("{error:?}").contains("hunter2"), "{url}");
    }
}

/// A space at the end of a text counts. A collation that pads would revoke the tokens of another
/// owner.
#[cfg(feature = "serde")]
#[tokio::test]
async fn a_space_at_the_end_of_a_text_counts() {
    let Some(server) = shared() else { return };
    let store = server.store().await;
    let plain = store.insert(record(), None, None).await.unwrap();
    let mut padded = serde_json::to_value(record()).unwrap();
    padded["owner"] = format!("{} ", plain.owner.as_str()).into();
    let padded = store.insert(serde_json::from_value(padded).unwrap(), None, None).await.unwrap();
    let revocation = Revocation { at: now(), by: actor(), reason: RevocationReason::KeyCompromise };
    assert_eq!(store.revoke_owner(&plain.project, &plain.owner, &revocation).await.unwrap(), 1);
    assert!(store.find(&padded.key()).await.unwrap().unwrap().revoked.is_none());
}
