//! Tests of the whole cache under thousands of random schedules. At each lock, each atomic
//! operation and each pause of the store, a random choice decides which task continues. The module
//! `interleavings` tests the protocol, and this module tests the code around the protocol.

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use shuttle::future::{block_on, spawn, yield_now};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::cached::Cached;
use super::feed::{Feed, FeedEvent};
use crate::rules::change::Change;
use crate::rules::mint::mint;
use crate::rules::new_token::NewToken;
use crate::rules::policy::Policy;
use crate::rules::precondition::{IssuerCondition, LiveLimit};
use crate::rules::record::{Revocation, RevocationReason, TokenRecord};
use crate::store::contract::{ReadResult, TokenStore};
use crate::store::group::{BatchResult, RevokeBatch};
use crate::store::last_use::LastUse;
use crate::store::memory::MemoryStore;
use crate::store::query::{CountQuery, ListQuery, Page, PageSize};
use crate::words::ids::{Prefix, ProjectId, TokenId, TokenKey};
use crate::words::keyring::Keyring;
use crate::words::store_error::StoreError;
use crate::words::text::{Actor, Name, OwnerId};
use crate::words::timestamp::Timestamp;

/// Returns the number of random schedules that each test runs.
///
/// # Panics
/// Panics if `KEYFOB_TEST_SIZE` is set, but neither to `full` nor to `short`.
pub(super) fn schedules() -> usize {
    match std::env::var("KEYFOB_TEST_SIZE").as_deref() {
        Ok("full") => 10_000,
        Ok("short") | Err(std::env::VarError::NotPresent) => 2_000,
        other => panic!("KEYFOB_TEST_SIZE is {other:?}, but only \"full\" and \"short\" are sizes"),
    }
}

/// The bound of the cache. It is so long that no record gets too old during a test.
const BOUND: Duration = Duration::from_secs(3600);

type Found = Result<Option<Arc<TokenRecord>>, StoreError>;

/// A store that lets other tasks run before and after each call.
pub(super) struct Far(MemoryStore);

impl Far {
    /// Awaits a call to the store, and lets other tasks run before and after the call.
    async fn exchange<T>(&self, act: impl Future<Output = T>) -> T {
        yield_now().await;
        let answer = act.await;
        yield_now().await;
        answer
    }
}

impl TokenStore for Far {
    async fn insert(
        &self,
        record: TokenRecord,
        limit: Option<LiveLimit>,
        issuer: Option<IssuerCondition>,
    ) -> Result<Arc<TokenRecord>, StoreError> {
        self.exchange(self.0.insert(record, limit, issuer)).await
    }
    async fn find(&self, key: &TokenKey) -> Found {
        self.exchange(self.0.find(key)).await
    }
    async fn find_recent(&self, key: &TokenKey) -> Result<ReadResult, StoreError> {
        self.find(key).await.map(ReadResult::now)
    }
    async fn list(&self, query: &ListQuery) -> Result<Page<Arc<TokenRecord>>, StoreError> {
        self.0.list(query).await
    }
    async fn count(&self, query: &CountQuery) -> Result<u64, StoreError> {
        self.0.count(query).await
    }
    async fn update(&self, key: &TokenKey, version: u64, change: Change) -> Found {
        self.exchange(self.0.update(key, version, change)).await
    }
    async fn revoke(&self, key: &TokenKey, revocation: &Revocation) -> Found {
        self.exchange(self.0.revoke(key, revocation)).await
    }
    async fn revoke_owner(
        &self,
        project: &ProjectId,
        owner: &OwnerId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        self.exchange(self.0.revoke_owner(project, owner, revocation)).await
    }
    async fn revoke_family(
        &self,
        project: &ProjectId,
        family: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        self.exchange(self.0.revoke_family(project, family, revocation)).await
    }
    async fn revoke_issued_by(
        &self,
        project: &ProjectId,
        issuer: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        self.exchange(self.0.revoke_issued_by(project, issuer, revocation)).await
    }
    async fn revoke_batch(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        batch: RevokeBatch,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        self.exchange(self.0.revoke_batch(project, revocation, batch, most)).await
    }
    async fn rotate(
        &self,
        key: &TokenKey,
        version: u64,
        successor: TokenRecord,
        grace_until: Timestamp,
        issuer: Option<IssuerCondition>,
    ) -> Found {
        self.exchange(self.0.rotate(key, version, successor, grace_until, issuer)).await
    }
    async fn touch_many(&self, touches: &[LastUse]) -> Result<u64, StoreError> {
        self.exchange(self.0.touch_many(touches)).await
    }
}

/// A feed of the events that a test sends. When the test sends no more events and the cache has
/// handled all of them, the feed sets `revoked`. From then on, every look-up must return the token
/// as revoked.
struct Said {
    words: UnboundedReceiver<FeedEvent>,
    revoked: Arc<AtomicBool>,
}

impl Feed for Said {
    async fn next(&mut self) -> FeedEvent {
        match self.words.recv().await {
            Some(told) => told,
            None => {
                self.revoked.store(true, Ordering::SeqCst);
                std::future::pending().await
            }
        }
    }
}

