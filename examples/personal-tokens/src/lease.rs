//! Periodic work that one process does for all processes on the same database.
//!
//! A process that does the work holds a lease, which it renews while it works. If the process dies,
//! the lease ends, and another process does the work. The work of a period is done once, unless a
//! process loses its lease while it works: then another process does it again.

use std::pin::pin;
use std::time::Duration;

use keyfob::Timestamp;
use tokio::time::sleep;

use crate::db::{Db, query};
use crate::random;
use crate::setup::SetupError;

/// The time after which another process may do the work of a process that no longer renews its
/// lease.
pub const LEASE: Duration = Duration::from_secs(30);
/// The time between two renewals.
const RENEWED: Duration = Duration::from_secs(10);

/// The last run of the work, in whichever process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Last {
    /// The time at which the run ended.
    pub at: Timestamp,
    /// The error of the run with its causes, or `None` if the run succeeded.
    pub error: Option<String>,
    /// The time at which the last successful run ended, if any run has succeeded.
    pub succeeded_at: Option<Timestamp>,
}

/// The right to do the work of one period.
pub struct Lease<'a> {
    db: &'a Db,
    job: &'static str,
    period: Duration,
    holder: String,
}

impl<'a> Lease<'a> {
    /// Takes the lease if the work is due and no other process does it. `period` is the time from
    /// one run to the next.
    ///
    /// # Errors
    /// Returns an error if the database or the random generator fails.
    pub async fn take(db: &'a Db, job: &'static str, period: Duration) -> Result<Option<Self>, SetupError> {
        let holder = random::hex128()?;
        let sql = "UPDATE jobs SET holder = ?2, held_until = {now} + ?3 \
                   WHERE name = ?1 AND due <= {now} AND held_until <= {now}";
        let taken = query(sql).bind(job).bind(&holder).bind(millis(LEASE)).execute(db).await?;
        Ok((taken == 1).then_some(Self { db, job, period, holder }))
    }

    /// Does the work, and renews the lease meanwhile. Then stores the outcome, and lets the work be
    /// due again in the next period. If the work fails, it is due again in the next period, too.
    /// Returns whether this process still had the lease at the end.
    ///
    /// # Errors
    /// Returns an error if the outcome cannot be stored. Another process then does the work again.
    pub async fn work(
        self,
        now: impl Fn() -> Timestamp,
        work: impl Future<Output = Result<(), String>>,
    ) -> Result<bool, SetupError> {
        let mut work = pin!(work);
        let outcome = loop {
            tokio::select! {
                outcome = &mut work => break outcome,
                () = sleep(RENEWED) => {
                    if !self.renew().await? {
                        return Ok(false);
                    }
                }
            }
        };
        let sql = "UPDATE jobs SET due = {now} - {now} % ?3 + ?3, holder = '', held_until = 0, runs = runs + 1, ended_at = ?4, \
                   succeeded_at = CASE WHEN ?5 = '' THEN ?4 ELSE succeeded_at END, error = ?5 WHERE name = ?1 AND holder = ?2";
        let (at, error) = (now().as_unix_millis(), outcome.err().unwrap_or_default());
        let ended = query(sql).bind(self.job).bind(&self.holder).bind(millis(self.period)).bind(at).bind(error);
        Ok(ended.execute(self.db).await? == 1)
    }

    /// Extends the lease. Returns `false` if another process has it.
    async fn renew(&self) -> sqlx::Result<bool> {
        let sql = "UPDATE jobs SET held_until = {now} + ?3 WHERE name = ?1 AND holder = ?2";
        let renewed = query(sql).bind(self.job).bind(&self.holder).bind(millis(LEASE)).execute(self.db).await?;
        Ok(renewed == 1)
    }
}

/// Returns the last run of the work in any process, or `None` if there was none.
///
/// # Errors
/// Returns an error if the database fails.
pub async fn last(db: &Db, job: &'static str) -> Result<Option<Last>, SetupError> {
    let sql = "SELECT ended_at, succeeded_at, error FROM jobs WHERE name = ?";
    let (ended, succeeded, error): (Option<i64>, Option<i64>, String) = query(sql).bind(job).fetch_one(db).await?;
    let Some(ended) = ended else { return Ok(None) };
    Ok(Some(Last {
        at: Timestamp::from_unix_millis(ended)?,
        error: Some(error).filter(|error| !error.is_empty()),
        succeeded_at: succeeded.map(Timestamp::from_unix_millis).transpose()?,
    }))
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).expect("a period is short")
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    async fn opened() -> (Db, TempDir) {
        let dir = tempfile::tempdir().expect("a folder");
        (Db::open_file(&dir.path().join("host.db")).await.expect("it opens"), dir)
    }

    fn noon() -> Timestamp {
        "2026-11-30T12:00:00Z".parse().expect("a time")
    }

    #[tokio::test]
    async fn work_of_a_period_is_done_once() {
        let (db, _dir) = opened().await;
        let lease = Lease::take(&db, "purge", HOUR).await.expect("it is asked").expect("it is due");
        assert!(Lease::take(&db, "purge", HOUR).await.expect("it is asked").is_none(), "it is held");
        assert!(Lease::take(&db, "orphans", HOUR).await.expect("it is asked").is_some(), "other work is not");
        assert!(lease.work(noon, async { Ok(()) }).await.expect("it is stored"));
        assert!(Lease::take(&db, "purge", HOUR).await.expect("it is asked").is_none(), "it is done");
        let done = Last { at: noon(), error: None, succeeded_at: Some(noon()) };
        assert_eq!(last(&db, "purge").await.expect("it is read"), Some(done));
        query("UPDATE jobs SET due = {now}").execute(&db).await.expect("it is due again");
        let lease = Lease::take(&db, "purge", HOUR).await.expect("it is asked").expect("it is due");
        let later = || noon().saturating_add(HOUR);
        assert!(lease.work(later, async { Err("no".into()) }).await.expect("it is stored"));
        let failed = Last { at: later(), error: Some("no".into()), succeeded_at: Some(noon()) };
        assert_eq!(last(&db, "purge").await.expect("it is read"), Some(failed));
    }

    #[tokio::test]
    async fn work_of_a_dead_process_is_done_by_another() {
        let (db, _dir) = opened().await;
        let dead = Lease::take(&db, "purge", HOUR).await.expect("it is asked").expect("it is due");
        query("UPDATE jobs SET held_until = {now}").execute(&db).await.expect("the lease ends");
        let other = Lease::take(&db, "purge", HOUR).await.expect("it is asked").expect("it is free");
        assert!(!dead.work(noon, async { Ok(()) }).await.expect("it is noticed"), "the lease is lost");
        assert!(other.work(noon, async { Ok(()) }).await.expect("it is stored"));
        assert_eq!(query("SELECT runs FROM jobs WHERE name = 'purge'").value::<i64>(&db).await.ok(), Some(1));
    }
}
