//! Tests with calls that are dropped, connections that end, and a server that stands still.

use std::time::{Duration, Instant};

use keyfob::{
    Policy, TokenRecord, TokenStore,
    import::{ImportKey, ImportStore},
    mint,
    record::{Revocation, RevocationReason},
    store::{
        CountQuery, LastUse, ListQuery, LiveLimit, PageSize, ProjectsQuery, RevokeBatch, StoreErrorKind,
        StoreMaintenance, mysql::MysqlStore,
    },
};
use sqlx::mysql::MySqlPoolOptions;

use crate::support::mariadb::{Server, shared};
use crate::support::{actor, changed, keyring, new_token, now, project};

/// The maximum time that a test waits for something.
const PATIENCE: Duration = Duration::from_secs(60);

fn record() -> TokenRecord {
    mint(&keyring(), &Policy::default(), new_token(), &actor(), now()).unwrap().record
}

fn revocation() -> Revocation {
    Revocation { at: now(), by: actor(), reason: RevocationReason::KeyCompromise }
}

/// Ends all connections to the database of the store.
async fn end_all(server: &Server, store: &MysqlStore) {
    let most = store.pool().options().get_max_connections();
    let mut held = Vec::new();
    for _ in 0..most {
        held.push(store.pool().acquire().await.unwrap());
    }
    let name: String = sqlx::query_scalar("SELECT database()").fetch_one(&mut *held[0]).await.unwrap();
    drop(held);
    let asked = Instant::now();
    while store.pool().num_idle() < most as usize {
        assert!(asked.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let ids = server.ask(&format!("SELECT id FROM information_schema.processlist WHERE db = '{name}'"));
    assert!(ids.lines().count() >= most as usize, "{ids}");
    for id in ids.lines() {
        server.ask(&format!("KILL {id}"));
    }
}

#[tokio::test]
async fn every_call_is_tried_again_on_a_connection_that_lives() {
    let Some(server) = shared() else { return };
    let store = server.store().await;
    let record = store.insert(record(), None, None).await.unwrap();
    let project = record.project;
    for call in ["find", "list", "count", "find_imported", "projects", "insert", "revoke"] {
        end_all(&server, &store).await;
        let done = match call {
            "find" => store.find(&record.key()).await.map(drop),
            "list" => store.list(&ListQuery::new(project)).await.map(drop),
            "count" => store.count(&CountQuery::new(project)).await.map(drop),
            "find_imported" => store.find_imported(&ImportKey::from_bytes([7; 32])).await.map(drop),
            "projects" => store.projects(&ProjectsQuery::default()).await.map(drop),
            "insert" => store.insert(self::record(), None, None).await.map(drop),
            _ => store.revoke(&record.key(), &revocation()).await.map(drop),
        };
        assert!(done.is_ok(), "{call}: {done:?}");
    }
}

/// A host drops a call when its client hangs up. The next call on the same connection must neither
/// wait nor receive the reply to the dropped call.
#[tokio::test]
async fn a_dropped_call_disturbs_no_later_call() {
    let Some(server) = shared() else { return };
    let pool = MySqlPoolOptions::new().max_connections(1).connect(&server.database()).await.unwrap();
    let store = MysqlStore::from_pool(pool).await.unwrap();
    store.migrate().await.unwrap();
    let first = store.insert(record(), None, None).await.unwrap();
    let second = store.insert(record(), None, None).await.unwrap();
    let limit = Some(LiveLimit { most: 1_000, now: now() });
    for round in 0..400_u64 {
        // Each round drops the call at another moment.
        let moment = Duration::from_micros(round * 37 % 3_000);
        match round % 4 {
            0 => drop(tokio::time::timeout(moment, store.find(&first.key())).await),
            1 => drop(tokio::time::timeout(moment, store.insert(record(), limit, None)).await),
            2 => drop(
                tokio::time::timeout(
                    moment,
                    store.revoke_owner(&first.project, &"none".parse().unwrap(), &revocation()),
                )
                .await,
            ),
            _ => drop(tokio::time::timeout(moment, store.find_recent_chain(&first.key())).await),
        }
        let asked = Instant::now();
        assert_eq!(store.find(&second.key()).await.unwrap(), Some(second.clone()), "round {round}");
        assert!(asked.elapsed() < Duration::from_secs(4), "round {round}: {:?}", asked.elapsed());
    }
    assert_eq!(store.background_faults(), 0);
    assert_eq!(store.pool().size(), 1);
}

/// A call that waits for a row keeps its connection. If the call is dropped, the connection must be
/// usable again as soon as the row is free.
#[tokio::test]
async fn a_call_that_is_dropped_while_it_waits_for_a_lock_leaves_no_lock() {
    let Some(server) = shared() else { return };
    let url = server.database();
    let pool = MySqlPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
    let store = MysqlStore::from_pool(pool).await.unwrap();
    store.migrate().await.unwrap();
    let record = store.insert(record(), None, None).await.unwrap();
    let other = sqlx::MySqlPool::connect(&url).await.unwrap();
    let mut holder = other.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM keyfob_tokens FOR UPDATE").execute(&mut *holder).await.unwrap();
    let key = record.key();
    assert!(tokio::time::timeout(Duration::from_millis(300), store.revoke(&key, &revocation())).await.is_err());
    holder.rollback().await.unwrap();
    let revoked = store.revoke(&key, &revocation()).await.unwrap().unwrap();
    assert!(revoked.revoked.is_some());
    assert_eq!(store.pool().size(), 1);
}

/// The server stands still, as if its machine were gone. Each call must end within its time limit.
/// Nothing that was acknowledged may be lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_ends_in_time_while_the_server_stands_still() {
    let Some(server) = Server::start() else { return };
    let store = server.store().await;
    let record = store.insert(record(), None, None).await.unwrap();
    let (key, project) = (record.key(), record.project);
    server.suspend();
    let limit = Some(LiveLimit { most: 100, now: now() });
    let touch = [LastUse { key, used_at: now(), from: None }];
    let owner = record.owner.clone();
    let calls = async {
        tokio::join!(
            async { store.find(&key).await.map(drop) },
            async { store.find_recent_chain(&key).await.map(drop) },
            async { store.list(&ListQuery::new(project)).await.map(drop) },
            async { store.insert(self::record(), None, None).await.map(drop) },
            async { store.insert(self::record(), limit, None).await.map(drop) },
            async { store.revoke(&key, &revocation()).await.map(drop) },
            async { store.revoke_owner(&project, &owner, &revocation()).await.map(drop) },
            async {
                store
                    .revoke_batch(&project, &revocation(), RevokeBatch::CreatedBefore(now()), PageSize::MAX)
                    .await
                    .map(drop)
            },
            async { store.touch_many(&touch).await.map(drop) },
            async { store.purge(&project, now(), PageSize::MAX).await.map(drop) },
            async { store.projects(&ProjectsQuery::default()).await.map(drop) },
            async { store.import(Vec::new()).await.map(drop) },
        )
    };
    let ended = tokio::time::timeout(Duration::from_secs(30), calls).await;
    server.resume();
    let (a, b, c, d, e, f, g, h, i, j, k, l) = ended.expect("each call has a time limit of 5 seconds");
    for (call, outcome) in [a, b, c, d, e, f, g, h, i, j, k, l].into_iter().enumerate() {
        assert_eq!(outcome.map_err(|error| error.kind()), Err(StoreErrorKind::Unavailable), "call {call}");
    }
    let begun = Instant::now();
    while let Err(error) = store.revoke(&key, &revocation()).await {
        assert!(begun.elapsed() < PATIENCE, "the server does not come back: {error}");
    }
    assert!(store.find(&key).await.unwrap().unwrap().revoked.is_some());
}

/// A process freezes in the middle of a transaction that holds a project's turn. MariaDB ends the
/// transaction after 10 seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_process_does_not_keep_the_turn_and_stops_no_other_project() {
    let Some(server) = shared() else { return };
    let store = server.store().await;
    let limit = Some(LiveLimit { most: 100, now: now() });
    store.insert(record(), limit, None).await.unwrap();
    let mut frozen = store.pool().acquire().await.unwrap();
    // The store has set the time limit of the connection.
    let begin = "START TRANSACTION; SELECT 1 FROM keyfob_turns WHERE project = '145' FOR UPDATE";
    sqlx::raw_sql(begin).execute(&mut *frozen).await.unwrap();
    let began = Instant::now();
    let refused = store.insert(record(), limit, None).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Unavailable);
    // A call in another project, and a verification, do not wait.
    let other = changed(record(), |record| record.project = project("146"));
    assert!(store.insert(other, limit, None).await.is_ok());
    while store.insert(record(), limit, None).await.is_err() {
        assert!(began.elapsed() < PATIENCE, "the turn is still held");
    }
}