/// The fixture of a test: a cache in front of a store with one token, and a feed for the cache.
pub(super) struct World {
    pub(super) cached: Cached<Arc<Far>>,
    pub(super) record: TokenRecord,
    pub(super) revocation: Revocation,
    /// Whether every look-up that begins from now on must return the token as revoked.
    pub(super) revoked: Arc<AtomicBool>,
    feed: Option<UnboundedSender<FeedEvent>>,
}

impl World {
    pub(super) fn new() -> Self {
        let (now, by) = (Timestamp::UNIX_EPOCH, Actor::new("ada").unwrap());
        let keyring = Keyring::unkeyed(Prefix::new("acme_pat").unwrap());
        let (project, owner) = (ProjectId::new("145").unwrap(), OwnerId::new("ada").unwrap());
        let new = NewToken::new(project, owner, Name::new("CI").unwrap());
        let record = mint(&keyring, &Policy::default(), new, &by, now).unwrap().record;
        let store = MemoryStore::new();
        block_on(store.insert(record.clone(), None, None)).unwrap();
        let cached = Cached::new(Arc::new(Far(store)), BOUND).with_entries(1);
        let revocation = Revocation { at: now, by, reason: RevocationReason::KeyCompromise };
        let revoked: Arc<AtomicBool> = Arc::default();
        let (feed, words) = unbounded_channel();
        let said = Said { words, revoked: Arc::clone(&revoked) };
        let following = cached.clone();
        // The task never ends. The test drops it.
        drop(spawn(async move { following.follow(said).await }));
        Self { cached, record, revocation, revoked, feed: Some(feed) }
    }

    /// Runs two tasks that look up the token repeatedly, while `act` runs. Fails if the cache
    /// returns the token as live after `revoked` is set.
    pub(super) fn run(self, act: impl AsyncFnOnce(&mut Self)) {
        let ask = || {
            let (cached, key, revoked) = (self.cached.clone(), self.record.key(), Arc::clone(&self.revoked));
            spawn(async move {
                for _ in 0..3 {
                    let must_be = revoked.load(Ordering::SeqCst);
                    match cached.find_recent(&key).await {
                        Ok(recent) => {
                            let is_revoked = recent.record.unwrap().revoked.is_some();
                            assert!(is_revoked || !must_be, "accepted after its revocation");
                        }
                        // The store itself never fails. So an error means that the patience ended.
                        Err(error) => assert!(cached.counts().given_up > 0, "{error}"),
                    }
                }
            })
        };
        let asking = [ask(), ask()];
        block_on(async {
            let mut world = self;
            act(&mut world).await;
            // After this, the feed has no more events. It sets `revoked` when the cache has handled
            // all of them.
            drop(world.feed.take());
            for asks in asking {
                asks.await.unwrap();
            }
        });
    }

    fn tell(&self, told: FeedEvent) {
        self.feed.as_ref().unwrap().send(told).unwrap();
    }
}

#[test]
fn what_this_process_revokes_is_not_accepted_again() {
    shuttle::check_random(
        || {
            World::new().run(async |world| {
                world.cached.revoke(&world.record.key(), &world.revocation).await.unwrap();
                world.revoked.store(true, Ordering::SeqCst);
            });
        },
        schedules(),
    );
}

#[test]
fn what_this_process_revokes_in_a_group_is_not_accepted_again() {
    shuttle::check_random(
        || {
            World::new().run(async |world| {
                let (project, owner) = (world.record.project, world.record.owner.clone());
                world.cached.revoke_owner(&project, &owner, &world.revocation).await.unwrap();
                world.revoked.store(true, Ordering::SeqCst);
            });
        },
        schedules(),
    );
}

#[test]
fn a_change_concurrent_with_a_revocation_leaves_the_token_revoked() {
    shuttle::check_random(
        || {
            World::new().run(async |world| {
                let (cached, key) = (world.cached.clone(), world.record.key());
                let renames = spawn(async move {
                    let name = Change::Rename(Name::new("new").unwrap());
                    // The revocation may come first. Then this change fails.
                    drop(cached.update(&key, 1, name).await);
                });
                world.cached.revoke(&world.record.key(), &world.revocation).await.unwrap();
                world.revoked.store(true, Ordering::SeqCst);
                renames.await.unwrap();
            });
        },
        schedules(),
    );
}

#[test]
fn events_of_the_feed_hide_no_revocation_of_this_process() {
    shuttle::check_random(
        || {
            World::new().run(async |world| {
                world.tell(FeedEvent::Project(world.record.project));
                world.cached.revoke(&world.record.key(), &world.revocation).await.unwrap();
                world.revoked.store(true, Ordering::SeqCst);
            });
        },
        schedules(),
    );
}

#[test]
fn a_revocation_that_the_feed_reports_is_not_accepted_again() {
    for told in [FeedEvent::Token, |key: TokenKey| FeedEvent::Project(key.project), |_| FeedEvent::Lost] {
        shuttle::check_random(
            move || {
                World::new().run(async |world| {
                    // Revoke the token in the store and not through the cache, as another process
                    // does.
                    world.cached.store().revoke(&world.record.key(), &world.revocation).await.unwrap();
                    world.tell(told(world.record.key()));
                });
            },
            schedules(),
        );
    }
}
