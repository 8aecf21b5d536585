//! Tests of reads from a standby of PostgreSQL. The store never returns a record that is older than
//! the allowed lag. It also never returns a record that is older than a change that this store has
//! made or received from its feed.

use std::time::{Duration, Instant};

use keyfob::{
    TokenKey, TokenStore, mint,
    record::{Revocation, RevocationReason},
    store::{
        ReadResult,
        cache::{Cached, Feed, FeedEvent},
        postgres::PostgresStore,
    },
};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::support::kit;
use crate::support::postgres::Server;
use crate::support::{actor, keyring, new_token, now};

/// The maximum lag at which the store reads from the standby. It is longer than a heartbeat takes
/// to reach the standby on a busy machine.
const LAG: Duration = Duration::from_secs(2);
/// The maximum time that a test waits for something.
const PATIENCE: Duration = Duration::from_secs(60);

/// A primary server and its standby.
struct World {
    primary: Server,
    standby: Server,
    /// A store without a standby. It makes changes as another process would.
    elsewhere: PostgresStore,
    url: String,
}

impl World {
    async fn new() -> Option<Self> {
        let primary = Server::start()?;
        let standby = primary.replica();
        let url = primary.database();
        let elsewhere = PostgresStore::connect(&url).await.unwrap();
        elsewhere.migrate().await.unwrap();
        Some(Self { primary, standby, elsewhere, url })
    }

