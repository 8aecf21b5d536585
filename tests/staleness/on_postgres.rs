//! Faults of PostgreSQL, each in the midst of revocations.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use keyfob::PostgresStore;

use crate::ALONE;
use crate::faults::{
    FEED_ONLY, SOUND, has_no_answer_while_it_is_down, is_bounded_amid, only_the_bound_holds_while_the_feed_is_silent,
};
use crate::proxy::{Proxy, Side};
use crate::revoker::Revoker;
use crate::support::postgres::{Server, shared};

const ROUNDS: usize = 10;

/// The URL of a new database that has the tables.
async fn migrated(server: &Server) -> String {
    let database = server.database();
    PostgresStore::connect(&database).await.unwrap().migrate().await.unwrap();
    database
}

/// Does what waits for a program.
async fn apart(act: impl FnOnce() + Send + 'static) {
    tokio::task::spawn_blocking(act).await.unwrap();
}

#[tokio::test]
async fn its_feed_is_cut_again_and_again() {
    let _alone = ALONE.lock().await;
    let Some(server) = shared() else { return };
    let database = migrated(&server).await;
    let store = PostgresStore::connect(&database).await.unwrap();
    let revoker = Revoker::start(&database, &database, SOUND).await;
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
    is_bounded_amid("PostgreSQL, feed cut", revoker, ROUNDS, cut).await;
}

/// Its connection stays open, and nothing comes, so that only its own word tells that it is lost.
#[tokio::test]
async fn its_feed_falls_silent() {
    let _alone = ALONE.lock().await;
    let Some(server) = shared() else { return };
    let database = migrated(&server).await;
    for side in [Side::Client, Side::Server] {
        let proxy = Proxy::before(server.port);
        let through = server.url_by(proxy.port, &database);
        let revoker = Revoker::start(&database, &through, SOUND).await;
        // Once it listens again, it is silenced again.
        let silence = async |_| proxy.silence(side) as u64;
        is_bounded_amid("PostgreSQL, feed silent", revoker, ROUNDS / 2, silence).await;
    }
    let proxy = Proxy::before(server.port);
    let through = server.url_by(proxy.port, &database);
    let revoker = Revoker::start(&database, &through, FEED_ONLY).await;
    only_the_bound_holds_while_the_feed_is_silent(revoker, async || proxy.silence(Side::Server) as u64).await;
}

#[tokio::test]
async fn it_is_restarted() {
    let _alone = ALONE.lock().await;
    let Some(server) = Server::start().map(Arc::new) else { return };
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
    let (counts, repeated) = is_bounded_amid("PostgreSQL, restarted", revoker, ROUNDS, restart).await;
    assert!(repeated > 0 && counts.unanswered > 0);
}

#[tokio::test]
async fn it_is_down_for_longer_than_the_bound() {
    let _alone = ALONE.lock().await;
    let Some(server) = Server::start() else { return };
    let database = migrated(&server).await;
    has_no_answer_while_it_is_down(&database, 2, async || server.halt("fast"), async || server.go()).await;
}

/// The other process verifies from a standby, which falls behind, stops, and in the end becomes a server of its own: it is asked only
/// where it proves that it is near.
#[tokio::test]
async fn its_standby_lags() {
    let _alone = ALONE.lock().await;
    let Some(server) = Server::start() else { return };
    let database = migrated(&server).await;
    let standby = Arc::new(server.replica());
    let at_standby = server.url_by(standby.port, &database);

    // One that asks the standby for all is behind together with it: the measures can fail.
    let mut revoker = Revoker::start(&database, &at_standby, &[(FORGETS, "1")]).await;
    let mut round = revoker.issue().await;
    standby.pause_replay();
    revoker.revoke(&mut round).await;
    revoker.end(round).await;
    standby.resume_replay();
    let seen = revoker.stop();
    assert!(seen.too_late() > 0 && seen.never_refused > 0, "{seen:?}");

    let asked_before = asked(&at_standby).await;
    for environment in [SOUND, &[(FORGETS, "1")]] {
        let environment = [environment, &[(STANDBY, &at_standby)]].concat();
        let mut revoker = Revoker::start(&database, &database, &environment).await;
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
        is_bounded_amid("PostgreSQL, standby lags", revoker, ROUNDS, lag).await;
    }
    assert!(asked(&at_standby).await > asked_before);
}
