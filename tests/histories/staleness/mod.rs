//! One process revokes tokens, and another verifies them through its cache without a pause, in
//! eight tasks. No verification accepts a token if it begins later than the bound after the token's
//! revocation was acknowledged. This also holds if the engine, the feed or the standby fails, and
//! for tokens that are bound, directly or through another token, to one that is revoked or
//! disabled.

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

/// Returns how often all tokens are issued and revoked.
fn rounds() -> usize {
    if size::is_full() { 100 } else { 5 }
}

/// Returns how often the fault occurs in each test of a fault. Each kind of failure occurs at least
/// once in four.
fn fault_rounds() -> usize {
    if size::is_full() { 10 } else { 4 }
}

const DATABASE: &str = "KEYFOB_STALENESS_DATABASE";
const FEED: &str = "KEYFOB_STALENESS_FEED";
const STANDBY: &str = "KEYFOB_STALENESS_STANDBY";
const FORGETS: &str = "KEYFOB_STALENESS_FORGETS";
const ISSUERS: &str = "KEYFOB_STALENESS_ISSUERS";

/// The semaphore that limits these tests to three at a time, because each verifies without a pause.
/// A test may start its engine before its turn.
static TURNS: Semaphore = Semaphore::const_new(3);

/// The token whose end causes the rejections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ends {
    Token,
    Issuer,
}

async fn is_bounded(engine: &str, database: &str, ends: Ends) {
    let _turn = TURNS.acquire().await.unwrap();
    let rounds = rounds();
    let issuers: &[_] = if ends == Ends::Issuer { &[(ISSUERS, "1")] } else { &[] };
    for feed in [false, true] {
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
        // In each period as long as the bound, the store is read once for each token. It is read
        // again if the token is new, if it is revoked by itself or with an owner, or if such a
        // change overtook a read. How often tokens are verified meanwhile depends on the machine.
        let bounds = took.as_nanos().div_ceil(BOUND.as_nanos()) as u64;
        // A bound token has up to two issuers, and each has its own record.
        let records = if ends == Ends::Issuer { 3 } else { 1 };
        let asked = records * TOKENS as u64 * (bounds + (rounds * 2 * (2 + OWNERS)) as u64);
        assert!(counts.hits > 0 && counts.misses <= asked, "{} misses in {took:?}", counts.misses);
    }
    // A cache without a bound accepts tokens forever. This shows that both measurements can fail.
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
    is_bounded("PostgreSQL", &database, ends).await;
}

async fn is_bounded_on_a_redis_cluster(ends: Ends) {
    let Some(servers) = crate::support::redis::shared_cluster() else { return };
    is_bounded("Redis Cluster", &servers.urls().join(","), ends).await;
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
