//! A host on SeaORM 2. Its pool is a pool of sqlx 0.9, which the stores of keyfob can share.

use std::error::Error;
use std::path::Path;

use keyfob::store::{Migration, postgres::PostgresStore, sqlite::SqliteStore};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr};

/// Connects to PostgreSQL, and opens a token store on the pool of SeaORM.
///
/// # Errors
/// Returns the error of SeaORM or of the store if the database cannot be reached or migrated.
pub async fn on_postgres(url: &str) -> Result<(DatabaseConnection, PostgresStore), Box<dyn Error>> {
    let mut options = ConnectOptions::new(url);
    // The store needs at least 6 connections. If the pool checked each connection before its use, a
    // look-up would take two round trips. So it checks only connections that were idle for a
    // second.
    options.max_connections(20).test_before_acquire_if_idle_for(std::time::Duration::from_secs(1));
    let database = Database::connect(options).await?;
    migrate(&database, PostgresStore::MIGRATIONS).await?;
    let store = PostgresStore::from_pool(database.get_postgres_connection_pool().clone()).await?;
    store.check_schema().await?;
    Ok((database, store))
}

/// Opens a SQLite file, and a token store on the pool of SeaORM.
///
/// # Errors
/// Returns the error of SeaORM or of the store if the file cannot be opened or migrated.
pub async fn on_sqlite(path: &Path) -> Result<(DatabaseConnection, SqliteStore), Box<dyn Error>> {
    let mut options = ConnectOptions::new("sqlite://");
    // The pool of SeaORM has one connection for SQLite unless the host sets a number. The closure
    // replaces the settings of SeaORM by those that the store demands.
    let needed = SqliteStore::connect_options(path).create_if_missing(true);
    options.max_connections(5).map_sqlx_sqlite_opts(move |_| needed.clone());
    let database = Database::connect(options).await?;
    migrate(&database, SqliteStore::MIGRATIONS).await?;
    let store = SqliteStore::from_pool(database.get_sqlite_connection_pool().clone()).await?;
    store.check_schema().await?;
    Ok((database, store))
}

/// Runs keyfob's scripts. A host with `sea-orm-migration` calls `execute_unprepared` in the method
/// `up` of one of its own migrations.
async fn migrate(database: &DatabaseConnection, migrations: &[Migration]) -> Result<(), DbErr> {
    for migration in migrations {
        database.execute_unprepared(migration.sql).await?;
    }
    Ok(())
}
