//! A store of either engine behind a cache.

use std::time::Duration;

use keyfob::{Cached, ErasedStore, Feed, PostgresStore, RedisStore, TokenStore, Tokens};

pub type Service = Tokens<Cached<ErasedStore>>;

/// A store of the engine at this address, which follows the feed where it is to.
pub async fn open(database: &str, bound: Duration, follows: bool) -> Cached<ErasedStore> {
    if database.starts_with("redis:") {
        let store = RedisStore::connect(database.split(',')).await.unwrap().with_feed();
        let feed = follows.then(|| store.feed());
        cached(store, bound, feed)
    } else {
        let store = PostgresStore::connect(database).await.unwrap().telling_changes();
        let feed = follows.then(|| store.feed());
        cached(store, bound, feed)
    }
}

fn cached(store: impl TokenStore + 'static, bound: Duration, feed: Option<impl Feed + 'static>) -> Cached<ErasedStore> {
    let cached = Cached::new(ErasedStore::new(store), bound);
    if let Some(feed) = feed {
        let following = cached.clone();
        tokio::spawn(async move { following.follow(feed).await });
    }
    cached
}