    async fn pool_of_standby(&self) -> PgPool {
        let url = self.primary.url_by(self.standby.port, &self.url);
        let asked = Instant::now();
        loop {
            // The database is new, and the standby may not have received it yet.
            match PgPoolOptions::new().connect(&url).await {
                Ok(pool) => return pool,
                Err(error) => assert!(asked.elapsed() < PATIENCE, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Creates a store that reads from the standby. A background task writes the heartbeats that
    /// the store needs for this.
    async fn store(&self, lag: Duration) -> PostgresStore {
        let store = self.elsewhere.clone().with_replica(self.pool_of_standby().await, lag);
        let beating = store.clone();
        tokio::spawn(async move { beating.beat().await });
        store
    }

    async fn insert(&self) -> TokenKey {
        let issued = mint(&keyring(), &keyfob::Policy::default(), new_token(), &actor(), now()).unwrap();
        let key = issued.record.key();
        self.elsewhere.insert(issued.record, None, None).await.unwrap();
        key
    }
}

fn revocation() -> Revocation {
    Revocation { at: now(), by: actor(), reason: RevocationReason::KeyCompromise }
}

/// Returns whether the result came from the standby: results from the primary have the age zero.
fn is_of_standby(recent: &ReadResult) -> bool {
    !recent.age.is_zero()
}

fn known_to_standby(recent: &ReadResult) -> bool {
    is_of_standby(recent) && recent.record.is_some()
}

/// Reads a token again and again until `wanted` returns true for the result. Returns this result.
async fn until(store: &impl TokenStore, key: &TokenKey, wanted: impl Fn(&ReadResult) -> bool) -> ReadResult {
    let asked = Instant::now();
    loop {
        let recent = store.find_recent(key).await.unwrap();
        if wanted(&recent) {
            return recent;
        }
        assert!(asked.elapsed() < PATIENCE, "{recent:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

mod a_store_that_reads_from_a_standby {
    use super::*;

    async fn with_a_standby() -> Option<kit::World> {
        let world = World::new().await?;
        kit::World::new(world.store(LAG).await, world)
    }

    each_law!([token_store, maintenance, import, rules], with_a_standby().await);
}

/// The store for the laws must also really read from the standby.
#[tokio::test]
async fn a_store_with_a_standby_reads_from_it() {
    let Some(world) = World::new().await else { return };
    let store = world.store(LAG).await;
    let key = world.insert().await;
    let recent = until(&store, &key, known_to_standby).await;
    assert_eq!(recent.record.unwrap().key(), key);
    // If the standby does not have the token, the store reads from the primary.
    world.standby.pause_replay();
    let new = world.insert().await;
    assert!(store.find_recent(&new).await.unwrap().record.is_some());
    world.standby.resume_replay();
}

/// A standby whose replay is paused receives no changes. The store reads from the primary when the
/// allowed lag has passed.
#[tokio::test]
async fn a_standby_that_is_behind_is_not_believed() {
    let Some(world) = World::new().await else { return };
    let (store, key) = (world.store(LAG).await, world.insert().await);
    until(&store, &key, known_to_standby).await;
    world.standby.pause_replay();
    world.elsewhere.revoke(&key, &revocation()).await.unwrap();
    let revoked_at = Instant::now();
    let mut stale = 0;
    loop {
        let asked = revoked_at.elapsed();
        let recent = store.find_recent(&key).await.unwrap();
        if recent.record.unwrap().revoked.is_some() {
            assert_eq!(recent.age, Duration::ZERO, "the standby cannot know it");
            break;
        }
        assert!(
            asked <= LAG && recent.age <= LAG,
            "read {asked:?} after the revocation, with the age {:?}",
            recent.age
        );
        stale += 1;
    }
    assert!(stale > 0, "the standby was never read");
    world.standby.resume_replay();
    let recent = until(&store, &key, known_to_standby).await;
    assert!(recent.record.unwrap().revoked.is_some());
}

#[tokio::test]
async fn a_change_of_this_store_is_never_read_as_outdated() {
    let Some(world) = World::new().await else { return };
    let store = world.store(Duration::from_secs(3600)).await;
    let (single, of_owner) = (world.insert().await, world.insert().await);
    until(&store, &of_owner, known_to_standby).await;
    world.standby.pause_replay();
    store.revoke(&single, &revocation()).await.unwrap();
    let recent = store.find_recent(&single).await.unwrap();
    assert!(recent.record.unwrap().revoked.is_some());
    let owner = store.find(&of_owner).await.unwrap().unwrap().owner.clone();
    store.revoke_owner(&of_owner.project, &owner, &revocation()).await.unwrap();
    assert!(store.find_recent(&of_owner).await.unwrap().record.unwrap().revoked.is_some());
    world.standby.resume_replay();
}

#[tokio::test]
async fn a_change_from_the_feed_is_never_read_as_outdated() {
    let Some(world) = World::new().await else { return };
    let store = world.store(Duration::from_secs(3600)).await;
    let mut feed = store.feed();
    // A feed begins with the event `Lost`, after which the store does not use earlier results of
    // the standby. So the test waits for the next event.
    let told_something = async { while feed.next().await == FeedEvent::Lost {} };
    tokio::time::timeout(PATIENCE, told_something).await.expect("the feed is connected");
    let key = world.insert().await;
    until(&store, &key, known_to_standby).await;
    world.standby.pause_replay();
    world.elsewhere.clone().telling_changes().revoke(&key, &revocation()).await.unwrap();
    let told_of_it = async { while feed.next().await != FeedEvent::Token(key) {} };
    tokio::time::timeout(PATIENCE, told_of_it).await.expect("the feed delivers the revocation");
    assert!(store.find_recent(&key).await.unwrap().record.unwrap().revoked.is_some());
    world.standby.resume_replay();
}

#[tokio::test]
async fn without_heartbeats_or_without_its_standby_the_primary_is_read() {
    let Some(world) = World::new().await else { return };
    let silent = world.elsewhere.clone().with_replica(world.pool_of_standby().await, LAG);
    let (store, key) = (world.store(LAG).await, world.insert().await);
    until(&store, &key, known_to_standby).await;
    assert!(!is_of_standby(&silent.find_recent(&key).await.unwrap()));
    world.standby.halt("immediate");
    let recent = store.find_recent(&key).await.unwrap();
    assert!(recent.record.is_some() && !is_of_standby(&recent));
    world.standby.go();
    until(&store, &key, known_to_standby).await;
}

/// If heartbeats fail or the standby does not respond, the store reads from the primary. Only the
/// counter of background faults shows the operator that something is wrong.
#[tokio::test]
async fn failing_heartbeats_and_silent_standbys_are_counted() {
    let Some(world) = World::new().await else { return };
    let (store, key) = (world.store(LAG).await, world.insert().await);
    until(&store, &key, known_to_standby).await;
    let counted_from = async |before: u64| {
        let asked = Instant::now();
        while store.background_faults() == before {
            assert!(asked.elapsed() < PATIENCE, "no fault was counted");
            let recent = store.find_recent(&key).await.unwrap();
            assert!(recent.record.is_some());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let away = "ALTER TABLE keyfob_beats RENAME TO keyfob_beats_away";
    let before = store.background_faults();
    sqlx::raw_sql(away).execute(store.pool()).await.unwrap();
    counted_from(before).await;
    // The counter is not reset when heartbeats succeed again.
    let back = "ALTER TABLE keyfob_beats_away RENAME TO keyfob_beats";
    sqlx::raw_sql(back).execute(store.pool()).await.unwrap();
    until(&store, &key, known_to_standby).await;
    assert!(store.clone().background_faults() > before);

    let before = store.background_faults();
    world.standby.halt("immediate");
    counted_from(before).await;
}

/// A cache above the store adds the age of a record from the standby to the time for which it has
/// held the record.
#[tokio::test]
async fn a_cache_counts_the_age_of_a_record_from_a_standby() {
    let Some(world) = World::new().await else { return };
    let (store, key) = (world.store(LAG).await, world.insert().await);
    until(&store, &key, known_to_standby).await;
    let bound = LAG * 2;
    let cached = Cached::new(store.clone(), bound);
    world.standby.pause_replay();
    world.elsewhere.revoke(&key, &revocation()).await.unwrap();
    let revoked_at = Instant::now();
    let mut hits_from_before = 0;
    loop {
        let asked = revoked_at.elapsed();
        let recent = cached.find_recent(&key).await.unwrap();
        if recent.record.unwrap().revoked.is_some() {
            break;
        }
        assert!(
            asked <= bound && recent.age <= bound,
            "read {asked:?} after the revocation, with the age {:?}",
            recent.age
        );
        hits_from_before += 1;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(hits_from_before > 0);
    world.standby.resume_replay();
}
