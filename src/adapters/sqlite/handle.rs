//! The store as its host has it, and its turns to write.

use core::fmt;
use core::time::Duration;
use std::fs::OpenOptions;
use std::io;
use std::path::{self, Path};
use std::sync::Arc;
use std::time::Instant;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqliteConnection, SqlitePool, Transaction};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::failure::{failed, is_busy};
use crate::words::store_error::{StoreError, StoreErrorKind};

/// How long a call waits for a connection, for its turn to write, and for a lock that another process holds.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries to open a file that others are opening.
const PAUSE: Duration = Duration::from_millis(5);

/// A store in one SQLite file: [`TokenStore`](crate::TokenStore), [`StoreMaintenance`](crate::store::StoreMaintenance) and
/// [`ImportStore`](crate::import::ImportStore).
///
/// What it acknowledges survives a crash of the process and a loss of power: the file is in WAL mode, and each commit is
/// synced (`synchronous=FULL`). Readers never wait for writers. Writers of one process take turns, and one connection
/// at a time, so that verifications always find one; other processes may use the file too.
///
/// A clone shares the pool. It needs a Tokio runtime with its time driver.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use keyfob::{Keyring, Pepper, Prefix, Tokens, store::sqlite::SqliteStore};
///
/// let store = SqliteStore::open("/var/lib/acme/tokens.db").await?;
/// let tokens = Tokens::new(Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?), store);
/// # Ok(())
/// # }
/// ```
///
/// A host that has a SQLite file of its own keeps the tokens in it: it makes its pool of
/// [`connect_options`](Self::connect_options), runs [`MIGRATION`](Self::MIGRATION) with its own tool, and gives the
/// pool to [`from_pool`](Self::from_pool).
#[derive(Clone, Debug)]
pub struct SqliteStore {
    pub(super) pool: SqlitePool,
    /// Whose turn it is to write. SQLite has one writer; its own queue sleeps up to 100 ms a time and is not in order: with 16
    /// tasks that insert, the slowest of 2,000 took 432 ms in that queue and 15 ms in this one.
    writers: Arc<Mutex<()>>,
}

impl SqliteStore {
    /// The schema: one table and its indices, each column explained, for [`migrate`](Self::migrate) or for the host's own
    /// migration tool. It may be run again, and holds no transaction of its own.
    pub const MIGRATION: &'static str = include_str!("0001_keyfob_tokens.sql");

