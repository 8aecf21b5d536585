//! Counts the accepted requests with each token, by UTC day.
//!
//! keyfob emits an event for each verification, up to [`Event::SAMPLES`] in a second. The counts
//! are in memory until they are written, a few seconds later: one row for each token and day, and
//! not one for each request. keyfob says how many further verifications had no event, but not of
//! which tokens. Their number is stored for the day, so that the page can call the counts of that
//! day a lower bound.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyfob::{
    Clock, TokenKey,
    events::{Event, EventSink},
};

use crate::app::App;
use crate::db::{Db, query};
use crate::setup::SetupError;

/// A UTC day: the number of days since 1 January 1970.
pub type Day = i64;

/// The number of days that a page shows.
pub const SHOWN: i64 = 30;
/// The number of days for which the counts are kept.
pub const KEPT: i64 = 31;
/// The maximum number of counts in memory. Each is of one token on one day.
const MOST: usize = 4096;
/// The length of a day in milliseconds.
const DAY: i64 = 24 * 60 * 60 * 1000;

/// Returns the UTC day of a time in milliseconds since 1970.
pub fn day_of(at: i64) -> Day {
    at.div_euclid(DAY)
}

/// Returns the first millisecond of a UTC day.
pub fn start_of(day: Day) -> i64 {
    day.saturating_mul(DAY)
}

/// The counts that are not written yet.
#[derive(Default)]
struct Counts {
    of_tokens: HashMap<(TokenKey, Day), u64>,
    /// For each day, the number of uses that were not counted for their token.
    not_counted: BTreeMap<Day, u64>,
}

impl Counts {
    /// Adds uses of a token. Returns whether there was room for them.
    fn add(&mut self, key: TokenKey, day: Day, times: u64) -> bool {
        let has_room = self.of_tokens.len() < MOST;
        match self.of_tokens.get_mut(&(key, day)) {
            Some(count) => *count = count.saturating_add(times),
            None if has_room => drop(self.of_tokens.insert((key, day), times)),
            None => {
                self.miss(day, times);
                return false;
            }
        }
        true
    }

    fn miss(&mut self, day: Day, times: u64) {
        let count = self.not_counted.entry(day).or_default();
        *count = count.saturating_add(times);
    }
}

/// The counter of accepted requests. Its clones share the counts.
#[derive(Clone)]
pub struct Uses {
    db: Db,
    clock: Arc<dyn Clock>,
    counts: Arc<Mutex<Counts>>,
    /// The lock of the task that writes. A reader waits for it, so that the reader sees all counts.
    writing: Arc<tokio::sync::Mutex<()>>,
    dropped: Arc<AtomicU64>,
}

/// Counts that are being written. If they are dropped before [`written`](Self::written), because
/// the write failed or was cancelled, they are added to the newer counts.
struct Taken<'u> {
    uses: &'u Uses,
    counts: Counts,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let taken = mem::take(&mut self.counts);
        let mut counts = self.uses.counts();
        for ((key, day), times) in taken.of_tokens {
            if !counts.add(key, day, times) {
                self.uses.drop_some(times);
            }
        }
        for (day, times) in taken.not_counted {
            counts.miss(day, times);
        }
    }
}

impl Taken<'_> {
    fn written(mut self) {
        self.counts = Counts::default();
    }
}

