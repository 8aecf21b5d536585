//! A store behind a cache.

use core::fmt;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::counts::{CacheCounts, Counters};
use super::deadline::within;
use super::feed::{Feed, FeedEvent};
use super::protocol::Since;
use super::shards::{Answer, Flight, Found, Looked, Shards};
use crate::rules::change::Change;
use crate::rules::notice_stage::NoticeStage;
use crate::rules::precondition::IssuerCondition;
use crate::rules::record::{Revocation, TokenRecord};
use crate::store::contract::{LastUse, OwnerLimit, ReadResult, TokenStore};
use crate::store::group::{BatchResult, RevokeBatch};
use crate::store::import::{ImportKey, ImportRow, ImportRowOutcome, ImportStore};
use crate::store::maintenance::{ProjectsQuery, StoreMaintenance};
use crate::store::query::{CountQuery, ListQuery, Page, PageSize};
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;

/// A store whose answers to [`find_recent`](TokenStore::find_recent), which verifications ask for, are kept in memory and
/// given again for a stated time at most.
///
/// No answer is older than the bound, and each says how old it is: what another process has changed
/// is seen here after that time at the latest, and what this one has changed at once. An answer
/// that took longer than the bound to come is none: [`Unavailable`](StoreErrorKind::Unavailable).
/// Concurrent calls for one token are one call of the store; none waits for it longer than the
/// [patience](Self::with_patience). Only records are kept, never tokens, so that each use still
/// proves its secret. What is judged to be changed is always asked of the store.
///
/// A clone shares what is held. With a [feed](Self::follow) changes are seen within moments; the bound holds without it.
pub struct Cached<S> {
    store: S,
    cache: Arc<Cache>,
    patience: Duration,
}

struct Cache {
    shards: Shards,
    counters: Counters,
    bound: Duration,
    /// The beginning of its times.
    began: Instant,
    told_at: Mutex<Option<Instant>>,
}

impl<S: Clone> Clone for Cached<S> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), cache: Arc::clone(&self.cache), patience: self.patience }
    }
}

impl<S> fmt::Debug for Cached<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached").field("max_staleness", &self.cache.bound).finish_non_exhaustive()
    }
}

impl<S> Cached<S> {
    /// How many tokens are held unless [`with_entries`](Self::with_entries) says otherwise.
    pub const ENTRIES: usize = 100_000;

    /// How long a caller waits for the store unless [`with_patience`](Self::with_patience) says
    /// otherwise: 10 seconds. The stores of this crate answer or fail within 5, and where a standby
    /// is behind, the primary is asked after it.
    pub const PATIENCE: Duration = Duration::from_secs(10);

    /// The store behind a cache whose answers are at most this old. Zero asks the store each time.
    pub fn new(store: S, max_staleness: Duration) -> Self {
        Self { store, cache: Cache::new(max_staleness, Self::ENTRIES), patience: Self::PATIENCE }
    }

    /// The same, empty, holding about this many tokens at most. One takes about a kilobyte.
    #[must_use]
    pub fn with_entries(self, entries: usize) -> Self {
        Self { cache: Cache::new(self.cache.bound, entries), ..self }
    }

    /// Sets how long a caller of [`find_recent`](TokenStore::find_recent) waits for the store.
    /// After that time the call fails with [`Unavailable`](StoreErrorKind::Unavailable) and the
    /// store's call is given up, so that the next caller asks the store anew. Several callers may
    /// wait for one call of the store, which therefore must not be able to keep them all.
    ///
    /// The time is measured by tokio's timer, which the runtime must have enabled. Outside a tokio
    /// runtime nothing measures it, and the wait is as long as the store's.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The store behind it. What is changed there is not known here before the bound is over, or a feed tells.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The bound.
    pub fn max_staleness(&self) -> Duration {
        self.cache.bound
    }

