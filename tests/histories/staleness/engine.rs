//! Opens a store of PostgreSQL, MariaDB or Redis with a cache, for both processes of the test.

use std::time::Duration;

use keyfob::{
    Policy, TokenStore, Tokens,
    store::{
        DynStore, StoreMaintenance,
        cache::{Cached, Feed},
        postgres::PostgresStore,
        redis::RedisStore,
    },
};
use sqlx::PgPool;

use crate::staleness::revoker::TOKENS;

pub type Service = Tokens<Cached<DynStore>>;

/// Returns the policy of both processes. It allows chains of two issuers, and `TOKENS` live tokens
/// for each issuer.
pub fn policy() -> Policy {
    Policy::default().with_max_depth(2).with_most_live_per_issuer(TOKENS as u64)
}

/// The maximum age of data that the store may read from the standby. It is much shorter than the
/// bound on the age of cached records.
const MOST_LAG: Duration = Duration::from_millis(100);

/// Opens the store of the database at the address `database`, with a cache. The cache follows the
/// store's feed of changes if `follows` is set. If `standby` is given, the store also reads from
/// the standby at this address.
pub async fn open(database: &str, bound: Duration, follows: bool, standby: Option<&str>) -> Cached<DynStore> {
    if database.starts_with("redis:") {
        let store = RedisStore::connect(database.split(',')).await.unwrap().with_feed();
        let feed = follows.then(|| store.feed());
        cached(store, bound, feed)
    } else if database.starts_with("mysql:") {
        without_feed(database, bound).await
    } else {
        let mut store = PostgresStore::connect(database).await.unwrap().telling_changes();
        if let Some(standby) = standby {
            store = store.with_replica(PgPool::connect(standby).await.unwrap(), MOST_LAG);
            let beating = store.clone();
            tokio::spawn(async move { beating.beat().await });
        }
        let feed = follows.then(|| store.feed());
        cached(store, bound, feed)
    }
}

/// Returns a cache over MariaDB, which has no feed, so the cache relies on its bound.
#[cfg(feature = "mysql")]
async fn without_feed(database: &str, bound: Duration) -> Cached<DynStore> {
    Cached::new(DynStore::new(keyfob::store::mysql::MysqlStore::connect(database).await.unwrap()), bound)
}

#[cfg(not(feature = "mysql"))]
async fn without_feed(_database: &str, _bound: Duration) -> Cached<DynStore> {
    unreachable!("no test of this build opens MariaDB")
}

fn cached(
    store: impl TokenStore + StoreMaintenance + 'static,
    bound: Duration,
    feed: Option<impl Feed + 'static>,
) -> Cached<DynStore> {
    let cached = Cached::new(DynStore::new(store), bound);
    if let Some(feed) = feed {
        let following = cached.clone();
        tokio::spawn(async move { following.follow(feed).await });
    }
    cached
}
