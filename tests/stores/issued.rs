//! Checks the revocation of a token to which thousands of tokens are bound. The caches receive a
//! single invalidation for all these tokens. After the revocation, a cache may use an outdated
//! record only until the maximum age of its records has passed. From then on, all these tokens must
//! be rejected.
//!
//! The test uses 2,000 bound tokens, or 10,000 with `KEYFOB_TEST_SIZE=full`.

use std::sync::Arc;
use std::time::Duration;

use keyfob::{
    Access, Rejection, Scope, ScopeSet, SystemClock, Timestamp, TokenKey, TokenRecord, TokenStore, Tokens, VerifyError,
    mint,
    record::{Issuer, RevocationReason},
    store::{
        StoreMaintenance,
        cache::{Cached, Feed, FeedEvent},
    },
};
use tokio::task::JoinSet;

use crate::support::{actor, keyring, new_token, project, size};

const BOUND: Duration = Duration::from_secs(2);
/// The time after which the test assumes that a silent feed sends no more events. Invalidations
/// arrive much sooner.
const QUIET: Duration = Duration::from_millis(500);

fn count() -> usize {
    if size::is_full() { 10_000 } else { 2_000 }
}

/// Issues a token, and inserts tokens that are bound to it. Returns the key and the text of the
/// issuing token, and the texts of the bound tokens.
async fn issuer_and_bound<S>(store: &S) -> (TokenKey, String, Vec<String>)
where
    S: TokenStore + Clone + 'static,
{
    let scopes = |text| ScopeSet::new(text).unwrap();
    let tokens = Tokens::new(keyring(), store.clone());
    let new = new_token().with_scopes(scopes("repo:* tokens:manage"));
    let issuer = tokens.issue(&actor(), new).await.unwrap();
    let access = project("145");
    let verified = tokens.verify(issuer.token.expose_secret(), &Access::to(&access, &[])).await.unwrap();
    let by = verified.delegate(&Scope::new("tokens:manage").unwrap()).unwrap();
    // The bound tokens are minted here, because the service would limit the number of live tokens.
    let mut inserts = JoinSet::new();
    let mut texts = Vec::with_capacity(count());
    for number in 0..count() {
        let new = new_token().with_scopes(scopes("repo:read")).within(&by);
        let issued = mint(&keyring(), &Default::default(), new, &actor(), keyfob::Clock::now(&SystemClock)).unwrap();
        assert_eq!(issued.record.issuer, Some(Issuer { id: by.key().id, bound: true }));
        texts.push(issued.token.expose_secret().to_owned());
        let store = store.clone();
        inserts.spawn(async move { store.insert(issued.record, None, None).await.unwrap() });
        // At most 64 inserts run concurrently, because all tokens are in one project.
        if number % 64 == 63 {
            while inserts.join_next().await.is_some() {}
        }
    }
    while let Some(inserted) = inserts.join_next().await {
        inserted.unwrap();
    }
    (by.key(), issuer.token.expose_secret().to_owned(), texts)
}

/// Collects the events of a feed until the feed is silent for the time [`QUIET`].
async fn told(feed: &mut impl Feed) -> Vec<FeedEvent> {
    let mut told = Vec::new();
    while let Ok(event) = tokio::time::timeout(QUIET, feed.next()).await {
        if event != FeedEvent::Nothing {
            told.push(event);
        }
    }
    told
}

async fn outcome<S: TokenStore>(tokens: &Tokens<S>, text: &str) -> Result<(), Option<Rejection>> {
    let project = project("145");
    let verified = tokens.verify(text, &Access::to(&project, &[])).await;
    verified.map(drop).map_err(|error: VerifyError| error.rejection())
}

/// Revokes a token with many bound tokens. Checks that the bound tokens stop working within the
/// staleness bound of the caches, and that the store sends only one invalidation for them. Then
/// checks that `revoke_orphans` revokes the bound tokens without another invalidation.
///
/// `store` sends its invalidations to two feeds: the test reads `feed`, and a cache follows
/// `followed`.
async fn ends_at_one_word<S>(store: S, mut feed: impl Feed, followed: impl Feed + 'static)
where
    S: TokenStore + StoreMaintenance + Clone + 'static,
{
    let (key, own, texts) = issuer_and_bound(&store).await;
    let here = Arc::new(Tokens::new(keyring(), store.clone()));
    let caches = [Cached::new(store.clone(), BOUND), Cached::new(store.clone(), BOUND)];
    let [by_bound, following] = caches.map(|cached| Tokens::new(keyring(), cached));
    let follower = following.store().clone();
    let follower = tokio::spawn(async move { follower.follow(followed).await });
    for tokens in [&by_bound, &following] {
        for text in &texts {
            assert_eq!(outcome(tokens, text).await, Ok(()));
        }
    }
    told(&mut feed).await;

    here.revoke(&actor(), &key, RevocationReason::KeyCompromise).await.unwrap();
    tokio::time::sleep(BOUND).await;
    for tokens in [&by_bound, &following] {
        for text in &texts {
            assert_eq!(outcome(tokens, text).await, Err(Some(Rejection::IssuerEnded)));
        }
    }
    assert_eq!(told(&mut feed).await, [FeedEvent::Token(key)], "one invalidation for all bound tokens");

    // The maintenance revokes the bound tokens later. This emits no further invalidation.
    assert_eq!(here.revoke_orphans().await.unwrap(), texts.len() as u64);
    assert_eq!(told(&mut feed).await, []);
    assert_eq!(here.revoke_orphans().await.unwrap(), 0);
    for text in texts.iter().take(10) {
        assert_eq!(outcome(&*here, text).await, Err(Some(Rejection::Revoked)));
    }
    let revoked = here.store().find(&key).await.unwrap().unwrap().revoked.clone().unwrap();
    let rows: Vec<Arc<TokenRecord>> = rows(&store, &key).await;
    assert_eq!(rows.len(), texts.len());
    let at = |time: Timestamp| time >= revoked.at;
    assert!(rows.iter().all(|row| row.revoked.as_ref().is_some_and(|row| row.by == revoked.by && at(row.at))));
    assert_eq!(outcome(&*here, &own).await, Err(Some(Rejection::Revoked)));
    follower.abort();
}

async fn rows<S: TokenStore>(store: &S, issuer: &TokenKey) -> Vec<Arc<TokenRecord>> {
    use keyfob::store::{ListQuery, PageSize};

    let mut query = ListQuery::new(issuer.project);
    (query.issuer, query.most) = (Some(issuer.id), PageSize::MAX);
    let mut rows = Vec::new();
    loop {
        let page = store.list(&query).await.unwrap();
        rows.extend(page.items);
        query.after = page.next;
        if query.after.is_none() {
            return rows;
        }
    }
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn an_issuer_of_thousands_ends_at_one_word_on_postgres() {
    let Some(server) = crate::support::postgres::shared() else { return };
    let store = server.store().await.telling_changes();
    let feeds = (store.feed(), store.feed());
    ends_at_one_word(store, feeds.0, feeds.1).await;
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn an_issuer_of_thousands_ends_at_one_word_on_a_redis_cluster() {
    let Some(servers) = crate::support::redis::Servers::cluster(0) else { return };
    let store = servers.store().await.with_feed();
    let feeds = (store.feed(), store.feed());
    ends_at_one_word(store, feeds.0, feeds.1).await;
}
