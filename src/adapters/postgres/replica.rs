//! The reads from a standby whose data is proven to be recent enough.
//!
//! The proof uses neither the clock of a server nor a position in its log. At regular intervals,
//! the store writes a new number, called a beat, to the primary. Each result of a standby includes
//! the last beat that the standby has, from the same snapshot. So the result includes everything
//! that was committed before the store began to write this beat. This holds for every standby, and
//! does not depend on how the server became a standby.

use core::hash::BuildHasher;
use core::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use core::time::Duration;
use std::collections::VecDeque;
use std::hash::RandomState;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgPool, Postgres, Row};

use super::failure::failed;
use super::plan::{by_primary_key, chain};
use crate::adapters::fault::Faults;
use crate::adapters::sql::gate::Pass;
use crate::adapters::sql::lease::Lease;
use crate::adapters::sql::patience::in_time;
use crate::adapters::sql::row::{columns, records};
use crate::rules::chain::Chain;
use crate::rules::record::TokenRecord;
use crate::store::contract::{ChainResult, ReadResult};
use crate::words::clock::{Clock, SystemClock};
use crate::words::ids::{ProjectId, TokenKey};
use crate::words::store_error::{StoreError, StoreErrorKind};

/// The maximum pause between two beats, which are numbers that the store writes to the primary.
/// After a change in a project, the store reads this project from the primary until a standby has
/// the next beat, so a longer pause would cause more such reads.
const PAUSE: Duration = Duration::from_secs(1);
/// The maximum time for which a read waits for a standby before it reads from the primary. It is
/// short, because the read from the primary takes additional time.
const REACH: Duration = Duration::from_secs(1);
/// The minimum number of beats that the store writes to the primary during `most_lag`. A beat is a
/// number that shows how recent a standby's data is. `most_lag` is the maximum age of the data that
/// the store uses from a standby.
const BEATS: u32 = 4;
/// The maximum number of beats that the store remembers. Beats are numbers that the store writes to
/// the primary. The store does not use a standby's result if the result contains a beat that the
/// store has forgotten.
const REMEMBERED: usize = 1024;
/// The number of marks. Several projects share each mark, which is the time of the last change in
/// any of them. After a change, the store reads all projects of this mark, about a thousandth of
/// all projects, from the primary. It does so until a standby has a beat that the store began to
/// write after the change.
const MARKS: usize = 1024;
/// The age after which the store deletes a row in the table `keyfob_beats`. Every store has one
/// row, and updates it with each beat. So the owner of such an old row no longer writes beats.
const LEFT_OVER: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) struct Replica {
    pool: PgPool,
    most_lag: Duration,
    /// The random id of this store, which is the key of its row in `keyfob_beats`.
    store: i64,
    /// The time at which this value was created. All other times in this struct are relative to it.
    began: Instant,
    /// The number that the store will write as the next beat. The store uses no number twice.
    next: AtomicI64,
    /// The latest beats, the oldest first. A beat is a number that the store writes to the primary.
    /// Each element contains this number, and the time at which the store began to write it.
    beats: Mutex<VecDeque<(i64, Duration)>>,
    /// The time up to which a standby has all changes, in nanoseconds after `began`. A beat is a
    /// number that the store regularly writes to the primary. After each write, the store reads the
    /// latest beat that has reached a standby. Then it sets this field to the time at which the
    /// store began to write that beat.
    ///
    /// The value is zero before the first such read. It becomes zero again if a standby does not
    /// reply, or if it returns no beat that the store remembers.
    shown: AtomicU64,
    /// The times of the last changes, in nanoseconds after `began`. Several projects share each
    /// element. A standby's result for one of these projects must not be older than the time in the
    /// element.
    marks: Box<[AtomicU64]>,
    /// The time at which the feed last reported that changes may have been missed, in nanoseconds
    /// after `began`. The missed changes may be in any project, so the store uses no standby's
    /// result that is older than this time.
    mark_of_all: AtomicU64,
    hasher: RandomState,
    faults: Arc<Faults>,
}

