//! The service that the tests of traps use. It runs on one store, with a clock that the test sets.
//! Several methods verify a token, and return `ok` or the reason of the rejection.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use keyfob::{
    Access, Issued, Name, NewToken, OwnerId, ProjectId, Scope, Timestamp, TokenKey, TokenRecord, TokenStore, Tokens,
    clock::FixedClock,
    store::{BatchResult, ChainResult, DynStore, ReadResult, StoreError, StoreErrorKind, StoreMaintenance},
    tokens::Usage,
};
use tokio::sync::Notify;

use crate::support::{actor, keyring, now, project};

pub const MS: Duration = Duration::from_millis(1);
pub const HOUR: Duration = Duration::from_secs(3600);
pub const DAY: Duration = Duration::from_secs(24 * 3600);

pub type Made = Issued<Arc<TokenRecord>>;

/// The store is a [`DynStore`], because a copy of each trap for each type of store would take
/// minutes to compile.
pub struct World {
    pub clock: FixedClock,
    pub tokens: Tokens<Between>,
    pub project: ProjectId,
}

impl World {
    /// Creates a test service whose store has a cache. A cache serves no outdated record after a
    /// change by its own process. So the bound on the age of cached records does not matter.
    #[cfg(feature = "cache")]
    pub fn cached(store: impl TokenStore + StoreMaintenance + 'static) -> Self {
        Self::new(keyfob::store::cache::Cached::new(store, HOUR))
    }

    pub fn new(store: impl TokenStore + StoreMaintenance + 'static) -> Self {
        let clock = FixedClock::new(now());
        let usage = Usage::default().with_resolution(Duration::ZERO);
        let store = Between { store: DynStore::new(store), find: Mutex::default() };
        let tokens = Tokens::new(keyring(), store).with_clock(clock.clone()).with_usage(usage);
        Self { clock, tokens, project: project("145") }
    }

    pub fn new_token(&self) -> NewToken {
        NewToken::new(self.project, OwnerId::new("ada").unwrap(), Name::new("CI").unwrap())
    }

    pub async fn issue(&self) -> Made {
        self.make(self.new_token()).await
    }

    pub async fn make(&self, new: NewToken) -> Made {
        self.tokens.issue(&actor(), new).await.unwrap()
    }

    /// Verifies the token in its own project. Returns `ok`, or the reason of the rejection.
    pub async fn outcome(&self, made: &Made) -> &'static str {
        self.outcome_in(made, &made.record.project).await
    }

    pub async fn outcome_in(&self, made: &Made, project: &ProjectId) -> &'static str {
        self.word(made, &Access::to(project, &[])).await
    }

    /// Verifies the token for a request that needs this scope. Returns `ok`, or the reason of the
    /// rejection.
    pub async fn may(&self, made: &Made, scope: &str) -> &'static str {
        let scopes = [Scope::new(scope).unwrap()];
        self.word(made, &Access::to(&made.record.project, &scopes)).await
    }

    /// Verifies the token for a request from this address. Returns `ok`, or the reason of the
    /// rejection.
    pub async fn outcome_from(&self, made: &Made, address: &str) -> &'static str {
        let access = Access::to(&made.record.project, &[]).from_address(address.parse().unwrap());
        self.word(made, &access).await
    }

    async fn word(&self, made: &Made, access: &Access<'_>) -> &'static str {
        match self.tokens.verify(made.token.expose_secret(), access).await {
            Ok(_) => "ok",
            Err(error) => error.rejection().map_or("unavailable", |rejection| rejection.as_str()),
        }
    }

    /// Returns the outcome of a verification. The verification pauses between its read from the
    /// store and its check, and `meanwhile` runs during the pause.
    pub async fn outcome_with(&self, made: &Made, meanwhile: impl Future<Output = ()>) -> &'static str {
        self.during(self.outcome(made), meanwhile).await
    }

    /// Returns the result of an operation. The operation pauses after its first look-up in the
    /// store, and `meanwhile` runs during the pause.
    pub async fn during<T>(&self, act: impl Future<Output = T>, meanwhile: impl Future<Output = ()>) -> T {
        let (found, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        *self.tokens.store().find.lock().unwrap() = Some(Fault::Stop(Arc::clone(&found), Arc::clone(&go_on)));
        let meanwhile = async {
            found.notified().await;
            meanwhile.await;
            go_on.notify_one();
        };
        tokio::join!(act, meanwhile).0
    }

    /// Makes the next look-up in the store time out.
    pub fn time_out(&self) {
        *self.tokens.store().find.lock().unwrap() = Some(Fault::TimeOut);
    }
}

/// A store whose next look-up can be paused after its read, or can fail.
pub struct Between {
    store: DynStore,
    find: Mutex<Option<Fault>>,
}

enum Fault {
    Stop(Arc<Notify>, Arc<Notify>),
    TimeOut,
}

impl TokenStore for Between {
    handed_on!(store: insert, list, count, update, revoke, revoke_owner, revoke_family, revoke_issued_by, revoke_batch, rotate, touch_many);

    async fn find(&self, key: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.or_fault(self.store.find(key)).await
    }

    async fn find_recent(&self, key: &TokenKey) -> Result<ReadResult, StoreError> {
        self.or_fault(self.store.find_recent(key)).await
    }

    async fn find_recent_chain(&self, key: &TokenKey) -> Result<ChainResult, StoreError> {
        self.or_fault(self.store.find_recent_chain(key)).await
    }
}

impl Between {
    /// Awaits the look-up `read` and returns its result. If a fault is set, clears the fault.
    /// Depending on the fault, pauses before returning the result, or returns an error instead of
    /// the result.
    async fn or_fault<T>(&self, read: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let fault = self.find.lock().unwrap().take();
        let answer = read.await?;
        match fault {
            Some(Fault::Stop(found, go_on)) => {
                found.notify_one();
                go_on.notified().await;
                Ok(answer)
            }
            Some(Fault::TimeOut) => Err(StoreError::with_source(StoreErrorKind::Unavailable, "timed out")),
            None => Ok(answer),
        }
    }
}

impl StoreMaintenance for Between {
    async fn projects(&self, query: &keyfob::store::ProjectsQuery) -> Result<Vec<ProjectId>, StoreError> {
        self.store.projects(query).await
    }
    async fn purge(
        &self,
        project: &ProjectId,
        ended_before: Timestamp,
        most: keyfob::store::PageSize,
    ) -> Result<BatchResult, StoreError> {
        self.store.purge(project, ended_before, most).await
    }
    async fn ended_issuers(
        &self,
        project: &keyfob::ProjectId,
        now: keyfob::Timestamp,
        most: keyfob::store::PageSize,
    ) -> Result<Vec<keyfob::TokenId>, keyfob::store::StoreError> {
        self.store.ended_issuers(project, now, most).await
    }

    async fn claim_notices(
        &self,
        project: &ProjectId,
        leads: &[keyfob::notices::NoticeLead],
        now: Timestamp,
        lease_until: Timestamp,
        most: keyfob::store::PageSize,
    ) -> Result<Vec<Arc<TokenRecord>>, StoreError> {
        self.store.claim_notices(project, leads, now, lease_until, most).await
    }
    async fn acknowledge_notice(
        &self,
        key: &TokenKey,
        lead: keyfob::notices::NoticeLead,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.store.acknowledge_notice(key, lead).await
    }
}
