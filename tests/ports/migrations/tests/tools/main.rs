//! Runs keyfob's migrations with the migration tools of other crates. Each test copies the files
//! into the folder of a host's own migrations, runs the tool, and then opens a store that creates
//! no tables itself.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod diesel;
mod refinery;
mod sqlx;

use std::fs;
use std::path::Path;

use keyfob::store::{postgres::PostgresStore, sqlite::SqliteStore};
use port_support::{migrations, serves};
use tempfile::TempDir;

/// The first migration of the host, which creates a table of its own.
const HOST: &str = "CREATE TABLE users (id TEXT PRIMARY KEY);\n";

/// Returns a folder with a migration of the host and with keyfob's migrations for an engine.
/// `path_of` returns the path that a tool expects for a migration, from its number and its name.
fn folder(engine: &str, path_of: fn(usize, &str) -> String) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |path: String, sql: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, sql).unwrap();
    };
    write(path_of(1, "users"), HOST);
    let mut files: Vec<_> = fs::read_dir(migrations(engine)).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for (number, file) in files.iter().enumerate() {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let (_, name) = name.split_once('_').unwrap();
        write(path_of(number + 2, name), &fs::read_to_string(file).unwrap());
    }
    folder
}

/// Checks that a tool has created the schema in this file, and that a store serves from it.
async fn sqlite_is_ready(path: &Path) {
    let pool = ::sqlx::sqlite::SqlitePoolOptions::new().connect_with(SqliteStore::connect_options(path)).await.unwrap();
    let store = SqliteStore::from_pool(pool).await.unwrap();
    store.check_schema().await.unwrap();
    ::sqlx::query("SELECT id FROM users").fetch_all(store.pool()).await.unwrap();
    serves(store).await;
}

/// Checks that a tool has created the schema in this database, and that a store serves from it.
async fn postgres_is_ready(url: &str) {
    let pool = ::sqlx::PgPool::connect(url).await.unwrap();
    let store = PostgresStore::from_pool(pool).await.unwrap();
    store.check_schema().await.unwrap();
    ::sqlx::query("SELECT id FROM users").fetch_all(store.pool()).await.unwrap();
    serves(store).await;
}