    /// Opens the file, makes it if there is none (on Unix for nobody but its owner to read), and runs the migration.
    ///
    /// # Errors
    /// [`Unavailable`](StoreErrorKind::Unavailable) where the file cannot be opened or is locked for more than 5 seconds,
    /// [`Corrupt`](StoreErrorKind::Corrupt) where it is no database.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        create(path).map_err(|error| failed(error.into()))?;
        let started = Instant::now();
        let pool = loop {
            let pool = SqlitePoolOptions::new().acquire_timeout(PATIENCE);
            match pool.connect_with(Self::connect_options(path)).await {
                // Turning a new file into a WAL one needs it alone, and SQLite does not wait for that.
                Err(error) if is_busy(&error) && started.elapsed() < PATIENCE => tokio::time::sleep(PAUSE).await,
                connected => break connected.map_err(failed)?,
            }
        };
        let store = Self::from_pool(pool).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// The settings that every connection of the store must have, for a host that makes the pool: WAL, `synchronous=FULL`,
    /// 5 seconds of patience with locks, foreign keys on. The file must exist, unless the host says otherwise.
    pub fn connect_options(path: impl AsRef<Path>) -> SqliteConnectOptions {
        let path = path.as_ref();
        // Absolute, for a pool opens its connections later, when the process may stand in another directory; and for
        // ":memory:" to be a file, as one database in memory for each connection would be no store.
        let path = path::absolute(path).unwrap_or_else(|_| path.to_owned());
        SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE)
            .foreign_keys(true)
    }

    /// A store on the host's own pool. It does not migrate. Each call that writes asks its connection again, and fails in the
    /// same way.
    ///
    /// # Errors
    /// [`Other`](StoreErrorKind::Other) where the connection that is asked is not in WAL mode or would acknowledge what is not on disk;
    /// the source says which.
    pub async fn from_pool(pool: SqlitePool) -> Result<Self, StoreError> {
        check_settings(&mut *pool.acquire().await.map_err(failed)?).await?;
        Ok(Self { pool, writers: Arc::default() })
    }

    /// Makes the table and its indices where they are not there, and brings a table of before 0.1.0 to today's columns.
    ///
    /// # Errors
    /// [`StoreError`] where SQLite fails.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        const IS_OLD: &str =
            "SELECT EXISTS (SELECT 1 FROM pragma_table_info('keyfob_tokens') WHERE name = 'notice_stage')";
        let mut writing = self.begin().await?;
        if sqlx::query_scalar(IS_OLD).fetch_one(&mut *writing.within).await.map_err(failed)? {
            sqlx::raw_sql(include_str!("upgrade.sql")).execute(&mut *writing.within).await.map_err(failed)?;
        }
        sqlx::raw_sql(Self::MIGRATION).execute(&mut *writing.within).await.map_err(failed)?;
        writing.commit().await
    }

    /// The pool, for the host's own use of the file.
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// A connection to write one statement on.
    pub(super) async fn writer(&self) -> Result<Writing<PoolConnection<Sqlite>>, StoreError> {
        let turn = self.turn().await?;
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        check_settings(&mut connection).await?;
        Ok(Writing { within: connection, _turn: turn })
    }

    /// A transaction that holds the write lock from its start: one that read first and wrote later could fail half-way
    /// (`SQLITE_BUSY_SNAPSHOT`). Dropped, it is rolled back.
    pub(super) async fn begin(&self) -> Result<Writing<Transaction<'static, Sqlite>>, StoreError> {
        let turn = self.turn().await?;
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        check_settings(&mut transaction).await?;
        Ok(Writing { within: transaction, _turn: turn })
    }

    async fn turn(&self) -> Result<OwnedMutexGuard<()>, StoreError> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.writers).lock_owned()).await;
        turn.map_err(|waited| StoreError::with_source(StoreErrorKind::Unavailable, waited))
    }
}

/// What is written within, and the turn to do so, which ends after it.
pub(super) struct Writing<T> {
    pub(super) within: T,
    _turn: OwnedMutexGuard<()>,
}

impl Writing<Transaction<'static, Sqlite>> {
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        self.within.commit().await.map_err(failed)
    }
}

/// Asks a connection before it writes, because the host may have changed one of its pool.
async fn check_settings(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let journal_mode = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await.map_err(failed)?;
    let synchronous = sqlx::query_scalar("PRAGMA synchronous").fetch_one(connection).await.map_err(failed)?;
    let settings = WeakSettings { journal_mode, synchronous };
    if settings.journal_mode == "wal" && settings.synchronous >= WeakSettings::FULL {
        return Ok(());
    }
    Err(StoreError::with_source(StoreErrorKind::Other, settings))
}

/// Makes an empty file, which is an empty database, so that its mode is ours from the start; SQLite gives the files
/// beside it the same. An existing one stays as it is.
fn create(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// A connection that may lose what it has acknowledged.
#[derive(Debug)]
struct WeakSettings {
    journal_mode: String,
    synchronous: i64,
}

impl WeakSettings {
    /// 0 off, 1 normal, 2 full, 3 extra: <https://www.sqlite.org/pragma.html#pragma_synchronous>.
    const FULL: i64 = 2;
}

impl fmt::Display for WeakSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { journal_mode, synchronous } = self;
        write!(f, "the SQLite connection has journal_mode={journal_mode} and synchronous={synchronous}, ")?;
        write!(f, "but must have wal and at least 2 (FULL): see SqliteStore::connect_options")
    }
}

impl core::error::Error for WeakSettings {}
