//! The public type of the PostgreSQL store, and the methods that begin and commit transactions.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgPool, Postgres};

use super::failure::failed;
use super::replica::Replica;
use crate::adapters::sql::access::Access;
use crate::adapters::sql::changed::Changed;
use crate::adapters::sql::lease::Lease;
use crate::adapters::sql::patience::{PATIENCE, within};
use crate::adapters::sql::server::Server;
use crate::rules::precondition::LiveLimit;
use crate::rules::record::TokenRecord;
use crate::words::ids::ProjectId;
use crate::words::store_error::{StoreError, StoreErrorKind};

/// The channel on which the store sends changes with `NOTIFY`.
pub(super) const CHANNEL: &str = "keyfob";

/// The idle time after which the pool checks a connection before the next use.
const IDLE: Duration = Duration::from_secs(1);

/// A token store in a PostgreSQL database. Any number of processes may use the same database. The
/// store implements [`TokenStore`](crate::TokenStore),
/// [`StoreMaintenance`](crate::store::StoreMaintenance) and
/// [`ImportStore`](crate::import::ImportStore).
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use keyfob::{Keyring, Pepper, Prefix, Tokens, store::postgres::PostgresStore};
///
/// let store = PostgresStore::connect("postgres://acme@db.internal/acme").await?;
/// store.migrate().await?;
/// let keyring = Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?);
/// let tokens = Tokens::new(keyring, store);
/// # Ok(())
/// # }
/// ```
///
/// The store finds a token with one prepared look-up in the primary key (project, id). An operation
/// that changes several tokens of a project, or counts them first, takes the project's turn: it
/// locks the project's row in `keyfob_turns`. Every call names its project, except imports and the
/// list of projects.
///
/// The SQL is plain and needs only the isolation level `READ COMMITTED`. The store is tested on
/// PostgreSQL 15, with a plain table and with a [partitioned](Self::partitioned_migration) table.
/// It is **not tested** on other databases that speak PostgreSQL's protocol. The revocation of
/// groups finds rows by `ctid`, which some of these databases lack.
///
/// A clone shares the pool. The store needs a Tokio runtime with its time driver enabled. The
/// runtime must keep running between calls: if a call is dropped half-way, a background task
/// releases the locks of the call, or closes its connection within 2 seconds.
///
/// # Time limits
///
/// A call that takes longer than 5 seconds fails with [`Unavailable`](StoreErrorKind::Unavailable).
/// Its operation may have taken effect nevertheless. For some calls, the limit of 5 seconds applies
/// to each part of the call instead:
///
/// - revoking an owner, a family or the tokens bound to an issuer: for each step of up to 1,000
///   tokens;
/// - writing last uses: for each project;
/// - an import: for each row.
///
/// On a machine with 2 cores, one call that revoked 200,000 live tokens took 24 to 30 seconds, so
/// do not set a shorter limit of your own for these calls. While an import runs, other imports wait
/// for at most 5 seconds.
///
/// If a process freezes or loses its connection during a call, the server releases the locks of the
/// call after at most 10 seconds. Until then, a call fails with `Unavailable` if it needs a turn
/// that the frozen process holds. Calls in other projects continue. If a call needs a token that
/// the frozen process has locked, the call waits for up to 5 seconds and keeps its connection. If
/// the locked tokens belong to several projects, the waiting calls may occupy all connections for
/// writes. Verification continues.
///
/// # Busy projects
///
/// A project does not stop other projects, even if it has a flood of calls, or if a process holds
/// the project's turn for long:
///
/// - One call of this process at a time takes a project's turn. The other calls wait in a queue
///   without a connection. A queue holds at most 1,000 calls of a project, and further calls fail
///   with `Unavailable`.
/// - If another process holds the turn, the first call of the queue holds a connection for only 200
///   ms at a time, and returns it to the pool between two attempts. While the turns of 25 projects
///   were held, a call in another project took 0.8 s.
/// - Revocations wait in a separate queue, which a flood of other calls cannot fill. A flood of
///   revocations can fill it, so limit the number of concurrent calls of each client of your
///   service.
/// - All turns together hold at most half of the pool's connections. The other writes of one
///   project hold less than half of the connections for writes. All writes together leave a fifth
///   of the pool to reads. This needs a pool of at least 6 connections.
/// - If an insert would exceed its limit, the store refuses it without taking the turn.
///
/// Two stores on one pool do not share these limits, so clone one store instead.
///
/// # Poolers
///
/// The store uses prepared statements. A pooler that assigns connections per transaction must
/// support them, as PgBouncer does from 1.21.
#[derive(Clone)]
pub struct PostgresStore {
    pub(super) access: Access<Postgres>,
    tells: bool,
    pub(super) replica: Option<Arc<Replica>>,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("PostgresStore");
        debug.field("tells", &self.tells).field("replica", &self.replica.is_some()).finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Connects a pool of at most 10 connections to `postgres://user:password@host:port/database`.
    /// This function does not run the migrations.
    ///
    /// # Errors
    /// - Returns [`Unavailable`](StoreErrorKind::Unavailable) if the server cannot be reached
    ///   within 5 seconds.
    /// - Returns [`Other`](StoreErrorKind::Other) if the URL is malformed, if the server refuses
    ///   the connection's user, password or database, or if `synchronous_commit` or `fsync` is off
    ///   (see [`from_pool`](Self::from_pool)).
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        // The error of a URL parser may quote the URL, including its password.
        let options: PgConnectOptions = url.parse().map_err(|_| {
            StoreError::with_source(StoreErrorKind::Other, "the address of the database is not a valid postgres:// URL")
        })?;
        // A check of each connection before its use would double the round trips of a look-up, so
        // only an idle connection is checked.
        let pool = PgPoolOptions::new().acquire_timeout(PATIENCE).test_before_acquire(false);
        let pool = pool.before_acquire(|connection, known| {
            Box::pin(async move {
                if known.idle_for >= IDLE {
                    sqlx::Connection::ping(connection).await?;
                }
                Ok(true)
            })
        });
        Self::from_pool(within::<Postgres, _>(pool.connect_with(options)).await?).await
    }

    /// Creates a store that uses a pool of your service. This function does not run the migrations.
    /// Then call [`migrate`](Self::migrate), or [`check_schema`](Self::check_schema) if your own
    /// tool has run them.
    ///
    /// By default, sqlx checks each connection before its use. If you build the pool with
    /// `test_before_acquire(false)`, a look-up takes one round trip instead of two.
    ///
    /// The settings of the pool's connections may differ or change. Each transaction that writes
    /// sets `synchronous_commit` to `on` for itself if this setting is off on the connection.
    ///
    /// # Errors
    /// - Returns [`Other`](StoreErrorKind::Other) if `synchronous_commit` or `fsync` is off on the
    ///   connection that this function checks. Such a connection would acknowledge writes that are
    ///   not on disk. The source of the error names both settings.
    /// - Returns [`Unavailable`](StoreErrorKind::Unavailable) if the pool has no free connection,
    ///   or if the server does not reply, within 5 seconds.
    pub async fn from_pool(pool: PgPool) -> Result<Self, StoreError> {
        let setting = async |name: &str| {
            let value = sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(&pool);
            within::<Postgres, _>(value).await
        };
        let (synchronous_commit, fsync) = (setting("synchronous_commit").await?, setting("fsync").await?);
        if synchronous_commit == "off" || fsync == "off" {
            return Err(StoreError::with_source(StoreErrorKind::Other, WeakSettings { synchronous_commit, fsync }));
        }
        Ok(Self { access: Access::new(pool), tells: false, replica: None })
    }

    /// Returns the store with notifications: it sends each change on the channel `keyfob` with
    /// `NOTIFY`, in the transaction of the change, so that caches of other processes can follow the
    /// changes. This costs one more round trip for each changed token or project.
    #[must_use]
    pub fn telling_changes(self) -> Self {
        Self { tells: true, ..self }
    }

    /// Sets the standbys from which verifications may read. `replica` is a pool of connections to
    /// one standby, or to a load balancer in front of several standbys. With a `most_lag` of zero,
    /// no standby is used.
    ///
    /// Only [`find_recent`](crate::TokenStore::find_recent) and
    /// [`find_recent_chain`](crate::TokenStore::find_recent_chain) read from standbys. They use a
    /// standby's records only if these are proven to be at most `most_lag` old. Otherwise, they
    /// read from the primary. The proof needs [`beat`](Self::beat). Unless `beat` runs, no standby
    /// is used.
    ///
    /// Reads see this store's own writes: after the store has acknowledged a change, or its feed
    /// has reported one, the store never returns older data. Until a standby has the change, the
    /// store reads the project from the primary. It also reads a token from the primary if a
    /// standby does not have it.
    ///
    /// If a cache reads from this store, the age of a standby's records counts towards the
    /// staleness bound of the cache. Make this bound several times as long as `most_lag`. Call this
    /// method before [`feed`](Self::feed): a feed knows only the standbys that were set before.
    #[must_use]
    pub fn with_replica(self, replica: PgPool, most_lag: Duration) -> Self {
        // A standby's records always have an age above zero.
        let replica = (!most_lag.is_zero()).then(|| Arc::new(Replica::new(replica, most_lag, &self.access.faults)));
        Self { replica, ..self }
    }

    /// Writes beats to the primary. A beat is a number in the table `keyfob_beats` that shows how
    /// recent a standby is. The pause between two beats is a quarter of the `most_lag` of
    /// [`with_replica`](Self::with_replica), but at most a second. This method never returns, so
    /// run it in a separate task, and end the task when your service stops. Without a replica, the
    /// method writes nothing. If a beat fails, the method counts the failure in
    /// [`background_faults`](Self::background_faults) and goes on with the next beat.
    pub async fn beat(&self) {
        match &self.replica {
            Some(replica) => replica.beat(&self.access.pool).await,
            None => core::future::pending().await,
        }
    }

    /// Returns the pool, so that the service can use the same database for its own tables.
    pub fn pool(&self) -> &PgPool {
        &self.access.pool
    }

    /// Returns the number of failures of this store and its clones that no call returned as an
    /// error:
    ///
    /// - a beat could not be written;
    /// - a standby could not be read, so the primary was read instead;
    /// - a feed could not listen, so a cache relied on its staleness bound;
    /// - a connection could not be returned to the pool and was closed.
    ///
    /// A failure counts even if the next attempt succeeds. With the feature `tracing`, each failure
    /// is logged as a warning. A number that grows steadily means that a standby or a feed is not
    /// used at all.
    pub fn background_faults(&self) -> u64 {
        self.access.faults.count()
    }

    /// Begins a transaction that writes in the project and does not take the project's turn (a lock
    /// on the project).
    pub(super) async fn begin(&self, project: &ProjectId) -> Result<Lease<Postgres>, StoreError> {
        self.access.begin(project).await
    }

    /// Begins a transaction that holds the project's turn (a lock on the project) until the
    /// transaction ends.
    pub(super) async fn begin_turn(&self, project: &str) -> Result<Lease<Postgres>, StoreError> {
        self.access.begin_turn(project).await
    }

    /// Commits the transaction, and lets the next call in the project's queue proceed. If
    /// notifications are enabled, sends one for each change.
    pub(super) async fn commit(&self, transaction: Lease<Postgres>, changed: &[Changed<'_>]) -> Result<(), StoreError> {
        Server::commit(self, transaction, changed).await
    }
}

