//! Tests with faults of PostgreSQL during revocations.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyfob::{Policy, TokenKey, TokenStore, mint, store::postgres::PostgresStore};
use sqlx::PgPool;

use crate::staleness::faults::{
    FEED_ONLY, PATIENCE, SOUND, SOUND_OF_ISSUERS, has_no_answer_while_it_is_down, is_bounded_amid,
    only_the_bound_holds_while_the_feed_is_silent,
};
use crate::staleness::proxy::{Proxy, Side};
use crate::staleness::revoker::Revoker;
use crate::staleness::{BOUND, FORGETS, STANDBY, TURNS, fault_rounds};
use crate::support::postgres::{Server, shared};
use crate::support::{actor, keyring, new_token, now};

/// Creates a database with the tables of keyfob, and returns its URL.
async fn migrated(server: &Server) -> String {
    let database = server.database();
    PostgresStore::connect(&database).await.unwrap().migrate().await.unwrap();
    database
}

/// Runs a blocking function on a thread for blocking work.
async fn apart(act: impl FnOnce() + Send + 'static) {
    tokio::task::spawn_blocking(act).await.unwrap();
}

#[tokio::test]
async fn its_feed_is_cut_again_and_again() {
    let Some(server) = shared() else { return };
    let _turn = TURNS.acquire().await.unwrap();
    let database = migrated(&server).await;
    let store = PostgresStore::connect(&database).await.unwrap();
    let cut = async |_| {
        let mut ended = BTreeSet::new();
        for _ in 0..5 {
            let listeners = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() \
                 AND (query LIKE 'LISTEN%' OR query = $1)";
            let word = "SELECT pg_notify($1, '')";
            let pids: Vec<i32> = sqlx::query_scalar(listeners).bind(word).fetch_all(store.pool()).await.unwrap();
            for pid in &pids {
                sqlx::query("SELECT pg_terminate_backend($1)").bind(pid).execute(store.pool()).await.unwrap();
            }
            ended.extend(pids);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        ended.len() as u64
    };
    for (what, environment) in
        [("PostgreSQL, feed cut", SOUND), ("PostgreSQL, feed cut, issuers end", SOUND_OF_ISSUERS)]
    {
        let revoker = Revoker::start(&database, &database, environment).await;
        is_bounded_amid(what, revoker, fault_rounds(), cut).await;
    }
}

/// The feed's connection stays open, but no bytes arrive. So only the feed's own heartbeat shows
/// that the connection is lost.
#[tokio::test]
async fn its_feed_falls_silent() {
    let Some(server) = shared() else { return };
    let _turn = TURNS.acquire().await.unwrap();
    let database = migrated(&server).await;
    for side in [Side::Client, Side::Server] {
        let proxy = Proxy::before(server.port);
        let through = server.url_by(proxy.port, &database);
        let revoker = Revoker::start(&database, &through, SOUND).await;
        // In the next round, the feed has a new connection, which is silenced too.
        let silence = async |_| proxy.silence(side) as u64;
        is_bounded_amid("PostgreSQL, feed silent", revoker, fault_rounds() / 2, silence).await;
    }
    let proxy = Proxy::before(server.port);
    let through = server.url_by(proxy.port, &database);
    let revoker = Revoker::start(&database, &through, FEED_ONLY).await;
    only_the_bound_holds_while_the_feed_is_silent(revoker, async || proxy.silence(Side::Server) as u64).await;
}

#[tokio::test]
async fn it_is_restarted() {
    let Some(server) = Server::start().map(Arc::new) else { return };
    let _turn = TURNS.acquire().await.unwrap();
    let database = migrated(&server).await;
    let revoker = Revoker::start(&database, &database, SOUND).await;
    let restart = async |round: usize| {
        let server = Arc::clone(&server);
        apart(move || {
            server.halt(["immediate", "fast"][round % 2]);
            server.go();
        })
        .await;
        1
    };
    // The losses of the feed show that the restart had an effect. Verifications may wait until the
    // server is up.
    is_bounded_amid("PostgreSQL, restarted", revoker, fault_rounds(), restart).await;
}

#[tokio::test]
async fn it_is_down_for_longer_than_the_bound() {
    let Some(server) = Server::start() else { return };
    let _turn = TURNS.acquire().await.unwrap();
    let database = migrated(&server).await;
    has_no_answer_while_it_is_down(&database, 2, async || server.halt("fast"), async || server.go()).await;
}

/// The verifying process reads from a standby. The standby falls behind, stops, and is finally
/// promoted. The store may read from the standby only while the standby proves that its data is
/// recent enough.
#[tokio::test]
async fn its_standby_lags() {
    let Some(server) = Server::start() else { return };
    let _turn = TURNS.acquire().await.unwrap();
    let database = migrated(&server).await;
    let standby = Arc::new(server.replica());
    let at_standby = server.url_by(standby.port, &database);

    // A process that reads only from the standby sees a revocation as late as the standby does.
    // This shows that the measurements can fail.
    let mut revoker = Revoker::start(&database, &at_standby, &[(FORGETS, "1")]).await;
    let mut round = revoker.issue().await;
    standby.pause_replay();
    revoker.revoke(&mut round).await;
    revoker.end(round).await;
    standby.resume_replay();
    let seen = revoker.stop();
    assert!(seen.too_late() > 0 && seen.never_refused > 0, "{seen:?}");

    for environment in [SOUND, &[(FORGETS, "1")]] {
        let environment = [environment, &[(STANDBY, &at_standby)]].concat();
        let revoker = Revoker::start(&database, &database, &environment).await;
        let lag = async |round: usize| {
            let standby = Arc::clone(&standby);
            apart(move || match round % 3 {
                0 => {
                    standby.pause_replay();
                    std::thread::sleep(2 * BOUND);
                    standby.resume_replay();
                }
                1 => {
                    standby.halt("immediate");
                    standby.go();
                }
                _ => (),
            })
            .await;
            0
        };
        is_bounded_amid("PostgreSQL, standby lags", revoker, fault_rounds(), lag).await;
        // A crash of the standby sets its count of look-ups back to zero, so the test cannot
        // compare with an earlier count.
        assert!(look_ups(&at_standby).await > 0);
    }

    let revoker = Revoker::start(&database, &database, &[(FORGETS, "1"), (STANDBY, &at_standby)]).await;
    let promote = async |round: usize| {
        let standby = Arc::clone(&standby);
        apart(move || {
            if round == 0 {
                standby.promote()
            }
        })
        .await;
        0
    };
    is_bounded_amid("PostgreSQL, standby promoted", revoker, 2, promote).await;
}

/// A token that was issued while the standby lags must not be rejected as unknown.
#[tokio::test]
async fn a_new_token_is_known_at_once_though_its_standby_lags() {
    let Some(server) = Server::start() else { return };
    let _turn = TURNS.acquire().await.unwrap();
    let database = migrated(&server).await;
    let standby = server.replica();
    let at_standby = server.url_by(standby.port, &database);
    let pool = PgPool::connect(&at_standby).await.unwrap();
    let here = PostgresStore::connect(&database).await.unwrap().with_replica(pool, Duration::from_secs(30));
    let (elsewhere, beating) = (PostgresStore::connect(&database).await.unwrap(), here.clone());
    let beating = tokio::spawn(async move { beating.beat().await });
    let known = insert(&elsewhere).await;
    // Waits until the store reads from the standby, which has this token.
    let asked = Instant::now();
    while here.find_recent(&known).await.unwrap().age.is_zero() {
        assert!(asked.elapsed() < PATIENCE, "the standby is never read");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    standby.pause_replay();
    let new = insert(&elsewhere).await;
    assert!(here.find_recent(&new).await.unwrap().record.is_some());
    assert!(!here.find_recent(&known).await.unwrap().age.is_zero());
    beating.abort();
}

async fn insert(store: &PostgresStore) -> TokenKey {
    let record = mint(&keyring(), &Policy::default(), new_token(), &actor(), now()).unwrap().record;
    store.insert(record, None, None).await.unwrap().key()
}

/// Returns the number of look-ups of tokens that the server at this address has executed.
async fn look_ups(database: &str) -> i64 {
    let pool = PgPool::connect(database).await.unwrap();
    let scans = "SELECT coalesce(sum(idx_scan), 0)::bigint FROM pg_stat_user_tables WHERE relname = 'keyfob_tokens'";
    sqlx::query_scalar(scans).fetch_one(&pool).await.unwrap()
}
