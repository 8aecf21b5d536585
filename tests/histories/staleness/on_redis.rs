//! Tests with faults of a Redis Cluster during revocations.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::staleness::faults::{SOUND, SOUND_OF_ISSUERS, has_no_answer_while_it_is_down, is_bounded_amid};
use crate::staleness::revoker::Revoker;
use crate::staleness::{TURNS, fault_rounds};
use crate::support::project;
use crate::support::redis::{Servers, shared_cluster};

/// Runs a blocking function on a thread for blocking work, and returns the function's result.
async fn apart<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(act).await.unwrap()
}

#[tokio::test]
async fn its_feed_is_cut_again_and_again() {
    let Some(servers) = shared_cluster() else { return };
    let _turn = TURNS.acquire().await.unwrap();
    let database = servers.urls().join(",");
    let cut = async |_| {
        let mut cuts = 0;
        for _ in 0..5 {
            let servers = Arc::clone(&servers);
            cuts += apart(move || {
                let kill = |node| servers.ask_node(node, &["CLIENT", "KILL", "TYPE", "pubsub"]);
                (0..servers.count()).map(|node| kill(node).trim().parse::<u64>().unwrap()).sum::<u64>()
            })
            .await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        cuts
    };
    for (what, environment) in
        [("Redis Cluster, feed cut", SOUND), ("Redis Cluster, feed cut, issuers end", SOUND_OF_ISSUERS)]
    {
        let revoker = Revoker::start(&database, &database, environment).await;
        is_bounded_amid(what, revoker, fault_rounds(), cut).await;
    }
}

/// The master that has the tokens is killed, and its replica takes over.
#[tokio::test]
async fn its_master_is_killed() {
    let Some(servers) = Servers::cluster(1) else { return };
    let _turn = TURNS.acquire().await.unwrap();
    let database = servers.urls().join(",");
    let revoker = Revoker::start(&database, &database, SOUND).await;
    let servers = Arc::new(Mutex::new(servers));
    let fail_over = async |round: usize| {
        if round.is_multiple_of(3) {
            let servers = Arc::clone(&servers);
            apart(move || servers.lock().unwrap().fail_over(&project("145"))).await;
        }
        0
    };
    let (counts, repeated) = is_bounded_amid("Redis Cluster, master killed", revoker, fault_rounds(), fail_over).await;
    assert!(repeated > 0 && counts.unanswered > 0);
}

/// Each node is restarted in turn. No node has a replica.
#[tokio::test]
async fn a_node_is_restarted() {
    let Some(servers) = Servers::cluster(0) else { return };
    let _turn = TURNS.acquire().await.unwrap();
    let database = servers.urls().join(",");
    let revoker = Revoker::start(&database, &database, SOUND).await;
    let servers = Arc::new(Mutex::new(servers));
    let restart = async |round: usize| {
        if round.is_multiple_of(2) {
            let servers = Arc::clone(&servers);
            apart(move || {
                let mut servers = servers.lock().unwrap();
                let node = round / 2 % servers.count();
                servers.kill(node);
                servers.go(node);
                servers.wait_until_served(node);
            })
            .await;
        }
        0
    };
    let (counts, repeated) = is_bounded_amid("Redis Cluster, node restarted", revoker, fault_rounds(), restart).await;
    assert!(repeated > 0 && counts.unanswered > 0);
}

#[tokio::test]
async fn it_is_down_for_longer_than_the_bound() {
    let Some(servers) = Servers::cluster(0) else { return };
    let _turn = TURNS.acquire().await.unwrap();
    let database = servers.urls().join(",");
    let servers = Mutex::new(servers);
    let each = |act: fn(&mut Servers, usize)| {
        let mut servers = servers.lock().unwrap();
        (0..servers.count()).for_each(|node| act(&mut servers, node));
    };
    let start = async || {
        each(Servers::go);
        each(|servers, node| servers.wait_until_served(node));
    };
    has_no_answer_while_it_is_down(&database, 2, async || each(Servers::kill), start).await;
}
