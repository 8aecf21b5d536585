//! Last uses: gathered, written in batches, lost by nobody's failure.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use keyfob::{
    Access, Batch, Change, CountQuery, FixedClock, Issued, Lifetime, ListQuery, MemoryStore, OwnerLimit, Page, Policy,
    PolicyBreach, Rejection, Revocation, RevokeMatching, SqliteStore, StoreError, StoreErrorKind, Timestamp, TokenKey,
    TokenRecord, TokenStore, Tokens, Touch, Usage,
};
use support::{actor, keyring, new_token, now, project};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Counts the calls that write last uses, and the rows that they move; fails them when told to.
struct Watched<S> {
    store: S,
    calls: AtomicU64,
    rows: AtomicU64,
    largest: AtomicU64,
    fails: AtomicBool,
}

impl<S> Watched<S> {
    fn new(store: S) -> Self {
        let (calls, rows, largest) = Default::default();
        Self { store, calls, rows, largest, fails: AtomicBool::new(false) }
    }
}

impl<S: TokenStore> TokenStore for Watched<S> {
    async fn touch_many(&self, touches: &[Touch]) -> Result<u64, StoreError> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(StoreErrorKind::Unavailable.into());
        }
        let rows = self.store.touch_many(touches).await?;
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.rows.fetch_add(rows, Ordering::SeqCst);
        self.largest.fetch_max(touches.len() as u64, Ordering::SeqCst);
        Ok(rows)
    }
    async fn insert(&self, record: TokenRecord, limit: Option<OwnerLimit>) -> Result<Arc<TokenRecord>, StoreError> {
        self.store.insert(record, limit).await
    }
    async fn find(&self, key: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.store.find(key).await
    }
    async fn list(&self, query: &ListQuery) -> Result<Page<Arc<TokenRecord>>, StoreError> {
        self.store.list(query).await
    }
    async fn count(&self, query: &CountQuery) -> Result<u64, StoreError> {
        self.store.count(query).await
    }
    async fn update(
        &self,
        key: &TokenKey,
        version: u64,
        change: Change,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.store.update(key, version, change).await
    }
    async fn revoke(&self, key: &TokenKey, revocation: &Revocation) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.store.revoke(key, revocation).await
    }
    async fn revoke_matching(&self, matching: &RevokeMatching, revocation: &Revocation) -> Result<Batch, StoreError> {
        self.store.revoke_matching(matching, revocation).await
    }
    async fn rotate(
        &self,
        key: &TokenKey,
        version: u64,
        successor: TokenRecord,
        grace_until: Timestamp,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.store.rotate(key, version, successor, grace_until).await
    }
}

type World<S> = (FixedClock, Tokens<Watched<S>, FixedClock>);

fn world<S: TokenStore>(store: S, usage: Usage) -> World<S> {
    let clock = FixedClock::new(now());
    (clock.clone(), Tokens::new(keyring(), Watched::new(store)).with_clock(clock).with_usage(usage))
}

async fn issue<S: TokenStore>(tokens: &Tokens<Watched<S>, FixedClock>) -> Issued<Arc<TokenRecord>> {
    tokens.issue(&actor(), new_token()).await.unwrap()
}

async fn verify<S: TokenStore>(
    tokens: &Tokens<Watched<S>, FixedClock>,
    made: &Issued<Arc<TokenRecord>>,
) -> Result<(), Option<Rejection>> {
    let outcome = tokens.verify(made.token.expose_secret(), &Access::to(&project("145"), &[])).await;
    outcome.map(drop).map_err(|error| error.rejection())
}

async fn last_use<S: TokenStore>(
    tokens: &Tokens<Watched<S>, FixedClock>,
    made: &Issued<Arc<TokenRecord>>,
) -> Option<Timestamp> {
    tokens.get(&made.record.key()).await.unwrap().unwrap().last_used_at
}

/// 100,000 verifications of 100 tokens within 60 seconds, a flush in their middle and one behind them.
async fn writes_no_more_than_a_row_for_each_token<S: TokenStore>(store: S) {
    let (clock, tokens) = world(store, Usage::default());
    let mut made = Vec::new();
    for _ in 0..100 {
        made.push(issue(&tokens).await);
    }
    let watched = tokens.store();
    for round in 0..1000 {
        for token in &made {
            verify(&tokens, token).await.unwrap();
        }
        clock.advance(Duration::from_millis(59));
        if round == 500 {
            assert_eq!(watched.calls.load(Ordering::SeqCst), 0, "a verification writes nothing");
            assert_eq!(tokens.flush_usage().await.unwrap(), 100);
        }
    }
    assert_eq!(tokens.flush_usage().await.unwrap(), 0);
    assert_eq!((watched.calls.load(Ordering::SeqCst), watched.rows.load(Ordering::SeqCst)), (1, 100));
    // The next window is written again, and to the last use in it.
    clock.advance(Duration::from_secs(60));
    for token in &made {
        verify(&tokens, token).await.unwrap();
    }
    assert_eq!(tokens.flush_usage().await.unwrap(), 100);
    assert_eq!(last_use(&tokens, &made[0]).await, Some(tokens.now()));
}

#[tokio::test]
async fn on_memory_a_hundred_thousand_verifications_write_a_hundred_rows() {
    writes_no_more_than_a_row_for_each_token(MemoryStore::new()).await;
}

