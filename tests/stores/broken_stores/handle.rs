//! A handle on a store in memory with a fault that one handle alone does not show: a cache of its
//! own, or a lock of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use keyfob::record::{Change, Revocation};
use keyfob::store::StoreErrorKind::Conflict;
use keyfob::store::{
    BatchResult, ChainResult, CountQuery, IssuerCondition, LastUse, ListQuery, LiveLimit, Page, PageSize, ReadResult,
    RevokeBatch, StoreError,
};
use keyfob::{MemoryStore, OwnerId, ProjectId, Timestamp, TokenId, TokenKey, TokenRecord, TokenStore};
use tokio::task::yield_now;

type Answer<T> = Result<T, StoreError>;
type Row = Arc<TokenRecord>;

macro_rules! faults {
    ($($(#[$docs:meta])* $fault:ident => $case:ident,)+) => {
        /// A fault of a handle. The case is a law of `conformance::shared`.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum HandleFault {
            $($(#[$docs])* $fault,)+
        }

        impl HandleFault {
            pub const ALL: &[Self] = &[$(Self::$fault),+];

            /// Returns the name of the conformance case that must fail because of this fault.
            pub fn case(self) -> &'static str {
                match self {
                    $(Self::$fault => stringify!($case)),+
                }
            }
        }
    };
}

faults! {
    /// `find` uses a cache that only the writes of this handle empty.
    FindKeepsRows => find_shows_what_another_handle_wrote,
    /// `find` remembers which tokens do not exist, until this handle writes.
    FindKeepsAbsence => find_shows_what_another_handle_inserted,
    /// `list` uses a cache that only the writes of this handle empty.
    ListKeepsPages => list_shows_what_another_handle_wrote,
    /// `count` uses a cache that only the writes of this handle empty.
    CountKeepsNumbers => count_shows_what_another_handle_wrote,
    /// `find_recent` uses a cache that only the writes of this handle empty, and states the age
    /// zero.
    RecentHidesItsAge => recent_reads_are_no_older_than_they_say,
    /// `find_held` returns rows of a cache that only the writes of this handle empty, and states
    /// the age zero.
    HeldHidesItsAge => recent_reads_are_no_older_than_they_say,
    /// `find_recent_chain` does the same.
    ChainsHideTheirAge => chains_are_no_older_than_they_say,
    /// `find_held` does the same with chains.
    HeldChainsHideTheirAge => chains_are_no_older_than_they_say,
    /// An update reads, pauses and writes under a lock of its process.
    UpdatesLockTheirProcess => one_update_of_a_version_wins,
}

use HandleFault::*;

/// A handle with this fault on a store in memory.
pub struct Handle {
    engine: Arc<MemoryStore>,
    fault: HandleFault,
    found: Mutex<HashMap<TokenKey, Option<Row>>>,
    chains: Mutex<HashMap<TokenKey, ChainResult>>,
    pages: Mutex<HashMap<ProjectId, Page<Row>>>,
    /// The cached counts, by the text of their query.
    counts: Mutex<HashMap<String, u64>>,
    lock: tokio::sync::Mutex<()>,
}

impl Handle {
    /// Creates a handle on this engine.
    pub fn new(engine: Arc<MemoryStore>, fault: HandleFault) -> Self {
        Self {
            engine,
            fault,
            found: Mutex::default(),
            chains: Mutex::default(),
            pages: Mutex::default(),
            counts: Mutex::default(),
            lock: tokio::sync::Mutex::default(),
        }
    }

    fn is(&self, fault: HandleFault) -> bool {
        self.fault == fault
    }

    /// Empties the caches of this handle, and returns the engine for a write.
    fn write(&self) -> &MemoryStore {
        self.found.lock().unwrap().clear();
        self.chains.lock().unwrap().clear();
        self.pages.lock().unwrap().clear();
        self.counts.lock().unwrap().clear();
        &self.engine
    }

    async fn known(&self, key: &TokenKey) -> Answer<Option<Row>> {
        let now = self.engine.find(key).await?;
        Ok(self.found.lock().unwrap().entry(*key).or_insert(now).clone())
    }
}

impl TokenStore for Handle {
    async fn insert(
        &self,
        record: TokenRecord,
        limit: Option<LiveLimit>,
        issuer: Option<IssuerCondition>,
    ) -> Answer<Row> {
        self.write().insert(record, limit, issuer).await
    }

    async fn find(&self, key: &TokenKey) -> Answer<Option<Row>> {
        let now = self.engine.find(key).await?;
        match self.fault {
            FindKeepsRows if now.is_some() => self.known(key).await,
            FindKeepsAbsence if self.found.lock().unwrap().contains_key(key) || now.is_none() => self.known(key).await,
            _ => Ok(now),
        }
    }

    async fn find_recent(&self, key: &TokenKey) -> Answer<ReadResult> {
        let record = match self.fault {
            RecentHidesItsAge => self.known(key).await?,
            HeldHidesItsAge => {
                self.known(key).await?;
                self.engine.find(key).await?
            }
            _ => self.engine.find(key).await?,
        };
        Ok(ReadResult::now(record))
    }

    async fn find_recent_chain(&self, key: &TokenKey) -> Answer<ChainResult> {
        let now = self.engine.find_recent_chain(key).await?;
        if !matches!(self.fault, ChainsHideTheirAge | HeldChainsHideTheirAge) {
            return Ok(now);
        }
        let kept = self.chains.lock().unwrap().entry(*key).or_insert(now.clone()).clone();
        Ok(if self.is(ChainsHideTheirAge) { kept } else { now })
    }

    fn find_held(&self, key: &TokenKey) -> Option<ChainResult> {
        if self.is(HeldChainsHideTheirAge) {
            return self.chains.lock().unwrap().get(key).cloned();
        }
        let found = self.found.lock().unwrap();
        found.get(key).filter(|_| self.is(HeldHidesItsAge)).map(|row| ChainResult::now(row.clone()))
    }

    async fn list(&self, query: &ListQuery) -> Answer<Page<Row>> {
        let now = self.engine.list(query).await?;
        let is_cached = self.is(ListKeepsPages)
            && *query == ListQuery { most: PageSize::MAX, descending: false, ..ListQuery::new(query.project) };
        if is_cached {
            return Ok(self.pages.lock().unwrap().entry(query.project).or_insert(now).clone());
        }
        Ok(now)
    }

    async fn count(&self, query: &CountQuery) -> Answer<u64> {
        let now = self.engine.count(query).await?;
        if self.is(CountKeepsNumbers) && query.status.is_some() {
            return Ok(*self.counts.lock().unwrap().entry(format!("{query:?}")).or_insert(now));
        }
        Ok(now)
    }

    async fn update(&self, key: &TokenKey, expected_version: u64, change: Change) -> Answer<Option<Row>> {
        if !self.is(UpdatesLockTheirProcess) {
            return self.write().update(key, expected_version, change).await;
        }
        let _lock = self.lock.lock().await;
        match self.engine.find(key).await? {
            None => return Ok(None),
            Some(found) if found.version != expected_version => return Err(Conflict.into()),
            Some(_) => {}
        }
        yield_now().await;
        let Some(now) = self.engine.find(key).await? else { return Ok(None) };
        self.engine.update(key, now.version, change).await
    }

    async fn revoke(&self, key: &TokenKey, revocation: &Revocation) -> Answer<Option<Row>> {
        self.write().revoke(key, revocation).await
    }

    async fn revoke_owner(&self, project: &ProjectId, owner: &OwnerId, revocation: &Revocation) -> Answer<u64> {
        self.write().revoke_owner(project, owner, revocation).await
    }

    async fn revoke_family(&self, project: &ProjectId, family: &TokenId, revocation: &Revocation) -> Answer<u64> {
        self.write().revoke_family(project, family, revocation).await
    }

    async fn revoke_issued_by(&self, project: &ProjectId, issuer: &TokenId, revocation: &Revocation) -> Answer<u64> {
        self.write().revoke_issued_by(project, issuer, revocation).await
    }

    async fn revoke_batch(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        batch: RevokeBatch,
        most: PageSize,
    ) -> Answer<BatchResult> {
        self.write().revoke_batch(project, revocation, batch, most).await
    }

    async fn rotate(
        &self,
        key: &TokenKey,
        expected_version: u64,
        successor: TokenRecord,
        grace_until: Timestamp,
        issuer: Option<IssuerCondition>,
    ) -> Answer<Option<Row>> {
        self.write().rotate(key, expected_version, successor, grace_until, issuer).await
    }

    async fn touch_many(&self, touches: &[LastUse]) -> Answer<u64> {
        self.write().touch_many(touches).await
    }
}