impl Replica {
    pub(super) fn new(pool: PgPool, most_lag: Duration, faults: &Arc<Faults>) -> Self {
        let hasher = RandomState::new();
        Self {
            pool,
            most_lag,
            store: hasher.hash_one("store").cast_signed(),
            began: Instant::now(),
            next: AtomicI64::new(0),
            beats: Mutex::default(),
            shown: AtomicU64::new(0),
            marks: (0..MARKS).map(|_| AtomicU64::new(0)).collect(),
            mark_of_all: AtomicU64::new(0),
            hasher,
            faults: Arc::clone(faults),
        }
    }

    /// Returns the time since `began`. It is never zero, because zero means "no time".
    fn now(&self) -> Duration {
        self.began.elapsed() + Duration::from_nanos(1)
    }

    fn mark_of(&self, project: &ProjectId) -> &AtomicU64 {
        &self.marks[self.hasher.hash_one(project) as usize % MARKS]
    }

    /// Ensures that the store uses a standby's result for this project only if the result includes
    /// all changes up to now.
    pub(super) fn mark(&self, project: &ProjectId) {
        self.mark_of(project).fetch_max(nanos(self.now()), Ordering::SeqCst);
    }

    /// Ensures that the store uses a standby's result only if the result includes all changes up to
    /// now. This applies to the results for all projects.
    #[cfg(feature = "cache")]
    pub(super) fn mark_all(&self) {
        self.mark_of_all.fetch_max(nanos(self.now()), Ordering::SeqCst);
    }

    /// Returns the time up to which a standby's result for this project must include all changes.
    /// The store does not use a result that lacks some of these changes.
    fn asked_for(&self, project: &ProjectId) -> Duration {
        let marks = [self.mark_of(project), &self.mark_of_all].map(|mark| mark.load(Ordering::SeqCst));
        let marked = Duration::from_nanos(marks[0].max(marks[1]));
        marked.max(self.now().saturating_sub(self.most_lag))
    }

    /// Returns a standby's record of a token, and the maximum age of this record. Returns `None` if
    /// the standby has no such record, does not reply, or is not proven to be recent enough.
    pub(super) async fn find(&self, key: &TokenKey) -> Option<ReadResult> {
        /// A query that reads the row of the token and, in the same snapshot, the beat.
        const FIND: &str = concat!(
            "SELECT ",
            columns!(),
            ", (SELECT beat FROM keyfob_beats WHERE store = $3) AS beat",
            by_primary_key!()
        );
        let (mut records, age) = self.recent(key, FIND).await?;
        Some(ReadResult { record: Some(records.swap_remove(0)), age })
    }

    /// Returns a standby's records of a token and of all tokens that this token is bound to.
    /// Returns `None` if the records are not proven to be recent enough, or if the standby lacks
    /// one of them. The primary may have a record that the standby lacks.
    pub(super) async fn find_chain(&self, key: &TokenKey) -> Option<ChainResult> {
        const CHAIN: &str = chain!(", (SELECT beat FROM keyfob_beats WHERE store = $3) AS beat");
        let ReadResult { record, age } = self.find(key).await?;
        let chain = Chain::from(record);
        if chain.next_issuer().is_none() {
            return Some(ChainResult { chain, age });
        }
        let (records, age) = self.recent(key, CHAIN).await?;
        let (count, chain) = (records.len(), Chain::of(records));
        let is_whole = chain.next_issuer().is_none() && chain.issuers().count() + 1 == count;
        is_whole.then_some(ChainResult { chain, age })
    }

    /// Runs a query on a standby, and returns the records (at least one) and their maximum age.
    /// Returns `None` if there is no record, or if the records are not proven to be recent enough.
    /// The query must read the beat in the same snapshot as the rows.
    async fn recent(&self, key: &TokenKey, sql: &'static str) -> Option<(Vec<Arc<TokenRecord>>, Duration)> {
        let (asked_for, shown) = (self.asked_for(&key.project), self.shown.load(Ordering::SeqCst));
        if shown == 0 || shown < nanos(asked_for) {
            return None;
        }
        let query = sqlx::query(sql).bind(key.project.as_str()).bind(key.id.as_str()).bind(self.store);
        let Some(rows) = self.ask(query).await else {
            // Other calls skip the standby until a beat shows that it replies again.
            self.shown.store(0, Ordering::SeqCst);
            return None;
        };
        // The standby may lack a token that was just issued, perhaps by another process. The
        // primary has it.
        let first = rows.first()?;
        let as_of = self.begun(self.noted(first.try_get("beat").map_err(failed))?)?;
        let age = self.now().saturating_sub(as_of);
        if as_of < asked_for || age > self.most_lag {
            return None;
        }
        Some((self.noted(records(rows.iter()))?, age))
    }

