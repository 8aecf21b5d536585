//! Tests of a network partition in a Redis Cluster. The tests run in their own network namespace.
//!
//! The partition separates the master of the tokens and one of its replicas from the other nodes.
//! The other nodes elect the master's second replica as the new master. When the partition heals,
//! the cluster loses the data that only the separated nodes have.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use keyfob::{
    TokenKey, TokenStore,
    store::{
        StoreErrorKind,
        redis::{Durability, RedisStore},
    },
};

use crate::redis::{cause, insert, revocation};
use crate::support::network::is_in_own_network;
use crate::support::redis::{Servers, Side};
use crate::support::size;

/// The nodes that the partition cuts off: the master of the tokens and one of its replicas.
const NEAR: &Side = &[0, 3];
/// The nodes on the other side of the partition: the second replica of the tokens' master, and two
/// of the three masters. These two masters are the majority.
const FAR: &Side = &[1, 2, 4];
const MASTER: usize = NEAR[0];
const SUCCESSOR: usize = FAR[2];
/// The value of `cluster-node-timeout` on each node.
const NODE_TIMEOUT: Duration = Duration::from_millis(1500);
/// The maximum time that a test waits for a change. A change normally takes much less time.
const PATIENCE: Duration = Duration::from_secs(30);

async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

fn weaker(store: RedisStore) -> RedisStore {
    store.with_durability(Durability::OneReplica)
}

async fn is_revoked(store: &RedisStore, key: &TokenKey) -> bool {
    let asked = Instant::now();
    loop {
        match store.find(key).await {
            Ok(found) => return found.unwrap().revoked.is_some(),
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Unavailable),
        }
        assert!(asked.elapsed() < PATIENCE, "the store returned no result in time");
        pause(100).await;
    }
}

