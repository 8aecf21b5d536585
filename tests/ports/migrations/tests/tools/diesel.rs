//! diesel: one folder for each migration, such as `00000000000002_keyfob_tokens/up.sql`. keyfob has
//! no `down.sql`, because it would delete every token.

use diesel::{Connection, SqliteConnection};
use diesel_async::{AsyncConnection, AsyncMigrationHarness, AsyncPgConnection};
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use port_support::postgres;

use super::{folder, postgres_is_ready, sqlite_is_ready};

fn path_of(number: usize, name: &str) -> String {
    format!("{number:014}_{name}/up.sql")
}

#[tokio::test]
async fn migrates_a_sqlite_file() {
    let (folder, data) = (folder("sqlite", path_of), tempfile::tempdir().unwrap());
    let path = data.path().join("host.db");
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    for count in [2, 0] {
        let files = FileBasedMigrations::from_path(folder.path()).unwrap();
        assert_eq!(connection.run_pending_migrations(files).unwrap().len(), count);
    }
    drop(connection);
    sqlite_is_ready(&path).await;
}

/// Needs a runtime with several threads, because diesel's migrations block their thread.
#[tokio::test(flavor = "multi_thread")]
async fn migrates_a_postgres_database() {
    let Some(server) = postgres::shared() else { return };
    let (folder, url) = (folder("postgres", path_of), server.database());
    let mut harness = AsyncMigrationHarness::new(AsyncPgConnection::establish(&url).await.unwrap());
    for count in [2, 0] {
        let files = FileBasedMigrations::from_path(folder.path()).unwrap();
        assert_eq!(harness.run_pending_migrations(files).unwrap().len(), count);
    }
    postgres_is_ready(&url).await;
}