    /// Runs a query on a standby. If the query fails or takes too long, counts the failure and
    /// returns `None`. The caller then reads from the primary.
    async fn ask(&self, query: Query<'_, Postgres, PgArguments>) -> Option<Vec<PgRow>> {
        let answer = tokio::time::timeout(self.most_lag.min(REACH), async {
            let mut standby = Lease::new(self.pool.acquire().await?, Pass::default(), &self.faults);
            query.fetch_all(&mut *standby).await
        });
        let answer = answer.await.map_err(|waited| StoreError::with_source(StoreErrorKind::Unavailable, waited));
        self.noted(answer.and_then(|answer| answer.map_err(failed)))
    }

    fn noted<T>(&self, answer: Result<T, StoreError>) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.faults.note("cannot read from a standby", &error);
                None
            }
        }
    }

    fn beats(&self) -> MutexGuard<'_, VecDeque<(i64, Duration)>> {
        // No code panics while it holds the lock.
        self.beats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the time at which the store began to write a beat, or `None` if the store does not
    /// remember this beat.
    fn begun(&self, beat: Option<i64>) -> Option<Duration> {
        self.beats().iter().rev().find(|(number, _)| Some(*number) == beat).map(|(_, begun)| *begun)
    }

    /// Writes a beat to the primary at regular intervals. After each write, reads the latest beat
    /// that has reached a standby, which shows how recent the standby's data is. This function
    /// never returns.
    pub(super) async fn beat(&self, primary: &PgPool) {
        let pause = (self.most_lag / BEATS).clamp(Duration::from_millis(1), PAUSE);
        loop {
            let begun = self.now();
            // While the primary or the standby does not reply, the store does not use the standby.
            if let Err(error) = self.write_beat(begun, primary).await {
                self.faults.note("cannot write a beat", &error);
            }
            self.see_beat().await;
            tokio::time::sleep(pause.saturating_sub(self.now().saturating_sub(begun))).await;
        }
    }

    async fn write_beat(&self, begun: Duration, primary: &PgPool) -> Result<(), StoreError> {
        const BEAT: &str = "INSERT INTO keyfob_beats (store, beat, written_at) VALUES ($1, $2, $3) \
                            ON CONFLICT (store) DO UPDATE SET beat = excluded.beat, written_at = excluded.written_at";
        const CLEAR: &str = "DELETE FROM keyfob_beats WHERE written_at < $1";
        let (number, now) = (self.next.fetch_add(1, Ordering::SeqCst), SystemClock.now().as_unix_millis());
        in_time(async {
            let connection = primary.acquire().await.map_err(failed)?;
            let mut primary = Lease::new(connection, Pass::default(), &self.faults);
            if number == 0 {
                let clear = sqlx::query(CLEAR).bind(now - LEFT_OVER.as_millis() as i64);
                clear.execute(&mut *primary).await.map_err(failed)?;
            }
            {
                // The store remembers the beat before it writes the beat, because a standby may
                // show the beat even if the primary's reply is lost.
                let mut beats = self.beats();
                beats.push_back((number, begun));
                let old = beats.len().saturating_sub(REMEMBERED);
                beats.drain(..old);
            }
            let beat = sqlx::query(BEAT).bind(self.store).bind(number).bind(now);
            beat.execute(&mut *primary).await.map(drop).map_err(failed)
        })
        .await
    }

    /// Reads the latest beat that has reached the standby. Sets `shown` to the time at which the
    /// store began to write this beat. Sets `shown` to zero if the standby does not reply, or if it
    /// returns no beat that the store remembers.
    async fn see_beat(&self) {
        const SEE: &str = "SELECT beat FROM keyfob_beats WHERE store = $1";
        let seen = self.ask(sqlx::query(SEE).bind(self.store)).await.unwrap_or_default();
        let beat = seen.first().and_then(|row| self.noted(row.try_get(0).map_err(failed)));
        let as_of = beat.and_then(|beat| self.begun(beat));
        self.shown.store(as_of.map_or(0, nanos), Ordering::SeqCst);
    }
}

/// Returns a time in nanoseconds. A `u64` is enough for 584 years.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
