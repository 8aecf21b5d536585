//! The public type of the MySQL store.

use core::fmt;
use core::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::{MySql, MySqlPool};

use super::failure::failed;
use super::settings::{self, PREPARE};
use crate::adapters::sql::access::Access;
use crate::adapters::sql::changed::Changed;
use crate::adapters::sql::lease::Lease;
use crate::adapters::sql::patience::{PATIENCE, within};
use crate::adapters::sql::server::Server;
use crate::rules::precondition::LiveLimit;
use crate::rules::record::TokenRecord;
use crate::words::store_error::{StoreError, StoreErrorKind};

/// The idle time after which the pool checks a connection before the next use.
const IDLE: Duration = Duration::from_secs(1);

/// A token store in a MariaDB database. Any number of processes may use the same database. The
/// store implements [`TokenStore`](crate::TokenStore),
/// [`StoreMaintenance`](crate::store::StoreMaintenance) and
/// [`ImportStore`](crate::import::ImportStore).
///
/// The store is tested on Debian's MariaDB 10.11. Its SQL avoids what only MariaDB knows, but it is
/// **not tested** on MySQL.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use keyfob::{Keyring, Pepper, Prefix, Tokens, store::mysql::MysqlStore};
///
/// let store = MysqlStore::connect("mysql://acme@db.internal/acme").await?;
/// store.migrate().await?;
/// let keyring = Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?);
/// let tokens = Tokens::new(keyring, store);
/// # Ok(())
/// # }
/// ```
///
/// The store finds a token, or a token and its issuers, with one prepared look-up in the primary
/// key (project, id). An operation that changes several tokens of a project, or counts them first,
/// takes the project's turn: it locks the project's row in `keyfob_turns`. Every call names its
/// project, except imports and the list of projects.
///
/// A clone shares the pool. The store needs a Tokio runtime with its time driver enabled. The
/// runtime must keep running between calls. Each statement runs in a task of its own: if a call is
/// dropped half-way, the statement ends before its connection returns to the pool.
///
/// # Settings of the server
///
/// An acknowledged write must be on disk, so each transaction checks the settings below. If one of
/// them is too weak, the call fails with [`Other`](StoreErrorKind::Other), and the source of the
/// error names the setting.
///
/// - `innodb_flush_log_at_trx_commit` must be 1, or 3 on MariaDB.
/// - If the binary log is on, `sync_binlog` must be 1. After a crash, InnoDB rolls back each
///   transaction that is not in the binary log.
/// - `autocommit` must be on, so that a read sees the latest commit.
/// - `sql_mode` must contain `STRICT_TRANS_TABLES` or `STRICT_ALL_TABLES`.
///
/// On the connections that it uses, the store lowers `innodb_lock_wait_timeout` and
/// `lock_wait_timeout` to at most 5 seconds. On MariaDB, it lowers `idle_transaction_timeout` to at
/// most 10 seconds.
///
/// # Time limits
///
/// A call that takes longer than 5 seconds fails with [`Unavailable`](StoreErrorKind::Unavailable).
/// Its operation may have taken effect nevertheless. For some calls, the limit of 5 seconds applies
/// to each part of the call instead:
///
/// - revoking an owner, a family or the tokens bound to an issuer: for each step of up to 1,000
///   tokens;
/// - writing last uses: for each 100 tokens of a project;
/// - an import: for each row.
///
/// While an import runs, other imports wait for at most 5 seconds. If the server ends a call to
/// break a deadlock, the store runs the call again within its time limit.
///
/// If a process freezes or loses its connection during a call, MariaDB releases the locks of the
/// call after at most 10 seconds. MySQL releases them when it notices that the connection is lost.
/// Until then, a call fails with `Unavailable` if it needs a turn that the frozen process holds.
/// Verification continues.
///
/// # Busy projects
///
/// A project does not stop other projects, even if it has a flood of calls. One call of this
/// process at a time takes a project's turn, and the other calls wait in a queue without a
/// connection. The limits are the same as those of the store on PostgreSQL. They need a pool of at
/// least 6 connections. Two stores on one pool do not share these limits, so clone one store
/// instead.
///
/// # Caches
///
/// MariaDB cannot send changes to other processes, so the store has no feed. A cache over this
/// store relies on its staleness bound: after this time, no process accepts a revoked token. Choose
/// the bound accordingly.
///
/// # Clusters
///
/// The store reads and writes one server. It is **not tested** on Galera, whose nodes do not share
/// the locks of turns: let all processes use the same node. If a fail-over promotes a replica that
/// lacks acknowledged writes, these writes are lost.
#[derive(Clone)]
pub struct MysqlStore {
    pub(super) access: Access<MySql>,
}

