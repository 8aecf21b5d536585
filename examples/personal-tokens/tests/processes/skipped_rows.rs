//! Tests the inserts that do nothing if the row exists: they skip only a duplicate, and every other
//! error is reported. MariaDB's `INSERT IGNORE` would also shorten texts and skip references.

use personal_tokens::db::{Db, Tx, query};
use personal_tokens::people::accounts;

use crate::{mariadb, postgres, process};

const INSERT: &str = "INSERT INTO spent_forms (user_id, form, at) VALUES (?, ?, 0) ON CONFLICT DO NOTHING";

async fn insert(tx: &mut Tx, user: i64, form: &str) -> sqlx::Result<u64> {
    query(INSERT).bind(user).bind(form).execute(tx).await
}

async fn forms(db: &Db) -> Vec<String> {
    query("SELECT form FROM spent_forms ORDER BY form").column(db).await.unwrap()
}

/// Checks that only a duplicate is skipped, and that its transaction continues.
async fn skips_only_a_duplicate(db: &Db) {
    db.create_tables().await.unwrap();
    // A second start finds the rows of the first.
    db.create_tables().await.unwrap();
    let mut tx = db.begin().await.unwrap();
    let user = accounts::insert(&mut tx, "ada", "hash").await.unwrap();
    assert_eq!(insert(&mut tx, user, "a").await.unwrap(), 1);
    assert_eq!(insert(&mut tx, user, "a").await.unwrap(), 0);
    assert_eq!(insert(&mut tx, user, "b").await.unwrap(), 1);
    tx.commit().await.unwrap();
    let outside = query(INSERT).bind(user).bind("b").execute(db).await.unwrap();
    assert_eq!((outside, forms(db).await), (0, vec!["a".to_owned(), "b".to_owned()]));

    let missing = query(INSERT).bind(user + 1).bind("c").execute(db).await.unwrap_err();
    assert!(missing.as_database_error().unwrap().is_foreign_key_violation(), "{missing}");
    assert_eq!(forms(db).await.len(), 2);
}

/// Checks that a text that does not fit its column is an error, and is not shortened.
async fn shortens_no_text(db: &Db) {
    let user: i64 = query("SELECT id FROM users").value(db).await.unwrap();
    let fits = "f".repeat(64);
    let refused = query(INSERT).bind(user).bind(format!("{fits}g")).execute(db).await.unwrap_err();
    assert!(refused.to_string().contains("Data too long for column 'form'"), "{refused}");
    assert_eq!(forms(db).await.len(), 2);
    assert_eq!(query(INSERT).bind(user).bind(&fits).execute(db).await.unwrap(), 1);
}

#[tokio::test]
async fn sqlite_skips_only_a_duplicate() {
    let dir = crate::support::tempdir();
    let db = Db::open_file(&dir.path().join("host.db")).await.unwrap();
    skips_only_a_duplicate(&db).await;
}

#[tokio::test]
async fn postgresql_skips_only_a_duplicate() {
    let Some(server) = postgres::shared() else { return };
    skips_only_a_duplicate(&Db::postgres(&server.database()).await.unwrap()).await;
}

#[tokio::test]
async fn mariadb_skips_only_a_duplicate() {
    let Some(server) = mariadb::shared() else { return };
    let db = Db::mariadb(&server.database()).await.unwrap();
    skips_only_a_duplicate(&db).await;
    shortens_no_text(&db).await;
}

/// By default, a server with this setting shortens a text that does not fit.
#[tokio::test]
async fn mariadb_that_is_not_strict_skips_only_a_duplicate() {
    let Some(server) = mariadb::Server::start_in(process::quick(), &["sql-mode="]) else { return };
    let db = Db::mariadb(&server.database()).await.unwrap();
    skips_only_a_duplicate(&db).await;
    shortens_no_text(&db).await;
}
