//! Measures how long a cache accepts tokens after their revocation. One process revokes tokens.
//! Another process verifies the tokens through its cache, continuously and in eight tasks.
//!
//! After a revocation is acknowledged and the bound has passed, no new verification may accept the
//! token. This also holds while the engine, the feed or the standby fails. It also holds for a
//! token that is bound, directly or through another token, to a revoked or disabled token.

use std::time::{Duration, Instant};

use keyfob::store::postgres::PostgresStore;
use tokio::sync::Semaphore;

mod engine;
mod faults;
mod on_postgres;
mod on_redis;
mod proxy;
mod revoker;
mod verifier;

use revoker::{OWNERS, Revoker, TOKENS};

use crate::support::size;

const BOUND: Duration = Duration::from_millis(200);

/// Returns the number of rounds in a test without a fault. Each round issues `TOKENS` tokens and
/// revokes them.
fn rounds() -> usize {
    if size::is_full() { 100 } else { 5 }
}

/// Returns the number of rounds in a test of a fault. The fault occurs in each round. Each variant
/// of a fault occurs at least once in four rounds.
fn fault_rounds() -> usize {
    if size::is_full() { 10 } else { 4 }
}

const DATABASE: &str = "KEYFOB_STALENESS_DATABASE";
const FEED: &str = "KEYFOB_STALENESS_FEED";
const STANDBY: &str = "KEYFOB_STALENESS_STANDBY";
const FORGETS: &str = "KEYFOB_STALENESS_FORGETS";
const ISSUERS: &str = "KEYFOB_STALENESS_ISSUERS";

/// The semaphore that lets at most three of these tests run at a time, because each test keeps the
/// processor busy. A test may start its engine before it holds a permit.
static TURNS: Semaphore = Semaphore::const_new(3);

/// The token that ends in a test: the verified token itself, or its issuer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ends {
    Token,
    Issuer,
}

async fn is_bounded(engine: &str, database: &str, ends: Ends, feeds: &[bool]) {
    let _turn = TURNS.acquire().await.unwrap();
    let rounds = rounds();
    let issuers: &[_] = if ends == Ends::Issuer { &[(ISSUERS, "1")] } else { &[] };
    for &feed in feeds {
        let environment: &[_] = if feed { &[(FORGETS, "1"), (FEED, "1")] } else { &[(FORGETS, "1")] };
        let mut revoker = Revoker::start(database, database, &[environment, issuers].concat()).await;
        let began = Instant::now();
        for _ in 0..rounds {
            let mut round = revoker.issue().await;
            revoker.revoke(&mut round).await;
            revoker.end(round).await;
        }
        let (counts, took) = (revoker.counts(), began.elapsed());
        let seen = revoker.stop();
        println!(
            "{engine}, feed {}, {ends:?} ends: {} revocations, delay 50 % {:?}, 99 % {:?}, most {:?}; hits {:.1} %, misses {}; feed lost {}",
            if feed { "on" } else { "off" },
            seen.delays.len(),
            seen.percentile(50),
            seen.percentile(99),
            seen.percentile(100),
            counts.hit_rate() * 100.0,
            counts.misses,
            counts.feed_losses,
        );
        assert_eq!((seen.delays.len(), seen.too_late(), seen.never_refused), (rounds * TOKENS, 0, 0));
        assert_eq!((seen.refused_too_early, counts.strange.as_str()), (0, "none"));
        // Limits the misses of the cache. In each period as long as the bound, the cache reads each
        // token from the store once. It also reads a token after the token was issued or revoked,
        // and after a revocation of an owner. If a revocation overtakes a read, the cache reads
        // once more. The limit does not depend on the number of verifications, which depends on the
        // machine.
        let bounds = took.as_nanos().div_ceil(BOUND.as_nanos()) as u64;
        // A bound token has up to two issuers, and the cache reads the record of each.
        let records = if ends == Ends::Issuer { 3 } else { 1 };
        let asked = records * TOKENS as u64 * (bounds + (rounds * 2 * (2 + OWNERS)) as u64);
        assert!(counts.hits > 0 && counts.misses <= asked, "{} misses in {took:?}", counts.misses);
    }
    // A cache without a bound accepts the tokens forever. This shows that both measurements can
    // fail.
    let mut revoker = Revoker::start(database, database, issuers).await;
    let mut round = revoker.issue().await;
    revoker.revoke(&mut round).await;
    revoker.end(round).await;
    let seen = revoker.stop();
    assert!(seen.never_refused > 0 && seen.too_late() > 0, "{seen:?}");
}

async fn is_bounded_on_postgres(ends: Ends) {
    let Some(server) = crate::support::postgres::shared() else { return };
    let database = server.database();
    PostgresStore::connect(&database).await.unwrap().migrate().await.unwrap();
    is_bounded("PostgreSQL", &database, ends, &[false, true]).await;
}

/// Checks the bound of a cache over MariaDB, which has no feed.
#[cfg(feature = "mysql")]
async fn is_bounded_on_mariadb(ends: Ends) {
    let Some(server) = crate::support::mariadb::shared() else { return };
    let database = server.database();
    keyfob::store::mysql::MysqlStore::connect(&database).await.unwrap().migrate().await.unwrap();
    is_bounded("MariaDB", &database, ends, &[false]).await;
}

async fn is_bounded_on_a_redis_cluster(ends: Ends) {
    let Some(servers) = crate::support::redis::shared_cluster() else { return };
    is_bounded("Redis Cluster", &servers.urls().join(","), ends, &[false, true]).await;
}

#[tokio::test]
async fn no_revoked_token_is_accepted_beyond_the_bound_on_postgres() {
    is_bounded_on_postgres(Ends::Token).await;
}

#[tokio::test]
async fn no_revoked_token_is_accepted_beyond_the_bound_on_a_redis_cluster() {
    is_bounded_on_a_redis_cluster(Ends::Token).await;
}

#[tokio::test]
async fn no_token_of_an_ended_issuer_is_accepted_beyond_the_bound_on_postgres() {
    is_bounded_on_postgres(Ends::Issuer).await;
}

#[tokio::test]
async fn no_token_of_an_ended_issuer_is_accepted_beyond_the_bound_on_a_redis_cluster() {
    is_bounded_on_a_redis_cluster(Ends::Issuer).await;
}

#[cfg(feature = "mysql")]
#[tokio::test]
async fn no_revoked_token_is_accepted_beyond_the_bound_on_mariadb() {
    is_bounded_on_mariadb(Ends::Token).await;
}

#[cfg(feature = "mysql")]
#[tokio::test]
async fn no_token_of_an_ended_issuer_is_accepted_beyond_the_bound_on_mariadb() {
    is_bounded_on_mariadb(Ends::Issuer).await;
}