#[tokio::test]
async fn on_sqlite_a_hundred_thousand_verifications_write_a_hundred_rows() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("tokens.db")).await.unwrap();
    writes_no_more_than_a_row_for_each_token(store).await;
}

#[tokio::test]
async fn many_tokens_go_in_batches() {
    let (_, tokens) = world(MemoryStore::new(), Usage::default());
    for _ in 0..2500 {
        let made = issue(&tokens).await;
        verify(&tokens, &made).await.unwrap();
    }
    assert_eq!(tokens.flush_usage().await.unwrap(), 2500);
    let watched = tokens.store();
    assert_eq!((watched.calls.load(Ordering::SeqCst), watched.largest.load(Ordering::SeqCst)), (3, 1000));
}

#[tokio::test]
async fn what_is_not_written_waits_and_no_request_fails() {
    let (clock, tokens) = world(MemoryStore::new(), Usage::default());
    let made = issue(&tokens).await;
    tokens.store().fails.store(true, Ordering::SeqCst);
    verify(&tokens, &made).await.unwrap();
    assert!(tokens.flush_usage().await.is_err());
    clock.advance(Duration::from_secs(1));
    verify(&tokens, &made).await.unwrap();
    let used = tokens.now();
    assert!(tokens.flush_usage().await.is_err());
    // A flush that is dropped before it is done counts as failed.
    drop(tokens.flush_usage());
    clock.advance(DAY);
    tokens.store().fails.store(false, Ordering::SeqCst);
    assert_eq!(tokens.flush_usage().await.unwrap(), 1);
    assert_eq!(last_use(&tokens, &made).await, Some(used));
    assert_eq!(tokens.flush_usage().await.unwrap(), 0);
}

#[tokio::test]
async fn a_last_use_goes_forwards_only() {
    let (clock, tokens) = world(MemoryStore::new(), Usage::default());
    let made = issue(&tokens).await;
    let later = now().saturating_add(DAY);
    tokens.store().touch_many(&[Touch { key: made.record.key(), used_at: later }]).await.unwrap();
    verify(&tokens, &made).await.unwrap();
    tokens.flush_usage().await.unwrap();
    clock.set(now());
    assert_eq!(last_use(&tokens, &made).await, Some(later));
}

#[tokio::test]
async fn only_so_many_tokens_are_remembered() {
    let (_, tokens) = world(MemoryStore::new(), Usage::default().with_capacity(10).with_resolution(Duration::ZERO));
    for _ in 0..100 {
        let made = issue(&tokens).await;
        verify(&tokens, &made).await.unwrap();
    }
    assert_eq!(tokens.flush_usage().await.unwrap(), 10);
    let made = issue(&tokens).await;
    verify(&tokens, &made).await.unwrap();
    assert_eq!(tokens.flush_usage().await.unwrap(), 1, "a flush makes room");
}

#[tokio::test]
async fn refused_requests_are_no_uses() {
    let (clock, tokens) = world(MemoryStore::new(), Usage::default());
    let made = issue(&tokens).await;
    clock.advance(31 * DAY);
    assert_eq!(verify(&tokens, &made).await, Err(Some(Rejection::Expired)));
    assert_eq!(tokens.flush_usage().await.unwrap(), 0);
}

#[tokio::test]
async fn without_usage_nothing_is_noted_and_disuse_blocks_nobody() {
    let clock = FixedClock::new(now());
    let unused = Policy::default().with_max_unused(7 * DAY);
    let tokens = Tokens::new(keyring(), Watched::new(MemoryStore::new())).with_clock(clock.clone()).with_policy(unused);
    let made = issue(&tokens).await;
    clock.advance(20 * DAY);
    assert_eq!(verify(&tokens, &made).await, Ok(()));
    assert_eq!(tokens.flush_usage().await.unwrap(), 0);
    assert_eq!(last_use(&tokens, &made).await, None);
}

#[tokio::test]
async fn a_token_unused_for_too_long_is_blocked_not_destroyed() {
    let (clock, tokens) = world(MemoryStore::new(), Usage::default());
    let tokens = tokens.with_policy(Policy::default().with_max_unused(7 * DAY));
    let made = issue(&tokens).await;
    let begins_late = new_token().with_not_before(now().saturating_add(8 * DAY)).with_lifetime(Lifetime::For(30 * DAY));
    let late = tokens.issue(&actor(), begins_late).await.unwrap();
    clock.advance(7 * DAY - Duration::from_millis(1));
    assert_eq!(verify(&tokens, &made).await, Ok(()));
    tokens.flush_usage().await.unwrap();
    // It counts from the last use.
    clock.advance(7 * DAY - Duration::from_millis(1));
    assert_eq!(verify(&tokens, &late).await, Ok(()), "from its beginning, where that comes later");
    assert_eq!(last_use(&tokens, &made).await, Some(now().saturating_add(7 * DAY - Duration::from_millis(1))));
    clock.advance(Duration::from_millis(1));
    assert_eq!(verify(&tokens, &made).await, Err(Some(Rejection::Policy)));
    let text = made.token.expose_secret();
    let explained = tokens.explain(text, &Access::to_own_project(&[])).await.unwrap();
    assert_eq!((explained.fails, explained.breach), (vec![Rejection::Policy], Some(PolicyBreach::Unused)));
    let tokens = tokens.with_policy(Policy::default());
    assert_eq!(verify(&tokens, &made).await, Ok(()));
}
