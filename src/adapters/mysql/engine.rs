//! Transactions and turns in MariaDB and MySQL.

use core::time::Duration;

use sqlx::{Error, MySql, MySqlConnection};
use tokio::time::Instant;

use super::failure::{failed, is_deadlock, is_held, is_lost};
use super::settings::{self, BEGIN};
use crate::adapters::sql::lease::{Engine, Lease};
use crate::adapters::sql::session::Session;
use crate::adapters::sql::statement::Statement;
use crate::adapters::sql::turn::pause;
use crate::words::store_error::StoreError;

/// The longest time for which a call keeps its connection while it waits for a turn. In ordinary
/// use, an operation holds a turn for some milliseconds.
const WAIT: Duration = Duration::from_millis(200);

/// The pause between two looks at a turn, in milliseconds: the minimum, and the maximum of the
/// random time that is added to it. InnoDB counts time limits of locks in seconds, so the store
/// does not wait for a turn in the database.
const PAUSE: (u64, u64) = (1, 4);

impl Engine for MySql {
    const BEGIN: &'static str = BEGIN;
    const BEGIN_FOR_TURN: &'static str = BEGIN;

    type Session = Lease<Self>;

    fn session(lease: &mut Lease<Self>) -> &mut Lease<Self> {
        lease
    }

    fn failed(error: Error) -> StoreError {
        failed(error)
    }

    fn is_lost(error: &Error) -> bool {
        is_lost(error)
    }

    fn is_deadlock(error: &StoreError) -> bool {
        is_deadlock(error)
    }

    async fn run(connection: &mut MySqlConnection, sql: &'static str) -> sqlx::Result<()> {
        settings::run(connection, sql).await
    }

    async fn run_on(lease: &mut Lease<Self>, sql: &'static str) -> sqlx::Result<()> {
        lease.simple(sql).await
    }

    async fn lock_turn(lease: &mut Lease<Self>, project: &str) -> Result<bool, StoreError> {
        const LOCK: &str = "SELECT 1 FROM keyfob_turns WHERE project = ";
        const MAKE: &str = "INSERT IGNORE INTO keyfob_turns (project) VALUES (";
        let began = Instant::now();
        loop {
            let mut lock = Statement::new(LOCK);
            lock.bind(project).push(" FOR UPDATE NOWAIT");
            match lease.rows(lock).await {
                Ok(rows) if rows.is_empty() => {
                    // The new row is committed on its own. Otherwise, another call that also
                    // inserts it would keep a lock on it while it waits.
                    let mut make = Statement::new(MAKE);
                    make.bind(project).push(")");
                    lease.write(make).await?;
                    lease.commit().await.map_err(failed)?;
                    lease.begin(BEGIN).await.map_err(failed)?;
                }
                Ok(_) => return Ok(true),
                Err(error) if !is_held(&error) => return Err(failed(error)),
                Err(_) if began.elapsed() >= WAIT => return Ok(false),
                Err(_) => tokio::time::sleep(pause(PAUSE)).await,
            }
        }
    }
}
