//! `sqlx migrate`: files in one folder, such as `2_keyfob_tokens.sql`.

use keyfob::store::sqlite::SqliteStore;
use port_support::postgres;
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqlitePool;

use super::{folder, postgres_is_ready, sqlite_is_ready};

fn path_of(number: usize, name: &str) -> String {
    format!("{number:04}_{name}.sql")
}

#[tokio::test]
async fn migrates_a_sqlite_file() {
    let folder = folder("sqlite", path_of);
    let path = folder.path().join("host.db");
    let pool = SqlitePool::connect_with(SqliteStore::connect_options(&path).create_if_missing(true)).await.unwrap();
    // The second run checks the checksums of the files.
    for _ in 0..2 {
        Migrator::new(folder.path()).await.unwrap().run(&pool).await.unwrap();
    }
    sqlite_is_ready(&path).await;
}

#[tokio::test]
async fn migrates_a_postgres_database() {
    let Some(server) = postgres::shared() else { return };
    let (folder, url) = (folder("postgres", path_of), server.database());
    let pool = PgPool::connect(&url).await.unwrap();
    for _ in 0..2 {
        Migrator::new(folder.path()).await.unwrap().run(&pool).await.unwrap();
    }
    postgres_is_ready(&url).await;
}
