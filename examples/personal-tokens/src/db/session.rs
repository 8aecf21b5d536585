//! The connections to the three engines as one type.

use std::io;
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{
    Connection as _, Executor, MySql, MySqlConnection, MySqlPool, PgConnection, PgPool, Postgres, Sqlite, SqlitePool,
};
use tokio::time::timeout;

/// The longest time that a call waits for a connection, or for a lock.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest time that a statement may take. It is longer than the longest wait for a lock.
const LONGEST: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(super) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
    MariaDb(MySqlPool),
}

pub(super) enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
    MariaDb(PoolConnection<MySql>),
}

/// Expands to the expression for the engine of a pool or of a connection.
macro_rules! with_engine {
    ($type:ident, $value:expr, $name:ident => $expression:expr) => {
        match $value {
            $type::Sqlite($name) => $expression,
            $type::Postgres($name) => $expression,
            $type::MariaDb($name) => $expression,
        }
    };
}
pub(super) use with_engine;

impl Pool {
    /// Connects to PostgreSQL.
    pub(super) async fn postgres(url: &str) -> sqlx::Result<Self> {
        let options: PgConnectOptions = url.parse()?;
        // If the pool cannot connect, its error is only that no connection came in time.
        prepare_postgres(&mut PgConnection::connect_with(&options).await?).await?;
        let pool = PgPoolOptions::new()
            .acquire_timeout(PATIENCE)
            .after_connect(|connection, _| Box::pin(prepare_postgres(connection)));
        Ok(Self::Postgres(pool.connect_lazy_with(options)))
    }

    /// Connects to MariaDB.
    pub(super) async fn mariadb(url: &str) -> sqlx::Result<Self> {
        let options: MySqlConnectOptions = url.parse()?;
        prepare_mariadb(&mut MySqlConnection::connect_with(&options).await?).await?;
        let pool = MySqlPoolOptions::new()
            .acquire_timeout(PATIENCE)
            .after_connect(|connection, _| Box::pin(prepare_mariadb(connection)));
        Ok(Self::MariaDb(pool.connect_lazy_with(options)))
    }

    pub(super) async fn acquire(&self) -> sqlx::Result<Connection> {
        Ok(match self {
            Self::Sqlite(pool) => Connection::Sqlite(pool.acquire().await?),
            Self::Postgres(pool) => Connection::Postgres(pool.acquire().await?),
            Self::MariaDb(pool) => Connection::MariaDb(pool.acquire().await?),
        })
    }
}

/// Bounds the waits of a connection. A process that hangs in a transaction keeps its turn only
/// until the server ends the transaction.
async fn prepare_postgres(connection: &mut PgConnection) -> sqlx::Result<()> {
    let settings = "SET lock_timeout = '5s'; SET statement_timeout = '10s'; \
                    SET idle_in_transaction_session_timeout = '5s'";
    connection.execute(sqlx::raw_sql(settings)).await.map(drop)
}

/// Bounds the waits like [`prepare_postgres`]. Each statement reads what is committed.
async fn prepare_mariadb(connection: &mut MySqlConnection) -> sqlx::Result<()> {
    connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
    let settings = "SET SESSION innodb_lock_wait_timeout = 5, SESSION max_statement_time = 10, \
                    SESSION idle_transaction_timeout = 5";
    connection.execute(settings).await.map(drop)
}

/// A connection of the pool. If a statement is interrupted because its caller was cancelled, or
/// because the engine did not answer in time, the connection is closed: otherwise the next
/// statement on it could receive the reply to the interrupted one.
pub(super) struct Session {
    connection: Connection,
    is_busy: bool,
    /// Whether a transaction is open. A connection with an open transaction is closed, too.
    is_open: bool,
}

impl Session {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, is_busy: false, is_open: false }
    }

    /// Returns the connection for a statement. If [`end`](Self::end) is not called after it, the
    /// connection is closed.
    pub(super) fn start(&mut self) -> &mut Connection {
        self.is_busy = true;
        &mut self.connection
    }

    /// Marks that the statement has ended, with a result or with an error.
    pub(super) fn end(&mut self) {
        self.is_busy = false;
    }

    /// Marks that a transaction begins on the connection.
    pub(super) fn open(&mut self) {
        self.is_open = true;
    }

    /// Marks that the transaction has ended.
    pub(super) fn release(&mut self) {
        self.is_open = false;
    }

    /// Runs SQL without parameters and without rows.
    pub(super) async fn simple(&mut self, sql: &'static str) -> sqlx::Result<()> {
        let done = within(async {
            with_engine!(Connection, self.start(), connection => connection.execute(sql).await.map(drop))
        })
        .await?;
        self.end();
        done
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.is_busy || self.is_open {
            with_engine!(Connection, &mut self.connection, connection => connection.close_on_drop());
        }
    }
}

/// Awaits a statement for at most [`LONGEST`].
///
/// # Errors
/// Returns an error if the statement takes longer.
pub(super) async fn within<T>(statement: impl Future<Output = T>) -> sqlx::Result<T> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the database did not answer within ten seconds");
    timeout(LONGEST, statement).await.map_err(late).map_err(sqlx::Error::Io)
}
