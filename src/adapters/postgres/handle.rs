//! The store as its host has it: how it is made, and how its transactions begin and end.

use core::fmt;
use core::num::NonZeroU16;
use core::time::Duration;
use std::sync::Arc;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::changed::{CHANNEL, Changed};
use super::failure::{failed, is_lost};
use super::gate::{Gate, Pass};
use super::lease::{BEGIN, Lease};
use super::patience::{PATIENCE, within};
use super::replica::Replica;
use crate::adapters::fault::Faults;
use crate::words::ids::ProjectId;
use crate::words::store_error::{StoreError, StoreErrorKind};

/// How long a connection may lie idle and still be trusted.
const IDLE: Duration = Duration::from_secs(1);

/// A store in a PostgreSQL database: [`TokenStore`](crate::TokenStore), [`StoreMaintenance`](crate::store::StoreMaintenance) and
/// [`ImportStore`](crate::import::ImportStore), for any number of processes.
///
/// Finding is one prepared look-up in the primary key (project, id). An act on several tokens of a project, or one that
/// counts them first, takes the project's turn: a locked row in `keyfob_turns`. The SQL is plain, `READ COMMITTED` is
/// enough, and every call but an import and the list of projects names its project. It is tested on PostgreSQL 15, plain and
/// [partitioned](Self::partitioned_migration), and **not tested** on databases that speak its protocol: revoking groups finds
/// rows by `ctid`, which some of them lack.
///
/// A call that takes longer than 5 seconds is [`Unavailable`](StoreErrorKind::Unavailable), and
/// whether it was carried out is not known, as after any lost answer. Three calls have 5 seconds
/// for each of their parts instead: revoking an owner or a family for each step of 1,000 tokens,
/// writing last uses for each project, and an import for each row. On a machine with 2 cores, one
/// call that revoked 200,000 live tokens took 24 to 30 seconds: give these calls no shorter time of
/// your own. While an import runs, others wait for it for at most 5 seconds.
///
/// Statements are prepared: behind a pooler that hands on connections by the transaction, it must
/// carry prepared statements (PgBouncer from 1.21).
///
/// A project that is flooded, or whose turn is held, does not stop the others. Of this process's
/// calls, one at a time takes a project's turn; the others wait without a connection, at most 1,000
/// for a project, and are [`Unavailable`](StoreErrorKind::Unavailable) beyond that. If another
/// process has the turn, the first one waits with a connection for 200 ms at a time, and gives it
/// back in between. (With 25 turns held, a call in another project took 0.8 s.) Revocations stand
/// in a line of their own, so that a flood of other calls in a project refuses none of them; bound
/// how many calls one caller may have open, or a flood of revocations may. All turns together hold
/// at most half of the pool's connections, other writes in one project less than half of those that
/// write, and all that write leave a fifth to reads. A pool of fewer than 6 connections is too
/// small for that, and two stores on one pool do not know of each other: clone one. An insert that
/// has no place left under its owner's limit is refused by a count, and takes no turn.
///
/// A process that stops in the middle of a call holds what it has locked for 10 seconds at most.
/// Meanwhile, calls that need a turn which it holds are unavailable, and those in other projects go
/// on. The tokens that it has locked are another matter: a call that waits for one keeps its
/// connection for up to 5 seconds. If they are of several projects, such calls may take every
/// connection that writes; verifications go on.
///
/// A clone shares the pool. It needs a Tokio runtime with its time driver that keeps running between calls: what a call had
/// locked that was dropped half-way is released behind it, or its connection is closed within 2 seconds.
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
#[derive(Clone)]
pub struct PostgresStore {
    pub(super) pool: PgPool,
    pub(super) gate: Arc<Gate>,
    pub(super) faults: Arc<Faults>,
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
    /// The schema: four tables and their indices, each column explained, for [`migrate`](Self::migrate) or for the host's own
    /// migration tool. It may be run again, and holds no transaction of its own.
    pub const MIGRATION: &'static str = include_str!("0001_keyfob_tokens.sql");