impl Server for PostgresStore {
    type Engine = Postgres;

    fn access(&self) -> &Access<Postgres> {
        &self.access
    }

    async fn commit_step(&self, transaction: &mut Lease<Postgres>, changed: &[Changed<'_>]) -> Result<(), StoreError> {
        if self.tells {
            for changed in changed {
                let tell = sqlx::query("SELECT pg_notify($1, $2)").bind(CHANNEL).bind(changed.to_string());
                tell.execute(&mut **transaction).await.map_err(failed)?;
            }
        }
        let committed = transaction.commit().await.map_err(failed);
        if let Some(replica) = &self.replica {
            changed.iter().for_each(|changed| replica.mark(changed.project()));
        }
        committed
    }

    async fn refuse_by_count(&self, record: &TokenRecord, limit: LiveLimit) -> Result<(), StoreError> {
        self.count_before_insert(record, limit).await
    }
}

/// The settings with which a database may lose acknowledged writes.
#[derive(Debug)]
struct WeakSettings {
    synchronous_commit: String,
    fsync: String,
}

impl fmt::Display for WeakSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { synchronous_commit, fsync } = self;
        write!(f, "the PostgreSQL connection has synchronous_commit={synchronous_commit} and fsync={fsync}, ")?;
        write!(f, "but neither may be off, because an acknowledged write must be on disk")
    }
}

impl core::error::Error for WeakSettings {}
