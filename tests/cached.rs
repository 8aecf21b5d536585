//! A store behind a cache: it keeps the laws of a store, asks as seldom as it may, and never answers with what is too old.

mod support;

use std::sync::Arc;
use std::time::Duration;

use keyfob::{Access, Cached, MemoryStore, RevocationReason, RevokeGroup, Tokens};
use support::kit::keeps_every_law;
use support::{CountingStore, actor, keyring, new_token};

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn it_keeps_the_laws_of_a_store() {
    keeps_every_law(Cached::new(MemoryStore::new(), LONG)).await;
    keeps_every_law(Arc::new(Cached::new(MemoryStore::new(), LONG).with_entries(1))).await;
    keeps_every_law(Cached::new(MemoryStore::new(), Duration::ZERO)).await;
}

#[tokio::test]
async fn a_second_verification_asks_no_store() {
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
async fn what_this_process_ends_is_ended_at_once() {
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

/// Another process, which shares the store and not the cache.
#[tokio::test]
async fn what_others_end_is_ended_within_the_bound() {
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
