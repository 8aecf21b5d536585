//! Tests of fences. A fence is an entry in Redis that makes the revocation of a group effective
//! immediately. The store writes the revocation into each token of the group afterwards.

use std::time::{Duration, Instant};

use keyfob::{
    OwnerId, ProjectId, TokenKey, TokenStore,
    store::{StoreErrorKind, StoreMaintenance, redis::RedisStore},
};

use crate::redis::{insert, revocation};
use crate::support::redis::Servers;
use crate::support::{now, size};

/// The maximum time of a call: the time that the documentation promises, and a little more.
const DEADLINE: Duration = Duration::from_millis(5_500);
/// Returns a number of tokens that is so large that the store needs many scripts to revoke them.
/// Each script takes about ten milliseconds.
fn many() -> usize {
    if size::is_full() { 250_000 } else { 60_000 }
}

fn owner_id() -> OwnerId {
    OwnerId::new("ada").unwrap()
}

fn project() -> ProjectId {
    crate::support::project("145")
}

/// Creates many tokens of the owner. They have only the fields that the scripts need, so that the
/// test creates them fast.
fn give_rows(servers: &Servers, count: usize) {
    let script = format!(
        "for i = 1, {count} do \
           local id = string.format('0%015d', i) \
           redis.call('HSET', 'keyfob:{{{project}}}:token:' .. id, 'nf', 'n', 'ow', '{owner}', 'fa', id, 'ca', '0', 've', '1') \
           redis.call('ZADD', 'keyfob:{{{project}}}:standing:owner:{owner}', '+inf', id) \
         end return 'OK'",
        project = project(),
        owner = owner_id(),
    );
    assert_eq!(servers.ask(&["EVAL", &script, "0"]).trim(), "OK");
}

/// Returns whether the token with this key is revoked. The store must show the token as revoked as
/// soon as the fence is set.
async fn is_revoked(store: &RedisStore, key: &TokenKey) -> bool {
    store.find(key).await.unwrap().unwrap().revoked.is_some()
}

#[tokio::test]
async fn a_large_group_is_revoked_and_purged_within_the_deadline() {
    let Some(servers) = Servers::one() else { return };
    let store = servers.store().await;
    let key = insert(&store).await;
    give_rows(&servers, many());

    let asked = Instant::now();
    let count = store.revoke_owner(&project(), &owner_id(), &revocation()).await.unwrap();
    println!("{count} tokens revoked after {:?}", asked.elapsed());
    assert!(asked.elapsed() < DEADLINE / 2, "{:?}", asked.elapsed());
    assert_eq!(count, many() as u64 + 1);
    assert!(is_revoked(&store, &key).await);

    // Before a purge, the store must write the revocation into all tokens that the fence covers. If
    // this takes too long, the purge fails, and the next purge continues.
    let mut purges = 0;
    loop {
        let asked = Instant::now();
        let purged = store.purge(&project(), now(), Default::default()).await;
        purges += 1;
        println!("purge {purges} ended after {:?}: {purged:?}", asked.elapsed());
        assert!(asked.elapsed() < DEADLINE, "{:?}", asked.elapsed());
        match purged {
            Ok(_) => break,
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Unavailable),
        }
        assert!(purges < 100);
    }
    assert!(purges > 1 || !size::is_full(), "the first purge wrote everything in time, so the test shows nothing");
    assert!(is_revoked(&store, &key).await);
    assert_eq!(store.background_faults(), 0);
}

#[tokio::test]
async fn a_fence_that_cannot_be_finished_is_counted() {
    let Some(servers) = Servers::one() else { return };
    let store = servers.store().await;
    let key = insert(&store).await;
    give_rows(&servers, 1_000);
    let corrupt = format!("keyfob:{{{}}}:token:0{:015}", project(), 500);
    servers.ask(&["HSET", &corrupt, "ve", "x"]);

    let count = store.revoke_owner(&project(), &owner_id(), &revocation()).await.unwrap();
    assert_eq!(count, 1_001);
    assert!(is_revoked(&store, &key).await, "the fence is in force");
    assert_eq!(store.background_faults(), 1);
    assert_eq!(store.clone().background_faults(), 1);
    // Before a purge, the store must finish the fence. It cannot, so the purge returns the error.
    let error = store.purge(&project(), now(), Default::default()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    assert_eq!(store.background_faults(), 1);
    servers.ask(&["HSET", &corrupt, "ve", "1"]);
    store.purge(&project(), now(), Default::default()).await.unwrap();
}