    /// What it did.
    pub fn counts(&self) -> CacheCounts {
        let told_at = *self.cache.told_at();
        let feed_age = told_at.map(|told_at| told_at.elapsed());
        CacheCounts { entries: self.cache.shards.len(), feed_age, ..self.cache.counters.read() }
    }

    /// How many calls are under way.
    #[cfg(test)]
    pub(super) fn under_way(&self) -> usize {
        self.cache.shards.under_way()
    }

    /// Follows a feed, for ever: in a task of its own, which the host ends when it stops.
    pub async fn follow(&self, mut feed: impl Feed) {
        loop {
            let told = feed.next().await;
            match told {
                FeedEvent::Token(key) => self.cache.shards.forget(&key),
                FeedEvent::Project(project) => self.cache.shards.move_epoch(&project),
                FeedEvent::Nothing => {}
                FeedEvent::Lost => {
                    Counters::add(&self.cache.counters.feed_losses);
                    self.cache.shards.move_all_epochs();
                }
            }
            let told_at = (told != FeedEvent::Lost).then(Instant::now);
            *self.cache.told_at() = told_at;
        }
    }

    fn writing<'c>(&'c self, keys: &'c [TokenKey]) -> Writing<'c> {
        let since = keys.first().map(|key| self.cache.since(&key.project));
        Writing { cache: &self.cache, keys, project: None, since }
    }

    fn writing_in<'c>(&'c self, project: &'c ProjectId) -> Writing<'c> {
        Writing { cache: &self.cache, keys: &[], project: Some(project), since: None }
    }
}

impl Cache {
    fn new(bound: Duration, entries: usize) -> Arc<Self> {
        let shards = Shards::new(bound, entries);
        Arc::new(Self {
            shards,
            counters: Counters::default(),
            bound,
            began: Instant::now(),
            told_at: Mutex::default(),
        })
    }

    fn now(&self) -> Duration {
        // Far from zero, so that there are times from before the cache was made: a standby may answer with what is older.
        const BEFORE: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
        BEFORE + self.began.elapsed()
    }

    /// How old what is from then is by now.
    fn age(&self, since: Since) -> Duration {
        self.now().saturating_sub(since.asked_at)
    }

    // No code panics while it holds the lock.
    fn told_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.told_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn since(&self, project: &ProjectId) -> Since {
        Since { asked_at: self.now(), epoch: self.shards.epoch(project) }
    }
}

/// An act of this process on some keys, or on a project's. However it ends, also where its future is dropped half-way,
/// nothing from before it is answered afterwards.
struct Writing<'c> {
    cache: &'c Cache,
    keys: &'c [TokenKey],
    project: Option<&'c ProjectId>,
    since: Option<Since>,
}

impl Writing<'_> {
    /// It is acknowledged, and gave this record of the first key.
    fn gave(mut self, record: &Arc<TokenRecord>) {
        if let (Some((first, others)), Some(since)) = (self.keys.split_first(), self.since) {
            self.cache.shards.wrote(first, record, since);
            self.keys = others;
        }
    }

    /// It is acknowledged, and there was nothing to do in the project.
    fn changed_nothing(mut self) {
        self.project = None;
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        for key in self.keys {
            self.cache.shards.forget(key);
        }
        if let Some(project) = self.project {
            self.cache.shards.move_epoch(project);
        }
    }
}

/// A caller that waits for a call of the store. The last one to leave takes the call along.
struct Waiting<'c> {
    cache: &'c Cache,
    key: &'c TokenKey,
    flight: Arc<Flight>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.flight.answer.get().is_none() {
            self.cache.shards.leave(self.key, &self.flight);
        }
    }
}

impl<S: TokenStore> Cached<S> {
    async fn ask(&self, key: &TokenKey, flight: &Arc<Flight>) -> Answer {
        Counters::add(&self.cache.counters.misses);
        let (since, found) = self.ask_store(key).await;
        let found = found.map_err(Arc::new);
        match &found {
            Ok(found) if !self.cache.shards.land(key, flight, found, since) => {
                Counters::add(&self.cache.counters.fills_lost);
            }
            Ok(_) => {}
            Err(_) => self.cache.shards.end(key, flight),
        }
        Answer { since, found }
    }

