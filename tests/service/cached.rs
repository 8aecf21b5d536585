//! Tests of the cache. The cache must behave as a store, call the underlying store as rarely as
//! possible, and never return a record that is older than the cache's bound.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use keyfob::{
    Access, MemoryStore, TokenId, TokenKey, TokenStore, Tokens,
    record::RevocationReason,
    store::{PageSize, RevokeGroup, StoreErrorKind, cache::Cached},
};

use crate::support::kit::keeps_every_law;
use crate::support::{CountingStore, actor, keyring, new_token, project};

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn it_keeps_the_laws_of_a_store() {
    keeps_every_law(Cached::new(MemoryStore::new(), LONG)).await;
    keeps_every_law(Arc::new(Cached::new(MemoryStore::new(), LONG).with_entries(1))).await;
    keeps_every_law(Cached::new(MemoryStore::new(), Duration::ZERO)).await;
}

#[tokio::test]
async fn a_second_verification_does_not_call_the_store() {
    let store = Arc::new(CountingStore::default());
    let tokens = Tokens::new(keyring(), Cached::new(Arc::clone(&store), LONG));
    let issued = tokens.issue(&actor(), new_token()).await.unwrap();
    let (text, project) = (issued.token.expose_secret(), issued.record.project);
    let before = store.calls();
    for _ in 0..10 {
        tokens.verify(text, &Access::to(&project, &[])).await.unwrap();
    }
    assert_eq!(store.calls() - before, 1);
    let counts = tokens.store().counts();
    assert_eq!((counts.hits, counts.misses, counts.entries), (9, 1, 1));
}

#[tokio::test]
async fn a_token_that_this_process_ends_is_rejected_immediately() {
    let tokens = Tokens::new(keyring(), Cached::new(MemoryStore::new(), LONG));
    for by_group in [false, true] {
        let issued = tokens.issue(&actor(), new_token()).await.unwrap();
        let (text, record) = (issued.token.expose_secret(), &issued.record);
        let access = Access::to(&record.project, &[]);
        tokens.verify(text, &access).await.unwrap();
        if by_group {
            let group = RevokeGroup::Owner(record.owner.clone());
            tokens.revoke_group(&actor(), &record.project, &group, RevocationReason::default()).await.unwrap();
        } else {
            tokens.revoke(&actor(), &record.key(), RevocationReason::default()).await.unwrap();
        }
        let error = tokens.verify(text, &access).await.unwrap_err();
        assert_eq!(error.rejection(), Some(keyfob::Rejection::Revoked));
    }
}

/// Another process uses the same store without this cache, and revokes a token that the cache
/// holds.
#[tokio::test]
async fn a_token_that_another_process_ends_is_rejected_within_the_bound() {
    let bound = Duration::from_millis(50);
    let store = Arc::new(MemoryStore::new());
    let here = Tokens::new(keyring(), Cached::new(Arc::clone(&store), bound));
    let elsewhere = Tokens::new(keyring(), store);
    let issued = here.issue(&actor(), new_token()).await.unwrap();
    let access = Access::to(&issued.record.project, &[]);
    here.verify(issued.token.expose_secret(), &access).await.unwrap();
    elsewhere.revoke(&actor(), &issued.record.key(), RevocationReason::default()).await.unwrap();
    tokio::time::sleep(bound).await;
    here.verify(issued.token.expose_secret(), &access).await.unwrap_err();
}

#[tokio::test]
async fn each_verification_reports_its_age() {
    let tokens = Tokens::new(keyring(), Cached::new(MemoryStore::new(), LONG));
    let issued = tokens.issue(&actor(), new_token()).await.unwrap();
    let (text, access) = (issued.token.expose_secret(), Access::to(&issued.record.project, &[]));
    let asked = Instant::now();
    tokens.verify(text, &access).await.unwrap();
    let known = Instant::now();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let (least, verified, most) = (known.elapsed(), tokens.verify(text, &access).await.unwrap(), asked.elapsed());
    assert!((least..=most).contains(&verified.age()), "{least:?} {:?} {most:?}", verified.age());
    assert!(tokens.recheck(&verified, &access).await.unwrap().age() >= verified.age());

    // Without a cache, each verification reads the store.
    let tokens = Tokens::new(keyring(), MemoryStore::new());
    let issued = tokens.issue(&actor(), new_token()).await.unwrap();
    assert_eq!(tokens.verify(issued.token.expose_secret(), &access).await.unwrap().age(), Duration::ZERO);
}

/// The cache still holds the token as disabled, although another process has enabled it. A call
/// that disables the token must change the store.
#[tokio::test]
async fn what_is_changed_is_judged_by_what_is_there() {
    let store = Arc::new(MemoryStore::new());
    let here = Tokens::new(keyring(), Cached::new(Arc::clone(&store), LONG));
    let elsewhere = Tokens::new(keyring(), store);
    let issued = here.issue(&actor(), new_token()).await.unwrap();
    let (key, text, access) =
        (issued.record.key(), issued.token.expose_secret(), Access::to(&issued.record.project, &[]));
    here.disable(&actor(), &key).await.unwrap();
    here.verify(text, &access).await.unwrap_err();
    elsewhere.enable(&actor(), &key).await.unwrap();
    here.disable(&actor(), &key).await.unwrap();
    assert_eq!(elsewhere.verify(text, &access).await.unwrap_err().rejection(), Some(keyfob::Rejection::Disabled));
}