impl Uses {
    pub fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        Self { db, clock, counts: Arc::default(), writing: Arc::default(), dropped: Arc::default() }
    }

    /// Returns an event sink that counts uses and passes each event on to another sink.
    pub fn before<E: EventSink>(&self, sink: E) -> CountedUses<E> {
        CountedUses { uses: self.clone(), sink }
    }

    /// Returns how many uses were not counted because there was no room for their token.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn count(&self, key: TokenKey, left_out: u64) {
        let day = day_of(self.clock.now().as_unix_millis());
        let mut counts = self.counts();
        if !counts.add(key, day, 1) {
            self.drop_some(1);
        }
        if left_out > 0 {
            counts.miss(day, left_out);
        }
    }

    fn drop_some(&self, times: u64) {
        let dropped = self.dropped.fetch_add(times, Ordering::Relaxed);
        if dropped == 0 {
            tracing::warn!("the uses of some tokens are not counted, because too many counts wait to be written");
        }
    }

    // No code panics while it holds the lock, so a poisoned lock guards consistent data.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the counts to the database, in one transaction. If the write fails, a later write
    /// includes these counts.
    ///
    /// The write runs in a task of its own, so it also ends if the caller is cancelled. If it were
    /// cancelled during the commit, the counts might be written and yet be added to the next write.
    pub async fn write(&self) -> sqlx::Result<()> {
        let uses = self.clone();
        tokio::spawn(async move { uses.write_taken().await }).await.map_err(io::Error::from)?
    }

    async fn write_taken(&self) -> sqlx::Result<()> {
        let _writing = self.writing.lock().await;
        let taken = Taken { uses: self, counts: mem::take(&mut *self.counts()) };
        if taken.counts.of_tokens.is_empty() && taken.counts.not_counted.is_empty() {
            return Ok(());
        }
        let mut transaction = self.db.begin().await?;
        for ((key, day), times) in &taken.counts.of_tokens {
            query(
                "INSERT INTO token_uses (project, token_id, day, times) VALUES (?, ?, ?, ?) \
                 ON CONFLICT (project, token_id, day) DO UPDATE SET times = token_uses.times + excluded.times",
            )
            .bind(key.project.as_str())
            .bind(key.id.as_str())
            .bind(*day)
            .bind(i64::try_from(*times).unwrap_or(i64::MAX))
            .execute(&mut transaction)
            .await?;
        }
        for (day, times) in &taken.counts.not_counted {
            query(
                "INSERT INTO uses_not_counted (day, times) VALUES (?, ?) \
                 ON CONFLICT (day) DO UPDATE SET times = uses_not_counted.times + excluded.times",
            )
            .bind(*day)
            .bind(i64::try_from(*times).unwrap_or(i64::MAX))
            .execute(&mut transaction)
            .await?;
        }
        transaction.commit().await?;
        taken.written();
        Ok(())
    }
}

/// An event sink that counts uses and passes each event on to another sink.
pub struct CountedUses<E> {
    uses: Uses,
    sink: E,
}

impl<E: EventSink> EventSink for CountedUses<E> {
    fn record(&self, event: &Event<'_>) {
        if let Event::Verified { key, left_out, .. } = event {
            self.uses.count(*key, *left_out);
        }
        self.sink.record(event);
    }
}

/// The accepted requests with a token on the [`SHOWN`] latest days.
#[derive(Debug)]
pub struct Recent {
    pub times: BTreeMap<Day, u64>,
    /// The days on which some uses of tokens were not counted. The counts of these days are lower
    /// bounds.
    pub is_least: BTreeSet<Day>,
}

/// Writes the counts, and returns the uses of a token on the latest days until `today`.
pub async fn recent(app: &App, key: &TokenKey, today: Day) -> Result<Recent, SetupError> {
    app.uses.write().await?;
    let from = today - SHOWN + 1;
    let rows: Vec<(Day, i64)> =
        query("SELECT day, times FROM token_uses WHERE project = ? AND token_id = ? AND day >= ?")
            .bind(key.project.as_str())
            .bind(key.id.as_str())
            .bind(from)
            .fetch_all(&app.db)
            .await?;
    let mut times = BTreeMap::new();
    for (day, count) in rows {
        times.insert(day, u64::try_from(count)?);
    }
    let is_least: Vec<Day> =
        query("SELECT day FROM uses_not_counted WHERE day >= ?").bind(from).column(&app.db).await?;
    Ok(Recent { times, is_least: is_least.into_iter().collect() })
}