    /// Whoever was told that an act is done already, and so needs not be, must not be answered as if it were not.
    async fn as_told(
        &self,
        key: &TokenKey,
        find: impl Future<Output = Result<Found, StoreError>>,
    ) -> Result<Found, StoreError> {
        let writing = self.writing(core::slice::from_ref(key));
        let found = find.await?;
        if let Some(record) = &found {
            writing.gave(record);
        }
        Ok(found)
    }

    /// What the store has, and from when that is.
    async fn ask_store(&self, key: &TokenKey) -> (Since, Result<Found, StoreError>) {
        let mut since = self.cache.since(&key.project);
        match self.store.find_recent(key).await {
            Ok(ReadResult { record, age: Duration::ZERO }) => (since, Ok(record)),
            Ok(ReadResult { record, age }) => {
                // A replica's: as old as it says when the question began, at most.
                since.asked_at = since.asked_at.saturating_sub(age);
                if self.cache.age(since) <= self.cache.bound {
                    return (since, Ok(record));
                }
                (self.cache.since(&key.project), self.store.find(key).await)
            }
            Err(error) => (since, Err(error)),
        }
    }
}

/// An answer that took longer to come than answers may be old.
#[derive(Debug)]
struct TooOld;

impl fmt::Display for TooOld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store took longer to answer than its answers may be old")
    }
}

impl core::error::Error for TooOld {}

/// An answer that did not come in time.
#[derive(Debug)]
struct NoAnswer;

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store did not answer within the patience of the cache")
    }
}

impl core::error::Error for NoAnswer {}

impl<S: TokenStore> TokenStore for Cached<S> {
    async fn insert(
        &self,
        record: TokenRecord,
        limit: Option<OwnerLimit>,
        issuer: Option<IssuerCondition>,
    ) -> Result<Arc<TokenRecord>, StoreError> {
        let keys = [record.key()];
        let _writing = self.writing(&keys);
        self.store.insert(record, limit, issuer).await
    }

    async fn find(&self, key: &TokenKey) -> Result<Found, StoreError> {
        self.as_told(key, self.store.find(key)).await
    }

    async fn find_durable(&self, key: &TokenKey) -> Result<Found, StoreError> {
        self.as_told(key, self.store.find_durable(key)).await
    }