impl fmt::Debug for MysqlStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlStore").finish_non_exhaustive()
    }
}

impl MysqlStore {
    /// Connects a pool of at most 10 connections to `mysql://user:password@host:port/database`.
    /// This function does not run the migrations.
    ///
    /// Each new connection of this pool gets the isolation level `READ COMMITTED`, a strict
    /// `sql_mode`, and autocommit.
    ///
    /// Without TLS, the store cannot use MySQL's `caching_sha2_password` on a TCP connection. To
    /// demand TLS with the feature `tls`, append `?ssl-mode=VERIFY_IDENTITY` to the URL.
    ///
    /// # Errors
    /// - Returns [`Unavailable`](StoreErrorKind::Unavailable) if the server cannot be reached
    ///   within 5 seconds.
    /// - Returns [`Other`](StoreErrorKind::Other) if the URL is malformed, if the server refuses
    ///   the connection's user, password or database, or if a
    ///   [setting](Self#settings-of-the-server) of the server is too weak.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        // The error of a URL parser may quote the URL, including its password.
        let invalid = || {
            StoreError::with_source(StoreErrorKind::Other, "the address of the database is not a valid mysql:// URL")
        };
        if !url.starts_with("mysql://") && !url.starts_with("mariadb://") {
            return Err(invalid());
        }
        let options: MySqlConnectOptions = url.parse().map_err(|_| invalid())?;
        // A check of each connection before its use would double the round trips of a look-up, so
        // only an idle connection is checked.
        let pool = MySqlPoolOptions::new().acquire_timeout(PATIENCE).test_before_acquire(false);
        let pool = pool.after_connect(|connection, _| Box::pin(settings::run(connection, PREPARE)));
        let pool = pool.before_acquire(|connection, known| {
            Box::pin(async move {
                if known.idle_for >= IDLE {
                    sqlx::Connection::ping(connection).await?;
                }
                Ok(true)
            })
        });
        Self::from_pool(within::<MySql, _>(pool.connect_with(options)).await?).await
    }

    /// Creates a store that uses a pool of your service. This function does not run the migrations.
    /// Then call [`migrate`](Self::migrate), or [`check_schema`](Self::check_schema) if your own
    /// tool has run them.
    ///
    /// By default, sqlx checks each connection before its use. If you build the pool with
    /// `test_before_acquire(false)`, a look-up takes one round trip instead of two.
    ///
    /// This function checks the settings of one connection. Each transaction that writes checks the
    /// settings of its connection too. A read does not check them, so all connections of the pool
    /// must have autocommit on and an isolation level of at least `READ COMMITTED`. If autocommit
    /// is off, or the level is `READ UNCOMMITTED`, a read may return an outdated record, or one
    /// that was never committed.
    ///
    /// # Errors
    /// - Returns [`Other`](StoreErrorKind::Other) if a [setting](Self#settings-of-the-server) of
    ///   the server or of the connection is too weak, or if its isolation level is
    ///   `READ UNCOMMITTED`. The source of the error names the setting.
    /// - Returns [`Unavailable`](StoreErrorKind::Unavailable) if the pool has no free connection,
    ///   or if the server does not reply, within 5 seconds.
    pub async fn from_pool(pool: MySqlPool) -> Result<Self, StoreError> {
        within::<MySql, _>(async { settings::check_pool(&mut *pool.acquire().await?).await }).await?;
        Ok(Self { access: Access::new(pool) })
    }

    /// Returns the pool, so that the service can use the same database for its own tables.
    pub fn pool(&self) -> &MySqlPool {
        &self.access.pool
    }

    /// Returns the number of failures of this store and its clones that no call returned as an
    /// error: a connection could not be returned to the pool and was closed. With the feature
    /// `tracing`, each failure is logged as a warning.
    pub fn background_faults(&self) -> u64 {
        self.access.faults.count()
    }
}

impl Server for MysqlStore {
    type Engine = MySql;

    fn access(&self) -> &Access<MySql> {
        &self.access
    }

    /// Commits the transaction. The store has no feed, so it reports no change.
    async fn commit_step(&self, transaction: &mut Lease<MySql>, _changed: &[Changed<'_>]) -> Result<(), StoreError> {
        transaction.commit().await.map_err(failed)
    }

    async fn refuse_by_count(&self, record: &TokenRecord, limit: LiveLimit) -> Result<(), StoreError> {
        self.count_before_insert(record, limit).await
    }
}
