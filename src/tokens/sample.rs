//! A fixture for unit tests: a service with an in-memory store that can fail, and a fixed clock.

use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::events::{Event, EventSink};
use super::service::Tokens;
use crate::rules::change::Change;
use crate::rules::import_row::ImportRow;
use crate::rules::mint::Issued;
use crate::rules::new_token::NewToken;
use crate::rules::notice_lead::NoticeLead;
use crate::rules::precondition::{IssuerCondition, LiveLimit};
use crate::rules::record::{Revocation, TokenRecord};
use crate::rules::sample::at;
use crate::store::contract::TokenStore;
use crate::store::group::{BatchResult, RevokeBatch};
use crate::store::import::{ImportRowOutcome, ImportStore};
use crate::store::last_use::LastUse;
use crate::store::maintenance::{ProjectsQuery, StoreMaintenance};
use crate::store::memory::MemoryStore;
use crate::store::query::{CountQuery, ListQuery, Page, PageSize};
use crate::store::ready::now;
use crate::words::clock::FixedClock;
use crate::words::ids::{KeyNumber, ProjectId, TokenId, TokenKey};
use crate::words::import_key::ImportKey;
use crate::words::keyring::Keyring;
use crate::words::pepper::Pepper;
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;

/// An in-memory store. A test can make its calls fail.
#[derive(Default)]
pub(super) struct Flaky {
    pub(super) rows: MemoryStore,
    /// The projects in which every call fails.
    pub(super) down: Mutex<BTreeSet<ProjectId>>,
    /// A queue of errors. Each call that writes a single token removes the first error and returns
    /// it.
    pub(super) faults: Mutex<VecDeque<StoreErrorKind>>,
    /// Whether each call that lists the projects fails.
    pub(super) unlisted: AtomicBool,
    /// Whether the store cannot read several projects with one call.
    pub(super) unscanned: AtomicBool,
    /// The number of last uses in each call of `touch_many`, in the order of the calls.
    pub(super) touched: Mutex<Vec<usize>>,
}

impl Flaky {
    fn up(&self, project: &ProjectId) -> Result<(), StoreError> {
        if self.down.lock().unwrap().contains(project) { Err(StoreErrorKind::Unavailable.into()) } else { Ok(()) }
    }

    fn write(&self, project: &ProjectId) -> Result<(), StoreError> {
        self.up(project)?;
        self.faults.lock().unwrap().pop_front().map_or(Ok(()), |fault| Err(fault.into()))
    }
}

impl TokenStore for Flaky {
    async fn insert(
        &self,
        record: TokenRecord,
        limit: Option<LiveLimit>,
        issuer: Option<IssuerCondition>,
    ) -> Result<Arc<TokenRecord>, StoreError> {
        self.write(&record.project)?;
        self.rows.insert(record, limit, issuer).await
    }

    async fn find(&self, key: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.up(&key.project)?;
        self.rows.find(key).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Arc<TokenRecord>>, StoreError> {
        self.up(&query.project)?;
        self.rows.list(query).await
    }

    async fn count(&self, query: &CountQuery) -> Result<u64, StoreError> {
        self.up(&query.project)?;
        self.rows.count(query).await
    }

    async fn update(
        &self,
        key: &TokenKey,
        expected_version: u64,
        change: Change,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.write(&key.project)?;
        self.rows.update(key, expected_version, change).await
    }

    async fn revoke(&self, key: &TokenKey, revocation: &Revocation) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.write(&key.project)?;
        self.rows.revoke(key, revocation).await
    }

    async fn revoke_owner(
        &self,
        project: &ProjectId,
        owner: &OwnerId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        self.up(project)?;
        self.rows.revoke_owner(project, owner, revocation).await
    }

    async fn revoke_family(
        &self,
        project: &ProjectId,
        family: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        self.up(project)?;
        self.rows.revoke_family(project, family, revocation).await
    }

    async fn revoke_issued_by(
        &self,
        project: &ProjectId,
        issuer: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        self.up(project)?;
        self.rows.revoke_issued_by(project, issuer, revocation).await
    }

    async fn revoke_batch(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        batch: RevokeBatch,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        self.up(project)?;
        self.rows.revoke_batch(project, revocation, batch, most).await
    }

    async fn rotate(
        &self,
        key: &TokenKey,
        expected_version: u64,
        successor: TokenRecord,
        grace_until: Timestamp,
        issuer: Option<IssuerCondition>,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.write(&key.project)?;
        self.rows.rotate(key, expected_version, successor, grace_until, issuer).await
    }

    async fn touch_many(&self, touches: &[LastUse]) -> Result<u64, StoreError> {
        self.touched.lock().unwrap().push(touches.len());
        touches.iter().try_for_each(|touch| self.up(&touch.key.project))?;
        self.rows.touch_many(touches).await
    }
}

impl StoreMaintenance for Flaky {
    async fn projects(&self, query: &ProjectsQuery) -> Result<Vec<ProjectId>, StoreError> {
        if self.unlisted.load(Ordering::SeqCst) {
            return Err(StoreErrorKind::Unavailable.into());
        }
        self.rows.projects(query).await
    }

