//! The laws of a store on etcd. Starts a private etcd on free loopback ports, and stops it.
#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::net::TcpListener;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use etcd_port::EtcdStore;
use keyfob::import::{ImportKey, ImportRow, ImportRowOutcome, ImportStore};
use keyfob::record::{Digest, Metadata, Revocation, RevocationReason};
use keyfob::store::{BasicStore, Layered, StoreErrorKind};
use keyfob::{Actor, Name, OwnerId, ProjectId, ScopeSet, Timestamp, TokenKey, TokenRecord, TokenStore, conformance};
use tempfile::TempDir;

/// The deadline of a call in these tests. Three laws insert more than 1,000 tokens into one
/// project, many at the same time, and a busy machine then needs more than the 5 seconds of a
/// service.
const DEADLINE: Duration = Duration::from_secs(60);

struct Etcd {
    process: Child,
    url: String,
    _folder: TempDir,
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Etcd {
    /// Starts etcd and waits until it serves. Returns `None` if it is not installed, or panics if
    /// `CI` is `true`.
    async fn start() -> Option<Self> {
        let Ok(version) = Command::new("etcd").arg("--version").output() else {
            test_summary::missing("etcd is not installed");
            return None;
        };
        let version = String::from_utf8_lossy(&version.stdout).lines().next().unwrap_or_default().to_owned();
        test_summary::engine(&version.replace(" Version:", ""));
        let folder = tempfile::tempdir().unwrap();
        let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [url, peer] = [0, 1].map(|at: usize| format!("http://{}", ports[at].local_addr().unwrap()));
        drop(ports);
        let log = File::create(folder.path().join("log")).unwrap();
        let mut etcd = Command::new("etcd");
        etcd.arg("--data-dir").arg(folder.path().join("data"));
        etcd.args(["--listen-client-urls", &url, "--advertise-client-urls", &url]);
        etcd.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        etcd.args(["--initial-cluster", &format!("default={peer}")]);
        let process = etcd.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let etcd = Self { process, url, _folder: folder };
        let key = TokenKey { project: "1".parse().unwrap(), id: "1CkYr7JQzzpHpo1P".parse().unwrap() };
        let store = EtcdStore::new(&etcd.url, "start/").unwrap();
        let began = Instant::now();
        while let Err(error) = store.get(&key).await {
            assert!(began.elapsed() < DEADLINE, "{error:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Some(etcd)
    }

    fn store(&self, root: &str) -> Layered<EtcdStore> {
        Layered::new(EtcdStore::new(&self.url, root).unwrap().with_deadline(DEADLINE))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_law_is_kept() {
    let Some(etcd) = Etcd::start().await else { return };
    let store = etcd.store("kit/");
    conformance::token_store(&store).await.assert();
    conformance::maintenance(&store).await.assert();
    conformance::import(&store).await.assert();
    conformance::rules(&store).await.assert();
    let other = etcd.store("kit/");
    conformance::shared(&store, &other).await.assert();
    conformance::shared_maintenance(&store, &other).await.assert();
    conformance::shared_import(&store, &other).await.assert();
}

#[tokio::test]
async fn a_server_that_does_not_reply_is_unavailable() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let store = EtcdStore::new(&format!("http://{}", silent.local_addr().unwrap()), "kit/").unwrap();
    let error = store.scan(&ProjectId::new("1").unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}

/// A transaction with as many of the largest records as keyfob writes in one commit stays below the
/// default limit of etcd.
#[tokio::test(flavor = "multi_thread")]
async fn many_of_the_largest_records_fit() {
    let Some(etcd) = Etcd::start().await else { return };
    let store = etcd.store("large/");
    let project = ProjectId::new("145").unwrap();
    let long = "\u{10348}".repeat(255);
    let owner = OwnerId::new(&long).unwrap();
    let scopes: Vec<_> = (100..356).map(|number| format!("{number}{}", "s".repeat(60))).collect();
    let row = |number: u8| {
        let key = TokenKey { project, id: format!("1CkYr7JQzzpHp{number:03}").parse().unwrap() };
        let (digest, name) = (Digest::from_bytes([number; 32]), Name::new(&long).unwrap());
        let prefix = "acme_pat".parse().unwrap();
        let mut record = TokenRecord::new(key, prefix, digest, owner.clone(), name, Timestamp::UNIX_EPOCH);
        record.metadata = Metadata::new(&"\u{1}".repeat(Metadata::MAX_BYTES)).unwrap();
        record.scopes = ScopeSet::new(&scopes.join(" ")).unwrap();
        ImportRow::new(record, ImportKey::from_bytes([number; 32]))
    };
    let outcomes = store.import((0..60).map(row).collect()).await.unwrap();
    assert_eq!(outcomes, [ImportRowOutcome::Inserted; 60]);
    let (at, by) = (Timestamp::UNIX_EPOCH, Actor::new(&long).unwrap());
    let revocation = Revocation { at, by, reason: RevocationReason::KeyCompromise };
    assert_eq!(store.revoke_owner(&project, &owner, &revocation).await.unwrap(), 60);
}
