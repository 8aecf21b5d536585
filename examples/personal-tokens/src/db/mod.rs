//! The database of the host's own state: people, projects, sessions, models and the audit trail. It
//! is SQLite, PostgreSQL or MariaDB.

mod earlier;
mod query;
mod schema;
mod session;
pub mod takeover;
mod value;

use std::fmt;
use std::path::Path;

use keyfob::store::sqlite::SqliteStore;
use sqlx::SqlitePool;

pub use self::query::{Dialect, On, Query, Row, query};
use self::session::{Pool, Session, with_engine};
pub use self::value::{Truth, Value};
use crate::setup::SetupError;

/// The database of the host's state. Its clones share the connections.
#[derive(Clone)]
pub struct Db {
    pool: Pool,
}

impl fmt::Debug for Db {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Db").field("dialect", &self.dialect()).finish_non_exhaustive()
    }
}

/// A transaction that writes. If it is dropped, it is rolled back.
///
/// The transactions of all processes run one after the other: each first takes the same turn. So
/// what a transaction has read stays true until it commits.
pub struct Tx {
    session: Session,
    dialect: Dialect,
}

impl Db {
    /// Connects to PostgreSQL, and writes nothing.
    ///
    /// # Errors
    /// Returns an error if the database cannot be reached.
    pub async fn postgres(url: &str) -> sqlx::Result<Self> {
        Ok(Self { pool: Pool::postgres(url).await? })
    }

    /// Connects to MariaDB, and writes nothing.
    ///
    /// # Errors
    /// Returns an error if the database cannot be reached.
    pub async fn mariadb(url: &str) -> sqlx::Result<Self> {
        Ok(Self { pool: Pool::mariadb(url).await? })
    }

    /// Uses the SQLite file of a token store, with its connections.
    pub fn of_store(store: &SqliteStore) -> Self {
        Self { pool: Pool::Sqlite(store.pool().clone()) }
    }

    /// Opens a SQLite file and creates its tables. If the file does not exist, creates it.
    ///
    /// # Errors
    /// Returns an error if the file cannot be opened or its tables cannot be created.
    pub async fn open_file(path: &Path) -> Result<Self, SetupError> {
        let db = Self::of_store(&SqliteStore::open(path).await?);
        db.create_tables().await?;
        Ok(db)
    }

    /// Creates the tables that the database lacks, and brings those of an earlier version up to
    /// date. Several processes may do this at the same time.
    ///
    /// # Errors
    /// Returns an error if a table cannot be created.
    pub async fn create_tables(&self) -> sqlx::Result<()> {
        schema::create(self).await
    }

    /// Returns whether the database has a table of the host.
    ///
    /// # Errors
    /// Returns an error if the database fails.
    pub async fn has_table(&self, name: &str) -> sqlx::Result<bool> {
        let sql = match self.dialect() {
            Dialect::Sqlite => "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?)",
            Dialect::Postgres => "SELECT to_regclass(?) IS NOT NULL",
            Dialect::MariaDb => {
                "SELECT EXISTS (SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?)"
            }
        };
        query(sql).bind(name).is_true(self).await
    }

    /// Returns the pool of the connections if the database is SQLite.
    pub fn sqlite(&self) -> Option<&SqlitePool> {
        match &self.pool {
            Pool::Sqlite(pool) => Some(pool),
            Pool::Postgres(_) | Pool::MariaDb(_) => None,
        }
    }

    pub fn dialect(&self) -> Dialect {
        match &self.pool {
            Pool::Sqlite(_) => Dialect::Sqlite,
            Pool::Postgres(_) => Dialect::Postgres,
            Pool::MariaDb(_) => Dialect::MariaDb,
        }
    }

    async fn session(&self) -> sqlx::Result<Session> {
        Ok(Session::new(self.pool.acquire().await?))
    }

    /// Begins a transaction that writes.
    ///
    /// # Errors
    /// Returns an error if the database fails, or if other transactions keep the turn too long.
    pub async fn begin(&self) -> sqlx::Result<Tx> {
        let mut tx = Tx { session: self.session().await?, dialect: self.dialect() };
        tx.session.open();
        match tx.dialect {
            Dialect::Sqlite => tx.session.simple("BEGIN IMMEDIATE").await?,
            Dialect::Postgres | Dialect::MariaDb => {
                tx.session.simple("BEGIN").await?;
                tx.session.simple("SELECT id FROM turns WHERE id = 1 FOR UPDATE").await?;
            }
        }
        Ok(tx)
    }

    /// Closes all connections.
    pub async fn close(&self) {
        with_engine!(Pool, &self.pool, pool => pool.close().await);
    }
}

impl Tx {
    /// Ends the transaction and stores its changes.
    ///
    /// # Errors
    /// Returns an error if the database fails. The changes may or may not be stored.
    pub async fn commit(mut self) -> sqlx::Result<()> {
        self.session.simple("COMMIT").await?;
        self.session.release();
        Ok(())
    }

    /// Ends the transaction without its changes. Unlike dropping it, keeps the connection.
    ///
    /// # Errors
    /// Returns an error if the database fails.
    pub async fn roll_back(mut self) -> sqlx::Result<()> {
        self.session.simple("ROLLBACK").await?;
        self.session.release();
        Ok(())
    }
}