/// Deletes the counts of the days before `day`.
pub async fn forget_before(db: &Db, day: Day) -> sqlx::Result<()> {
    for sql in ["DELETE FROM token_uses WHERE day < ?", "DELETE FROM uses_not_counted WHERE day < ?"] {
        query(sql).bind(day).execute(db).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use keyfob::{ProjectId, TokenId, clock::FixedClock};
    use tempfile::TempDir;

    const START: &str = "2026-11-29T23:59:59.999Z";

    fn key(number: usize) -> TokenKey {
        let id = TokenId::new(&format!("1{number:015}")).expect("an id");
        TokenKey { project: ProjectId::new("1").expect("a project"), id }
    }

    async fn uses() -> (Uses, FixedClock, TempDir) {
        let dir = tempfile::tempdir().expect("a folder");
        let db = Db::open_file(&dir.path().join("host.db")).await.expect("it opens");
        let clock = FixedClock::new(START.parse().expect("a time"));
        (Uses::new(db, Arc::new(clock.clone())), clock, dir)
    }

    async fn rows(uses: &Uses) -> Vec<(String, Day, i64)> {
        let sql = "SELECT token_id, day, times FROM token_uses ORDER BY token_id, day";
        query(sql).fetch_all(&uses.db).await.expect("it is read")
    }

    async fn not_counted(uses: &Uses) -> Vec<(Day, i64)> {
        let sql = "SELECT day, times FROM uses_not_counted ORDER BY day";
        query(sql).fetch_all(&uses.db).await.expect("it is read")
    }

    #[tokio::test]
    async fn uses_of_a_token_on_a_day_are_one_row() {
        let (uses, clock, _dir) = uses().await;
        let today = day_of(clock.now().as_unix_millis());
        for _ in 0..3 {
            uses.count(key(1), 0);
        }
        uses.count(key(2), 5);
        uses.write().await.expect("it is written");
        clock.advance(Duration::from_millis(1));
        uses.count(key(1), 0);
        for _ in 0..2 {
            uses.write().await.expect("it is written");
        }
        clock.advance(Duration::from_secs(1));
        uses.count(key(1), 0);
        uses.write().await.expect("it is written");
        let (one, two) = (key(1).id.to_string(), key(2).id.to_string());
        assert_eq!(rows(&uses).await, [(one.clone(), today, 3), (one, today + 1, 2), (two, today, 1)]);
        assert_eq!(not_counted(&uses).await, [(today, 5)]);
        assert_eq!(start_of(today + 1), clock.now().as_unix_millis() - 1000);
    }

    #[tokio::test]
    async fn counts_are_bounded_and_the_others_are_said_to_be_missing() {
        let (uses, clock, _dir) = uses().await;
        for number in 0..MOST + 7 {
            uses.count(key(number), 0);
        }
        uses.count(key(0), 0);
        assert_eq!(uses.dropped(), 7);
        uses.write().await.expect("it is written");
        assert_eq!(rows(&uses).await.len(), MOST);
        assert_eq!(rows(&uses).await[0].2, 2);
        assert_eq!(not_counted(&uses).await, [(day_of(clock.now().as_unix_millis()), 7)]);
    }

    #[tokio::test]
    async fn counts_of_a_failed_or_cancelled_write_are_written_later() {
        let (uses, clock, _dir) = uses().await;
        let today = day_of(clock.now().as_unix_millis());
        uses.count(key(1), 2);
        query("ALTER TABLE uses_not_counted RENAME TO away").execute(&uses.db).await.expect("it is renamed");
        assert!(uses.write().await.is_err());
        query("ALTER TABLE away RENAME TO uses_not_counted").execute(&uses.db).await.expect("it is renamed");
        uses.count(key(1), 0);
        // Another transaction has the turn, so the write waits until it is cancelled.
        let other = uses.db.begin().await.expect("the turn is free");
        assert!(tokio::time::timeout(Duration::from_millis(20), uses.write()).await.is_err());
        other.roll_back().await.expect("it ends");
        uses.write().await.expect("it is written");
        assert_eq!(rows(&uses).await, [(key(1).id.to_string(), today, 2)]);
        assert_eq!(not_counted(&uses).await, [(today, 2)]);
    }

    /// A client may disconnect, or the process may stop, at any point of a write.
    #[tokio::test]
    async fn counts_of_a_write_that_is_cancelled_at_any_point_are_written_once() {
        let (uses, _, _dir) = uses().await;
        for polls in 1..40 {
            uses.count(key(1), 0);
            let mut left = polls;
            let mut write = Box::pin(uses.write());
            std::future::poll_fn(|context| {
                left -= 1;
                match write.as_mut().poll(context) {
                    std::task::Poll::Pending if left > 0 => std::task::Poll::Pending,
                    _ => std::task::Poll::Ready(()),
                }
            })
            .await;
            drop(write);
            uses.write().await.expect("it is written");
            assert_eq!(rows(&uses).await[0].2, polls, "cancelled after {polls} steps");
        }
    }

    #[tokio::test]
    async fn counts_of_earlier_days_are_deleted() {
        let (uses, clock, _dir) = uses().await;
        let today = day_of(clock.now().as_unix_millis());
        uses.count(key(1), 1);
        uses.write().await.expect("it is written");
        forget_before(&uses.db, today).await.expect("nothing is deleted");
        assert_eq!((rows(&uses).await.len(), not_counted(&uses).await.len()), (1, 1));
        forget_before(&uses.db, today + 1).await.expect("they are deleted");
        assert_eq!((rows(&uses).await.len(), not_counted(&uses).await.len()), (0, 0));
    }
}