    /// The schema with the tokens in this many partitions by project. No query differs: each names its project, and so
    /// goes to one partition. For a database that has no `keyfob_tokens` yet.
    pub fn partitioned_migration(partitions: NonZeroU16) -> String {
        let mut parts = String::from("PARTITION BY HASH (project);\n");
        for part in 0..partitions.get() {
            parts += &format!(
                "CREATE TABLE IF NOT EXISTS keyfob_tokens_{part} PARTITION OF keyfob_tokens \
                 FOR VALUES WITH (MODULUS {partitions}, REMAINDER {part});\n"
            );
        }
        Self::MIGRATION.replace("-- PARTITION BY HASH (project)\n;\n", &parts)
    }

    /// Connects a pool of at most 10 connections to `postgres://user:password@host:port/database`. It does not migrate.
    ///
    /// # Errors
    /// [`Unavailable`](StoreErrorKind::Unavailable) where the server cannot be reached, [`Other`](StoreErrorKind::Other) where
    /// the address is none, or as of [`from_pool`](Self::from_pool).
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        // The error of a URL may quote it, password and all.
        let options: PgConnectOptions = url.parse().map_err(|_| {
            StoreError::with_source(StoreErrorKind::Other, "the database's address is no postgres:// URL")
        })?;
        // Asking a connection whether it lives would double the way of each look-up: only one that lay idle is asked.
        let pool = PgPoolOptions::new().acquire_timeout(PATIENCE).test_before_acquire(false);
        let pool = pool.before_acquire(|connection, known| {
            Box::pin(async move {
                if known.idle_for >= IDLE {
                    sqlx::Connection::ping(connection).await?;
                }
                Ok(true)
            })
        });
        Self::from_pool(within(pool.connect_with(options)).await?).await
    }

    /// A store on the host's own pool. It does not migrate. sqlx asks a connection whether it lives before each use, unless
    /// the pool is made with `test_before_acquire(false)`: a look-up then takes one round trip instead of two.
    ///
    /// The pool's connections may differ, or come to: each transaction that writes sets `synchronous_commit` to `on` for
    /// itself if it is off on its connection.
    ///
    /// # Errors
    /// [`Other`](StoreErrorKind::Other) where the connection that is asked now would acknowledge what is not on disk
    /// (`synchronous_commit = off`, `fsync = off`); the source says which.
    pub async fn from_pool(pool: PgPool) -> Result<Self, StoreError> {
        let setting = async |name: &str| {
            let value = sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(&pool);
            within(value).await
        };
        let (synchronous_commit, fsync) = (setting("synchronous_commit").await?, setting("fsync").await?);
        if synchronous_commit == "off" || fsync == "off" {
            return Err(StoreError::with_source(StoreErrorKind::Other, WeakSettings { synchronous_commit, fsync }));
        }
        let gate = Arc::new(Gate::new(pool.options().get_max_connections()));
        Ok(Self { pool, gate, faults: Arc::default(), tells: false, replica: None })
    }

    /// The same, telling every change on the channel `keyfob` (`NOTIFY`, in the same transaction), for caches of other
    /// processes to follow. It costs each writing call a transaction of its own.
    #[must_use]
    pub fn telling_changes(self) -> Self {
        Self { tells: true, ..self }
    }

    /// The same, verifying from standbys of its database: the pool leads to one, or to a balancer before several. An answer
    /// counts where it is proven to be at most this old, and otherwise the primary is asked. Everything but
    /// [`find_recent`](crate::TokenStore::find_recent) goes to the primary.
    ///
    /// What this store has changed, and what its feed has told, is never answered as it was before: until a standby has it
    /// too, the primary is asked; so it is for a token that the standby does not have. The proof comes of
    /// [`beat`](Self::beat), without which no standby is asked. Under a cache the age of an answer counts into its bound, which
    /// should be several times as long. Call it before [`feed`](Self::feed), which is of the store that it is called on.
    #[must_use]
    pub fn with_replica(self, replica: PgPool, most_lag: Duration) -> Self {
        // Nothing that a standby answers is of now.
        let replica = (!most_lag.is_zero()).then(|| Arc::new(Replica::new(replica, most_lag, &self.faults)));
        Self { replica, ..self }
    }

    /// Writes a row in the table `keyfob_beats` of the primary again and again, four times in the lag that is allowed and once a second
    /// at least, for ever: in a task of its own, which the host ends when it stops. Without a [replica](Self::with_replica) it
    /// does nothing. A beat that fails is counted in [`background_faults`](Self::background_faults), and the next one is tried.
    pub async fn beat(&self) {
        match &self.replica {
            Some(replica) => replica.beat(&self.pool).await,
            None => core::future::pending().await,
        }
    }

    /// Makes the tables and their indices where they are not there, and brings a table of before 0.1.0 to today's columns.
    ///
    /// # Errors
    /// [`StoreError`] where PostgreSQL fails.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        // IF NOT EXISTS is not proof against two at once: they take turns by a lock of this number, which is nobody else's.
        const TURN: i64 = 0x6b65_7966_6f62;
        const IS_OLD: &str = "SELECT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('keyfob_tokens') \
             AND attname = 'notice_stage' AND NOT attisdropped)";
        within(async {
            let mut transaction = self.pool.begin().await?;
            sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(TURN).execute(&mut *transaction).await?;
            if sqlx::query_scalar(IS_OLD).fetch_one(&mut *transaction).await? {
                sqlx::raw_sql(include_str!("upgrade.sql")).execute(&mut *transaction).await?;
            }
            sqlx::raw_sql(Self::MIGRATION).execute(&mut *transaction).await?;
            transaction.commit().await
        })
        .await
    }

    /// The pool, for the host's own use of the database.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Returns how often something failed outside any call of this store and its clones: a beat was not written, a standby
    /// did not answer or a feed could not listen, so that the primary or the cache's bound served instead, or a connection
    /// could not be given back and was closed. Each one is counted, also if the next try succeeds, and with the feature
    /// `tracing` logged as a warning. A number that grows steadily says that a standby or a feed is never used.
    pub fn background_faults(&self) -> u64 {
        self.faults.count()
    }

    /// Begins a transaction in the project, without its turn.
    pub(super) async fn begin(&self, project: &ProjectId) -> Result<Lease, StoreError> {
        self.begin_with(self.gate.write(project.as_str()).await?, BEGIN).await
    }

    pub(super) async fn begin_with(&self, mut pass: Pass, begin: &'static str) -> Result<Lease, StoreError> {
        for left in (0..=self.pool.size()).rev() {
            let connection = match self.pool.acquire().await {
                Err(error) if left > 0 && is_lost(&error) => continue,
                connection => connection.map_err(failed)?,
            };
            let mut lease = Lease::new(connection, pass, &self.faults);
            match lease.begin(begin).await {
                // Nothing was done, and the next connection may live.
                Err(error) if left > 0 && is_lost(&error) => pass = lease.into_pass(),
                begun => return begun.map(|()| lease).map_err(failed),
            }
        }
        unreachable!("the last try returns")
    }

    /// Commits, emits notifications of what changed if they are wanted, and lets the project's next call proceed.
    pub(super) async fn commit(&self, mut transaction: Lease, changed: &[Changed<'_>]) -> Result<(), StoreError> {
        self.commit_step(&mut transaction, changed).await?;
        transaction.leave_line();
        Ok(())
    }

    /// Commits as [`commit`](Self::commit) does, but stays in line for another transaction.
    pub(super) async fn commit_step(&self, transaction: &mut Lease, changed: &[Changed<'_>]) -> Result<(), StoreError> {
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
}

/// A database that may lose what it has acknowledged.
#[derive(Debug)]
struct WeakSettings {
    synchronous_commit: String,
    fsync: String,
}

impl fmt::Display for WeakSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { synchronous_commit, fsync } = self;
        write!(f, "the PostgreSQL connection has synchronous_commit={synchronous_commit} and fsync={fsync}, ")?;
        write!(f, "but neither may be off: what is acknowledged must be on disk")
    }
}

impl core::error::Error for WeakSettings {}