/// Repeats a revocation until the store acknowledges it.
async fn repeat(store: &RedisStore, key: &TokenKey) {
    let asked = Instant::now();
    while let Err(error) = store.revoke(key, &revocation()).await {
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(asked.elapsed() < PATIENCE, "the repeat is not acknowledged: {}", cause(&error));
        pause(100).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_loses_nothing_that_was_acknowledged() {
    if !is_in_own_network("redis::partition::a_partition_loses_nothing_that_was_acknowledged") {
        return;
    }
    for run in 1..=if size::is_full() { 5 } else { 1 } {
        let Some(servers) = Servers::cluster_of_addresses() else { return };
        one_partition(run, servers).await;
    }
}

async fn one_partition(run: usize, servers: Servers) {
    // The number of tokens, which is more than the test has time to revoke.
    const WRITTEN: usize = 600;
    let store = servers.store().await;
    let other = weaker(servers.store().await);
    let (first, lost) = (insert(&store).await, insert(&store).await);
    let mut keys = Vec::new();
    for _ in 0..WRITTEN {
        keys.push(insert(&store).await);
    }
    // A task revokes the tokens during the whole test, one after the other and each once.
    let is_over = Arc::new(AtomicBool::new(false));
    let (writing, ends) = (servers.store().await, Arc::clone(&is_over));
    let writer = tokio::spawn(async move {
        let (mut acknowledged, mut refusal) = (Vec::new(), String::new());
        for key in keys {
            match writing.revoke(&key, &revocation()).await {
                Ok(_) => acknowledged.push((Instant::now(), key)),
                Err(error) => {
                    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
                    refusal = cause(&error);
                }
            }
            if ends.load(Ordering::SeqCst) {
                break;
            }
            pause(50).await;
        }
        (acknowledged, refusal)
    });
    pause(500).await;

    servers.cut(NEAR, FAR);
    let cut = Instant::now();
    other.revoke(&lost, &revocation()).await.expect("the replica on the master's side acknowledges the revocation");
    let asked = Instant::now();
    let revoked = store.revoke(&first, &revocation()).await;
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    println!(
        "run {run}: a call on the cut-off master returned after {took:?}: {:?}",
        revoked.as_ref().map(|_| "acknowledged")
    );
    let mut acknowledged = Vec::new();
    match revoked {
        Ok(_) => acknowledged.push((asked, first)),
        Err(error) => {
            assert_eq!(error.kind(), StoreErrorKind::Unavailable);
            let why = cause(&error);
            assert!(why.contains("applied on the master, may be lost in a fail-over; repeat"), "{why}");
            assert!(why.contains("127.0.0.15:7000"), "{why}");
        }
    }
    // The master that is cut off has applied the revocation. As long as this master responds, reads
    // show the revocation.
    match store.find(&first).await {
        Ok(found) => assert!(found.unwrap().revoked.is_some()),
        Err(error) => assert_eq!(error.kind(), StoreErrorKind::Unavailable),
    }
    servers.wait_until_master(SUCCESSOR);
    println!("run {run}: the other side has elected its replica after {:?}", cut.elapsed());
    pause(1000).await;

    servers.heal();
    for follower in NEAR {
        servers.wait_until_it_follows(*follower);
    }
    let healed = Instant::now();
    pause(2000).await;
    is_over.store(true, Ordering::SeqCst);
    let (written, refusal) = writer.await.unwrap();
    let before = written.iter().filter(|(at, _)| *at < cut).count();
    let after = written.iter().filter(|(at, _)| *at > healed).count();
    println!("run {run}: {} revocations were acknowledged, {before} before, {after} afterwards", written.len());
    assert!(before > 0 && after > 0, "{before} {after} {refusal}");
    acknowledged.extend(written);

    let fresh = servers.store().await;
    for (_, key) in acknowledged {
        assert!(is_revoked(&fresh, &key).await, "an acknowledged revocation is lost");
    }
    assert!(
        !is_revoked(&fresh, &lost).await,
        "the revocation with one replica survived, so this partition shows nothing"
    );
    for key in [first, lost] {
        repeat(&store, &key).await;
        assert!(is_revoked(&fresh, &key).await);
    }
}

/// The master that is cut off returns outdated records until the node timeout has passed. The
/// documentation of the store warns of this. An election takes longer than the timeout, so the test
/// makes the second replica take over without an election.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_off_master_answers_old_reads_for_the_node_timeout() {
    if !is_in_own_network("redis::partition::a_cut_off_master_answers_old_reads_for_the_node_timeout") {
        return;
    }
    let Some(servers) = Servers::cluster_of_addresses() else { return };
    let near = servers.store().await;
    let key = insert(&near).await;
    servers.cut(NEAR, FAR);
    let cut = Instant::now();
    assert_eq!(servers.ask_node(SUCCESSOR, &["CLUSTER", "FAILOVER", "TAKEOVER"]).trim(), "OK");
    servers.wait_until_master(SUCCESSOR);
    // Only the nodes that are not cut off receive this revocation.
    let far = RedisStore::connect(FAR.iter().map(|node| servers.urls()[*node].clone())).await.unwrap();
    repeat(&far, &key).await;
    let acknowledged = cut.elapsed();
    assert!(
        near.find(&key).await.unwrap().unwrap().revoked.is_none(),
        "no outdated record was read {acknowledged:?} after the cut"
    );
    let mut last = Duration::ZERO;
    while !matches!(near.find(&key).await, Ok(Some(record)) if record.revoked.is_some()) {
        last = cut.elapsed();
        assert!(last < PATIENCE);
        if servers.ask_node(MASTER, &["CLUSTER", "INFO"]).contains("cluster_state:fail") {
            break;
        }
        pause(10).await;
    }
    println!("revoked on the other side after {acknowledged:?}, and last read as live after {last:?}");
    // After the timeout has passed, a node needs about a tenth of a second to notice this.
    assert!(last < NODE_TIMEOUT * 2, "{last:?}");
    let stopped = near.find(&key).await;
    assert!(
        stopped.map_or(true, |record| record.unwrap().revoked.is_some()),
        "the record is outdated even after the timeout"
    );
}