    async fn purge(
        &self,
        project: &ProjectId,
        ended_before: Timestamp,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        self.up(project)?;
        self.rows.purge(project, ended_before, most).await
    }

    async fn ended_issuers(
        &self,
        project: &ProjectId,
        now: Timestamp,
        most: PageSize,
    ) -> Result<Vec<TokenId>, StoreError> {
        self.up(project)?;
        self.rows.ended_issuers(project, now, most).await
    }

    async fn claim_notices(
        &self,
        project: &ProjectId,
        leads: &[NoticeLead],
        now: Timestamp,
        lease_until: Timestamp,
        most: PageSize,
    ) -> Result<Vec<Arc<TokenRecord>>, StoreError> {
        self.up(project)?;
        self.rows.claim_notices(project, leads, now, lease_until, most).await
    }

    async fn acknowledge_notice(
        &self,
        key: &TokenKey,
        lead: NoticeLead,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.up(&key.project)?;
        self.rows.acknowledge_notice(key, lead).await
    }

    async fn scan(&self, after: Option<TokenKey>, most: PageSize) -> Result<Option<Vec<Arc<TokenRecord>>>, StoreError> {
        if self.unscanned.load(Ordering::SeqCst) { Ok(None) } else { self.rows.scan(after, most).await }
    }
}

impl ImportStore for Flaky {
    async fn import(&self, batch: Vec<ImportRow>) -> Result<Vec<ImportRowOutcome>, StoreError> {
        self.rows.import(batch).await
    }

    async fn find_imported(&self, import_key: &ImportKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.rows.find_imported(import_key).await
    }
}

/// An event sink that records the names of the events.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<Mutex<Vec<&'static str>>>);

impl EventSink for Heard {
    fn record(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(event.name());
    }
}

/// The fixture of a test: a service, and the store, clock and event sink that it uses.
pub(super) struct World {
    pub(super) tokens: Tokens<Arc<Flaky>>,
    pub(super) store: Arc<Flaky>,
    pub(super) clock: FixedClock,
    heard: Heard,
}

/// Returns a keyring with these key numbers. The last key is the minting key.
pub(super) fn ring(keys: &[u8]) -> Keyring {
    let pepper = |key: u8| Pepper::new((0..32).map(|byte| key.wrapping_add(byte)).collect()).unwrap();
    let builder = Keyring::builder("acme_pat".parse().unwrap());
    let builder =
        keys.iter().fold(builder, |builder, key| builder.mint_with(KeyNumber::new(*key).unwrap(), pepper(*key)));
    builder.build().unwrap()
}

/// Changes the last character of a token's text, so that the checksum is wrong.
pub(super) fn mistyped(text: &str) -> String {
    let (rest, last) = text.split_at(text.len() - 1);
    format!("{rest}{}", if last == "x" { "y" } else { "x" })
}

pub(super) fn project(name: &str) -> ProjectId {
    name.parse().unwrap()
}

impl World {
    /// Creates a fixture with an empty store and one key. Its clock is set to the time `at(0)`.
    pub(super) fn new() -> Self {
        Self::over(Arc::default(), ring(&[1]))
    }

    pub(super) fn over(store: Arc<Flaky>, ring: Keyring) -> Self {
        let (clock, heard) = (FixedClock::new(at(0)), Heard::default());
        let tokens = Tokens::new(ring, Arc::clone(&store)).with_clock(clock.clone()).with_events(heard.clone());
        Self { tokens, store, clock, heard }
    }

    /// Changes the configuration of the service.
    pub(super) fn with(self, change: impl FnOnce(Tokens<Arc<Flaky>>) -> Tokens<Arc<Flaky>>) -> Self {
        Self { tokens: change(self.tokens), ..self }
    }

    /// Returns the names of the events that were emitted since the last call of this method.
    pub(super) fn heard(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.heard.0.lock().unwrap())
    }

    /// Issues a token of ada in a project, and clears the recorded events.
    pub(super) fn issued(&self, in_project: &str) -> Issued<Arc<TokenRecord>> {
        let new = NewToken::new(project(in_project), "ada".parse().unwrap(), "CI".parse().unwrap());
        self.issued_as(new)
    }

    pub(super) fn issued_as(&self, new: NewToken) -> Issued<Arc<TokenRecord>> {
        let issued = now(self.tokens.issue(&crate::rules::sample::ada(), new)).unwrap();
        self.heard();
        issued
    }

    /// Returns the current record of a token, even if calls in its project fail.
    pub(super) fn stored(&self, key: &TokenKey) -> Arc<TokenRecord> {
        now(self.store.rows.find(key)).unwrap().unwrap()
    }

    pub(super) fn take_down(&self, name: &str) {
        self.store.down.lock().unwrap().insert(project(name));
    }

    /// Adds `fault` to the queue of errors, `times` times. Each call that writes a single token
    /// takes one error from the queue and fails with it.
    pub(super) fn fail(&self, fault: StoreErrorKind, times: usize) {
        self.store.faults.lock().unwrap().extend([fault].repeat(times));
    }

    pub(super) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}
