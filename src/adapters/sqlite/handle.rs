//! The public type of the SQLite store, its connections, and the queue of its writers.

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

/// The longest time that a call waits for a connection, for its turn to write, or for a lock that
/// another process holds.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pause between two attempts to open a file that other processes are opening.
const PAUSE: Duration = Duration::from_millis(5);

/// A token store in one SQLite file. It implements [`TokenStore`](crate::TokenStore),
/// [`StoreMaintenance`](crate::store::StoreMaintenance) and
/// [`ImportStore`](crate::import::ImportStore).
///
/// An acknowledged write survives a crash of the process and a loss of power: the file is in WAL
/// mode, and SQLite syncs each commit (`synchronous=FULL`). Readers never wait for writers. The
/// writers of one process take turns and use one connection at a time, so the other connections of
/// the pool remain free for verifications. Other processes may use the file at the same time.
///
/// A clone shares the pool. The store needs a Tokio runtime with its time driver enabled.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use keyfob::{Keyring, Pepper, Prefix, Tokens, store::sqlite::SqliteStore};
///
/// let store = SqliteStore::open("/var/lib/acme/tokens.db").await?;
/// let keyring = Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?);
/// let tokens = Tokens::new(keyring, store);
/// # Ok(())
/// # }
/// ```
///
/// If your service already has a SQLite file, it can keep its tokens in that file. Build the pool
/// with [`connect_options`](Self::connect_options), run [`MIGRATIONS`](Self::MIGRATIONS) with your
/// own migration tool, pass the pool to [`from_pool`](Self::from_pool), and call
/// [`check_schema`](Self::check_schema).
#[derive(Clone, Debug)]
pub struct SqliteStore {
    pub(super) pool: SqlitePool,
    /// The lock that a call of this process holds while it writes. SQLite allows one writer at a
    /// time. A writer that waits in SQLite sleeps up to 100 ms before each attempt, and SQLite does
    /// not serve writers in order. With 16 tasks that insert, the slowest of 2,000 inserts took 432
    /// ms if the tasks waited in SQLite, and 15 ms if they waited for this lock.
    writers: Arc<Mutex<()>>,
}

impl SqliteStore {
    /// Opens a database file and runs the migrations. If the file does not exist, creates it. On
    /// Unix, only the owner of the new file can read and write it.
    ///
    /// # Errors
    /// - Returns [`Unavailable`](StoreErrorKind::Unavailable) if the file cannot be created or
    ///   opened, or if another process locks it for more than 5 seconds.
    /// - Returns [`Corrupt`](StoreErrorKind::Corrupt) if the file is not a SQLite database.
    /// - Returns [`Other`](StoreErrorKind::Other) if the file cannot be put into WAL mode.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        create(path).map_err(|error| failed(error.into()))?;
        let started = Instant::now();
        let pool = loop {
            let pool = SqlitePoolOptions::new().acquire_timeout(PATIENCE);
            match pool.connect_with(Self::connect_options(path)).await {
                // Putting a new file into WAL mode needs an exclusive lock, for which SQLite does
                // not wait.
                Err(error) if is_busy(&error) && started.elapsed() < PATIENCE => tokio::time::sleep(PAUSE).await,
                connected => break connected.map_err(failed)?,
            }
        };
        let store = Self::from_pool(pool).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// Returns the settings that every connection of the store needs: WAL mode, `synchronous=FULL`,
    /// a busy timeout of 5 seconds, and foreign keys. Use these settings if your service builds
    /// the pool itself. Opening a connection fails if the file does not exist, unless the service
    /// sets `create_if_missing`.
    pub fn connect_options(path: impl AsRef<Path>) -> SqliteConnectOptions {
        let path = path.as_ref();
        // The path is made absolute because the pool opens connections later, when the process may
        // have another working directory. An absolute path also turns ":memory:" into a file name.
        // With an in-memory database, each connection would have a database of its own.
        let path = path::absolute(path).unwrap_or_else(|_| path.to_owned());
        SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE)
            .foreign_keys(true)
    }

    /// Creates a store that uses a pool of your service. This function does not run the migrations.
    /// Then call [`migrate`](Self::migrate), or [`check_schema`](Self::check_schema) if your own
    /// tool has run them.
    ///
    /// The function checks the settings of one connection of the pool. Each later write checks the
    /// connection that it uses, and returns [`Other`](StoreErrorKind::Other) if the settings of
    /// this connection are too weak.
    ///
    /// # Errors
    /// - Returns [`Other`](StoreErrorKind::Other) if the connection is not in WAL mode, or if its
    ///   `synchronous` setting is below `FULL`. Such a connection could acknowledge a commit that
    ///   is not on disk. The source of the error names both settings.
    /// - Returns [`Unavailable`](StoreErrorKind::Unavailable) if no connection becomes free within
    ///   the time limit of the pool.
    pub async fn from_pool(pool: SqlitePool) -> Result<Self, StoreError> {
        check_settings(&mut *pool.acquire().await.map_err(failed)?).await?;
        Ok(Self { pool, writers: Arc::default() })
    }

    /// Returns the pool, so that the service can use the same file for its own tables.
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Waits until no other call of this process writes. Returns a connection for one statement
    /// that writes.
    pub(super) async fn writer(&self) -> Result<Writing<PoolConnection<Sqlite>>, StoreError> {
        let turn = self.turn().await?;
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        check_settings(&mut connection).await?;
        Ok(Writing { within: connection, _turn: turn })
    }

    /// Begins a transaction that holds the write lock of the file from the start of the
    /// transaction. Without this lock, a transaction that reads first and writes later could fail
    /// half-way (`SQLITE_BUSY_SNAPSHOT`). Dropping the transaction rolls it back.
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

/// A connection or a transaction that may write, together with the lock that keeps other calls of
/// this process from writing. Dropping this value first releases the connection or the transaction,
/// and then the lock.
pub(super) struct Writing<T> {
    pub(super) within: T,
    _turn: OwnedMutexGuard<()>,
}

impl Writing<Transaction<'static, Sqlite>> {
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        self.within.commit().await.map_err(failed)
    }
}

/// Checks the settings of a connection before a write, because the service may have changed the
/// settings of connections in its pool.
async fn check_settings(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let journal_mode = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await.map_err(failed)?;
    let synchronous = sqlx::query_scalar("PRAGMA synchronous").fetch_one(connection).await.map_err(failed)?;
    let settings = WeakSettings { journal_mode, synchronous };
    if settings.journal_mode == "wal" && settings.synchronous >= WeakSettings::FULL {
        return Ok(());
    }
    Err(StoreError::with_source(StoreErrorKind::Other, settings))
}

/// Creates an empty file, which is a valid empty database, if the file does not exist. On Unix, the
/// new file has the mode 600, so only its owner can read and write it. SQLite gives the `-wal` and
/// `-shm` files the same mode. An existing file keeps its mode.
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

/// The error for a connection with settings under which acknowledged writes can be lost.
#[derive(Debug)]
struct WeakSettings {
    journal_mode: String,
    synchronous: i64,
}

impl WeakSettings {
    /// The lowest value of `synchronous` that is safe. SQLite's values are 0 (off), 1 (normal), 2
    /// (full) and 3 (extra): <https://www.sqlite.org/pragma.html#pragma_synchronous>.
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
