//! Opens the engine that an address names.
//!
//! To add an engine, add one arm in [`store`] and one in [`side`]. The arm of an SQL engine also
//! needs a [`Dialect`](super::dialect::Dialect), and the type of its connection at the ends of
//! `connection.rs` and `sql.rs`. The arm of any other engine creates a [`Contract`].

use std::path::Path;

use keyfob::store::redis::RedisStore;
use keyfob::store::{DynStore, mysql::MysqlStore, postgres::PostgresStore, sqlite::SqliteStore};
use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions, SqlitePool};

use super::address::Address;
use super::connection::Sql;
use super::contract::Contract;
use super::dialect::{MARIADB, POSTGRES, SQLITE};
use super::side::Side;
use super::{Failure, context, refuse};

/// What a command does with a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// The command reads or fences the store, which must exist.
    Existing,
    /// The command copies to the store. If its tables are missing, the tool creates them.
    CopyTo,
    /// The command only reads the store. If the store does not exist, an empty store takes its
    /// place.
    IfAny,
}

/// Opens a store for a command that uses the contract.
///
/// # Errors
/// Returns an error that names the address, if the store does not exist or cannot be opened, or if
/// the tool does not know the engine.
pub async fn store(address: &Address) -> Result<DynStore, Failure> {
    let opened = async {
        Ok(match address {
            Address::Sqlite(path) => DynStore::with_imports(sqlite(path).await?),
            Address::Url(url) => match address.scheme() {
                "postgres" | "postgresql" => {
                    let store = PostgresStore::connect(url).await?;
                    store.check_schema().await?;
                    DynStore::with_imports(store)
                }
                "mysql" | "mariadb" => {
                    let store = MysqlStore::connect(url).await?;
                    store.check_schema().await?;
                    DynStore::with_imports(store)
                }
                "redis" | "rediss" => DynStore::new(RedisStore::connect(url.split(',')).await?),
                _ => return unknown(),
            },
        })
    };
    opened.await.map_err(|error| context(format!("cannot open {address}"), error))
}

/// Opens one side of a copy or a comparison.
///
/// # Errors
/// Returns an error that names the address, if the store does not exist or cannot be opened, if its
/// tables have unknown columns, or if the tool does not know the engine.
pub async fn side(address: &Address, purpose: Purpose) -> Result<Box<dyn Side>, Failure> {
    let opened = async {
        let mut side: Box<dyn Side> = match address {
            Address::Sqlite(path) => match (purpose, path.exists()) {
                (Purpose::CopyTo, _) => {
                    SqliteStore::open(path).await?.pool().close().await;
                    Box::new(sqlite_side(path).await?)
                }
                (Purpose::IfAny, false) => return empty().await,
                _ => Box::new(sqlite_side(path).await?),
            },
            Address::Url(url) => match address.scheme() {
                "postgres" | "postgresql" => {
                    // `connect` refuses a database that may lose acknowledged writes.
                    let store = PostgresStore::connect(url).await?;
                    if purpose == Purpose::CopyTo {
                        store.migrate().await?;
                    }
                    let connection = store.pool().acquire().await?.detach();
                    store.pool().close().await;
                    Box::new(Sql::<sqlx::PgConnection>::new(connection, &POSTGRES, None).await?)
                }
                "mysql" | "mariadb" => {
                    let store = MysqlStore::connect(url).await?;
                    if purpose == Purpose::CopyTo {
                        store.migrate().await?;
                    }
                    let connection = store.pool().acquire().await?.detach();
                    store.pool().close().await;
                    Box::new(Sql::<sqlx::MySqlConnection>::new(connection, &MARIADB, None).await?)
                }
                "redis" | "rediss" => Box::new(Contract::new(store(address).await?, "Redis", address.to_string())),
                _ => return unknown(),
            },
        };
        match (side.has_table().await?, purpose) {
            (true, _) => Ok(side),
            (false, Purpose::IfAny) => empty().await,
            (false, _) => refuse("it has no table keyfob_tokens (is this the database of the tokens?)"),
        }
    };
    opened.await.map_err(|error| context(format!("cannot open {address}"), error))
}

fn unknown<T>() -> Result<T, Failure> {
    refuse("the tool does not know this kind of address (sqlite:///path, postgres://…, mysql://… or redis://…)")
}

/// Opens a SQLite store whose file exists.
async fn sqlite(path: &Path) -> Result<SqliteStore, Failure> {
    if !path.exists() {
        return refuse("no such file");
    }
    let pool = SqlitePool::connect_with(SqliteStore::connect_options(path)).await?;
    let store = SqliteStore::from_pool(pool).await?;
    store.check_schema().await?;
    Ok(store)
}

async fn sqlite_side(path: &Path) -> Result<Sql<SqliteConnection>, Failure> {
    if !path.exists() {
        return refuse("no such file");
    }
    let mut lock = path.as_os_str().to_owned();
    lock.push(".copy-lock");
    let connection = SqliteStore::connect_options(path).connect().await?;
    Sql::<SqliteConnection>::new(connection, &SQLITE, Some(lock.into())).await
}

/// Returns an empty store in memory, for a dry run.
async fn empty() -> Result<Box<dyn Side>, Failure> {
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new().in_memory(true).connect().await?;
    for migration in SqliteStore::MIGRATIONS {
        sqlx::raw_sql(migration.sql).execute(&mut connection).await?;
    }
    Ok(Box::new(Sql::<SqliteConnection>::new(connection, &SQLITE, None).await?))
}