    async fn find_recent(&self, key: &TokenKey) -> Result<ReadResult, StoreError> {
        let cache = &*self.cache;
        if cache.bound.is_zero() {
            return self.store.find(key).await.map(ReadResult::now);
        }
        let flight = match cache.shards.look(key, cache.now()) {
            Looked::Held { found, age } => {
                Counters::add(&cache.counters.hits);
                return Ok(ReadResult { record: found, age });
            }
            Looked::Join(flight) => {
                Counters::add(&cache.counters.joined);
                flight
            }
            Looked::Start(flight) => flight,
        };
        let waiting = Waiting { cache, key, flight };
        let answer = waiting.flight.answer.get_or_init(|| self.ask(key, &waiting.flight));
        let Some(answer) = within(self.patience, answer).await else {
            Counters::add(&cache.counters.given_up);
            cache.shards.give_up(key, &waiting.flight);
            return Err(StoreError::with_source(StoreErrorKind::Unavailable, NoAnswer));
        };
        let Answer { since, found } = answer.clone();
        let found = found.map_err(|error| StoreError::with_source(error.kind(), error))?;
        let age = cache.age(since);
        if age > cache.bound {
            return Err(StoreError::with_source(StoreErrorKind::Unavailable, TooOld));
        }
        Ok(ReadResult { record: found, age })
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Arc<TokenRecord>>, StoreError> {
        self.store.list(query).await
    }

    async fn count(&self, query: &CountQuery) -> Result<u64, StoreError> {
        self.store.count(query).await
    }

    async fn update(&self, key: &TokenKey, expected_version: u64, change: Change) -> Result<Found, StoreError> {
        let writing = self.writing(core::slice::from_ref(key));
        let found = self.store.update(key, expected_version, change).await?;
        if let Some(record) = &found {
            writing.gave(record);
        }
        Ok(found)
    }

    async fn revoke(&self, key: &TokenKey, revocation: &Revocation) -> Result<Found, StoreError> {
        let writing = self.writing(core::slice::from_ref(key));
        let found = self.store.revoke(key, revocation).await?;
        if let Some(record) = &found {
            writing.gave(record);
        }
        Ok(found)
    }

    async fn revoke_owner(
        &self,
        project: &ProjectId,
        owner: &OwnerId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        let _writing = self.writing_in(project);
        self.store.revoke_owner(project, owner, revocation).await
    }

    async fn revoke_family(
        &self,
        project: &ProjectId,
        family: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        let _writing = self.writing_in(project);
        self.store.revoke_family(project, family, revocation).await
    }

    async fn revoke_batch(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        batch: RevokeBatch,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        let _writing = self.writing_in(project);
        self.store.revoke_batch(project, revocation, batch, most).await
    }

    async fn rotate(
        &self,
        key: &TokenKey,
        expected_version: u64,
        successor: TokenRecord,
        grace_until: Timestamp,
        issuer: Option<IssuerCondition>,
    ) -> Result<Found, StoreError> {
        // The successor of an earlier try may be ended too, and only the store knows its id.
        let _writing = self.writing_in(&key.project);
        self.store.rotate(key, expected_version, successor, grace_until, issuer).await
    }

    async fn touch_many(&self, touches: &[LastUse]) -> Result<u64, StoreError> {
        let keys: Vec<TokenKey> = touches.iter().map(|touch| touch.key).collect();
        let _writing = self.writing(&keys);
        self.store.touch_many(touches).await
    }
}

impl<S: StoreMaintenance> StoreMaintenance for Cached<S> {
    async fn projects(&self, query: &ProjectsQuery) -> Result<Vec<ProjectId>, StoreError> {
        self.store.projects(query).await
    }

    async fn purge(
        &self,
        project: &ProjectId,
        ended_before: Timestamp,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        let writing = self.writing_in(project);
        let batch = self.store.purge(project, ended_before, most).await?;
        if batch.count == 0 {
            writing.changed_nothing();
        }
        Ok(batch)
    }

    async fn claim_notices(
        &self,
        project: &ProjectId,
        now: Timestamp,
        lease_until: Timestamp,
        most: PageSize,
    ) -> Result<Vec<Arc<TokenRecord>>, StoreError> {
        let writing = self.writing_in(project);
        let claimed = self.store.claim_notices(project, now, lease_until, most).await?;
        if claimed.is_empty() {
            writing.changed_nothing();
        }
        Ok(claimed)
    }

    async fn acknowledge_notice(&self, key: &TokenKey, stage: NoticeStage) -> Result<Found, StoreError> {
        let writing = self.writing(core::slice::from_ref(key));
        let found = self.store.acknowledge_notice(key, stage).await?;
        if let Some(record) = &found {
            writing.gave(record);
        }
        Ok(found)
    }
}

impl<S: ImportStore> ImportStore for Cached<S> {
    async fn import(&self, batch: Vec<ImportRow>) -> Result<Vec<ImportRowOutcome>, StoreError> {
        let keys: Vec<TokenKey> = batch.iter().map(|row| row.record.key()).collect();
        let _writing = self.writing(&keys);
        self.store.import(batch).await
    }

    async fn find_imported(&self, import_key: &ImportKey) -> Result<Found, StoreError> {
        self.store.find_imported(import_key).await
    }
}
