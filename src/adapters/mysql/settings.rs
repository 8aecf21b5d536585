//! The settings of a connection that the store needs.

use core::fmt;

use sqlx::mysql::MySqlRow;
use sqlx::{Error, MySqlConnection, Row};

/// The settings that limit how long a statement waits for a lock, and how long a transaction stays
/// open without a statement:
///
/// - A wait for a lock lasts at most 5 seconds, which is the time limit of a call.
/// - If a process freezes or loses its connection during a transaction, MariaDB rolls the
///   transaction back after 10 seconds, twice the time limit of a call. MySQL has no such setting.
macro_rules! limits {
    () => {
        "SET @@session.innodb_lock_wait_timeout = least(@@session.innodb_lock_wait_timeout, 5), \
         @@session.lock_wait_timeout = least(@@session.lock_wait_timeout, 5) \
         /*M!100300 , @@session.idle_transaction_timeout = \
         if(@@session.idle_transaction_timeout between 1 and 10, @@session.idle_transaction_timeout, 10) */"
    };
}

/// The query for the settings that [`check`] judges. Every server has these variables.
macro_rules! settings {
    () => {
        "SELECT cast(@@global.innodb_flush_log_at_trx_commit AS signed), cast(@@global.log_bin AS signed), \
         cast(@@global.sync_binlog AS signed), cast(@@session.autocommit AS signed), @@session.sql_mode"
    };
}

/// The SQL that begins a transaction, in one round trip. It sets the isolation level of this
/// transaction, because the connection may have another default. Then each statement of the
/// transaction sees everything that was committed before the statement began. The settings are
/// checked in each transaction, because a service may change them on connections of its pool, and
/// an administrator may change them on the server.
pub(super) const BEGIN: &str =
    concat!(limits!(), "; SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION READ WRITE; ", settings!());

/// The SQL that prepares a new connection of the store's own pool.
pub(super) const PREPARE: &str = concat!(
    limits!(),
    ", @@session.autocommit = 1, @@session.sql_mode = concat(@@session.sql_mode, ',STRICT_TRANS_TABLES'); \
     SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
);

/// The query for the settings of a connection of the service's pool. Only one of the two names of
/// the isolation level exists on a server.
const OF_POOL: &str = concat!(
    settings!(),
    "; SHOW SESSION VARIABLES WHERE Variable_name IN ('tx_isolation', 'transaction_isolation') \
     AND Value = 'READ-UNCOMMITTED'"
);

/// Runs one of the SQL texts above, and checks the settings if the text asks for them.
pub(super) async fn run(connection: &mut MySqlConnection, sql: &'static str) -> Result<(), Error> {
    let rows = sqlx::raw_sql(sql).fetch_all(connection).await?;
    rows.iter().try_for_each(check)
}

/// Checks the settings of a connection of the service's pool.
pub(super) async fn check_pool(connection: &mut MySqlConnection) -> Result<(), Error> {
    let mut rows = sqlx::raw_sql(OF_POOL).fetch_all(connection).await?.into_iter();
    rows.next().as_ref().map_or(Ok(()), check)?;
    match rows.next() {
        Some(_) => Err(weak("the isolation level is READ UNCOMMITTED, but must be at least READ COMMITTED")),
        None => Ok(()),
    }
}

/// Checks that a commit is on disk before it is acknowledged, that a read outside a transaction
/// sees the latest commit, and that the server refuses a value that does not fit its column.
fn check(row: &MySqlRow) -> Result<(), Error> {
    let number = |at: usize| row.try_get::<i64, _>(at);
    let (flush, log_bin, sync_binlog, autocommit) = (number(0)?, number(1)?, number(2)?, number(3)?);
    // The value 3 is MariaDB's. It syncs as often as 1, and once more for the binary log.
    if !matches!(flush, 1 | 3) {
        return Err(weak(format_args!("innodb_flush_log_at_trx_commit is {flush}, but must be 1")));
    }
    // After a crash, InnoDB rolls back what is not in the binary log.
    if log_bin != 0 && sync_binlog != 1 {
        return Err(weak(format_args!("sync_binlog is {sync_binlog}, but must be 1 with a binary log")));
    }
    if autocommit != 1 {
        return Err(weak("autocommit is off, but must be on"));
    }
    if !row.try_get::<&str, _>(4)?.split(',').any(|mode| mode.starts_with("STRICT_")) {
        return Err(weak("sql_mode is not strict, but must have STRICT_TRANS_TABLES"));
    }
    Ok(())
}

fn weak(what: impl fmt::Display) -> Error {
    Error::Configuration(Box::new(WeakSetting(what.to_string())))
}

/// A setting with which the store could lose acknowledged writes, or read outdated rows.
#[derive(Debug)]
struct WeakSetting(String);

impl fmt::Display for WeakSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the settings of the MySQL connection are too weak: {}", self.0)
    }
}

impl core::error::Error for WeakSetting {}