/// All waiters for a token share one call to the store. If this call never returns, the cache must
/// limit how long they wait.
#[tokio::test]
async fn a_store_call_that_never_returns_holds_no_waiter_beyond_the_patience() {
    const PATIENCE: Duration = Duration::from_millis(100);
    let store = Arc::new(CountingStore::default());
    let cached = Cached::new(Arc::clone(&store), LONG).with_patience(PATIENCE);
    let tokens = Tokens::new(keyring(), cached.clone());
    let key = tokens.issue(&actor(), new_token()).await.unwrap().record.key();
    store.hang(true);
    let began = Instant::now();
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let cached = cached.clone();
            tokio::spawn(async move { cached.find_recent(&key).await.map(|recent| recent.record) })
        })
        .collect();
    for waiter in waiters {
        let waited = tokio::time::timeout(Duration::from_secs(15), waiter);
        let answer = waited.await.expect("the waiter waited longer than the patience").unwrap();
        assert_eq!(answer.unwrap_err().kind(), StoreErrorKind::Unavailable);
    }
    assert!(began.elapsed() >= PATIENCE);
    assert_eq!(cached.counts().given_up, 3);
    // The cache has given up the call, so the next waiter starts a new call.
    store.hang(false);
    let before = store.calls();
    assert_eq!(cached.find_recent(&key).await.unwrap().record.unwrap().key(), key);
    assert_eq!(store.calls() - before, 1);
}

/// In many rounds, two threads drop the last two waiters for a call at the same time. If the cache
/// kept the call, the next waiter would wait for a call that never returns.
#[test]
fn waiters_that_are_dropped_at_the_same_time_leave_no_call_behind() {
    // On a machine with two idle cores, both threads dropped their waiters at the same time in 1 of
    // 30 rounds.
    const ROUNDS: usize = 1000;
    let store = Arc::new(CountingStore::default());
    store.hang(true);
    let cached = Cached::new(store, LONG);
    let (hand_over, handed_over) = std::sync::mpsc::sync_channel::<Wait>(0);
    let meeting = Arc::new(AtomicUsize::new(0));
    let meet = |meeting: &AtomicUsize, round: usize| {
        meeting.fetch_add(1, Ordering::SeqCst);
        while meeting.load(Ordering::SeqCst) < 2 * round {
            std::thread::yield_now();
        }
    };
    let dropping = {
        let meeting = Arc::clone(&meeting);
        std::thread::spawn(move || {
            for (round, wait) in handed_over.iter().enumerate() {
                meet(&meeting, 2 * round + 1);
                drop(wait);
                meet(&meeting, 2 * round + 2);
            }
        })
    };
    let mut left = 0;
    for round in 0..ROUNDS {
        let key = TokenKey { project: project("145"), id: TokenId::new(&format!("1{round:015}")).unwrap() };
        let (one, other) = (waiter(&cached, key), waiter(&cached, key));
        hand_over.send(other).unwrap();
        meet(&meeting, 2 * round + 1);
        drop(one);
        meet(&meeting, 2 * round + 2);
        let joined = cached.counts().joined;
        drop(waiter(&cached, key));
        left += cached.counts().joined - joined;
    }
    drop(hand_over);
    dropping.join().unwrap();
    assert_eq!(left, 0, "calls without waiters were left behind in {ROUNDS} rounds");
}

type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Creates a waiter for a token, and polls it once so that it starts to wait.
fn waiter(cached: &Cached<Arc<CountingStore>>, key: TokenKey) -> Wait {
    let cached = cached.clone();
    let mut wait: Wait = Box::pin(async move { drop(cached.find_recent(&key).await) });
    assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    wait
}

/// Maintenance runs every minute or every night, and often finds nothing to change. A run that
/// changes nothing must not empty the cache.
#[tokio::test]
async fn maintenance_that_changes_nothing_empties_no_cache() {
    let tokens = Tokens::new(keyring(), Cached::new(MemoryStore::new(), Duration::from_secs(600)));
    let made = tokens.issue(&actor(), new_token()).await.unwrap();
    let access = Access::to(&made.record.project, &[]);
    let verify = async || tokens.verify(made.token.expose_secret(), &access).await.map(drop).unwrap();
    verify().await;
    verify().await;
    assert_eq!(tokens.store().counts().misses, 1);
    assert!(tokens.claim_notices(Duration::from_secs(60), PageSize::MAX).await.unwrap().is_empty());
    verify().await;
    assert_eq!(tokens.purge(Duration::from_secs(600)).await.unwrap(), 0);
    verify().await;
    assert_eq!(tokens.store().counts().misses, 1, "the store was read again although nothing had changed");
}
