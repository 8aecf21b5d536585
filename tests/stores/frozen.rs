//! Checks that no call waits for an engine that does not reply, beyond the documented limit of 5
//! seconds, and that nothing acknowledged is lost. Each engine stops for 15 seconds under load.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyfob::record::{Revocation, RevocationReason};
use keyfob::store::{CountQuery, LastUse, ListQuery, StoreError, StoreErrorKind};
use keyfob::{Name, NewToken, OwnerId, Policy, TokenKey, TokenStore, mint};
use tokio::time::{sleep, timeout};

use crate::support::{actor, changed, keyring, now, project};

/// How long the engine does not reply.
const FROZEN: Duration = Duration::from_secs(15);
/// The time after which a call fails the test. It is longer than the documented limit, because a
/// busy machine is slow, and because some calls have two parts with a limit each. It is shorter
/// than the time that a call would take if it waited for the engine.
const MOST: Duration = Duration::from_secs(12);
/// The number of tasks that call the store at the same time.
const TASKS: usize = 12;

/// The last acknowledged state of a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Inserted,
    Revoked,
    RotatedTo(TokenKey),
}

/// What the calls of the load had for results.
#[derive(Default)]
struct Load {
    acknowledged: Mutex<BTreeMap<TokenKey, State>>,
    succeeded: AtomicUsize,
    failed: AtomicUsize,
    is_over: AtomicBool,
}

impl Load {
    /// Waits for a call, and returns its result if the store acknowledged it.
    async fn call<T>(&self, what: &str, call: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
        let result = timeout(MOST, call).await;
        match result.unwrap_or_else(|_| panic!("{what} has not ended after {MOST:?}")) {
            Ok(value) => {
                self.succeeded.fetch_add(1, SeqCst);
                Some(value)
            }
            Err(error) => {
                assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{what}: {error:?}");
                self.failed.fetch_add(1, SeqCst);
                None
            }
        }
    }

    fn acknowledge(&self, key: TokenKey, state: State) {
        self.acknowledged.lock().unwrap().insert(key, state);
    }

    /// Calls the store until the load is over. Every project has three tasks.
    async fn run<S: TokenStore>(&self, store: &S, task: usize) {
        let project = project(&format!("frozen{}", task / 3));
        let minted = || {
            let token = NewToken::new(project, OwnerId::new("ada").unwrap(), Name::new("CI").unwrap());
            mint(&keyring(), &Policy::default(), token, &actor(), now()).unwrap().record
        };
        let revocation = Revocation { at: now(), by: actor(), reason: RevocationReason::Unspecified };
        while !self.is_over.load(SeqCst) {
            let record = minted();
            let key = record.key();
            if self.call("insert", store.insert(record.clone(), None, None)).await.is_some() {
                self.acknowledge(key, State::Inserted);
            }
            let touches = [LastUse { key, used_at: now(), from: None }];
            self.call("touch_many", store.touch_many(&touches)).await;
            let Some(found) = self.call("find", store.find(&key)).await.flatten() else { continue };
            let next = changed(minted(), |next| (next.family, next.rotated_from) = (found.family, Some(found.id)));
            let to = next.key();
            // A call that failed may have rotated the token. Then its last state is unknown.
            self.acknowledged.lock().unwrap().remove(&key);
            if self.call("rotate", store.rotate(&key, found.version, next, now(), None)).await.is_some() {
                self.acknowledge(key, State::RotatedTo(to));
                if self.call("revoke", store.revoke(&to, &revocation)).await.is_some() {
                    self.acknowledge(to, State::Revoked);
                }
            }
            self.call("list", store.list(&ListQuery::new(project))).await;
            self.call("count", store.count(&CountQuery::new(project))).await;
            self.call("find_recent_chain", store.find_recent_chain(&key)).await;
            self.call("revoke_family", store.revoke_family(&project, &to.id, &revocation)).await;
        }
    }

    /// Waits until this many further calls have succeeded.
    async fn proceeds(&self, calls: usize) {
        let goal = self.succeeded.load(SeqCst) + calls;
        let proceeds = async {
            while self.succeeded.load(SeqCst) < goal {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(60), proceeds).await.expect("calls succeed while the engine replies");
    }

    async fn check<S: TokenStore>(&self, store: &S) {
        let acknowledged = self.acknowledged.lock().unwrap().clone();
        assert!(acknowledged.len() > TASKS, "{} acknowledged", acknowledged.len());
        for (key, state) in acknowledged {
            let record = store.find(&key).await.unwrap().unwrap_or_else(|| panic!("{key:?} is lost"));
            let is = match (&record.revoked, record.rotated_to) {
                (Some(_), _) => State::Revoked,
                (None, Some(id)) => State::RotatedTo(TokenKey { id, ..key }),
                (None, None) => State::Inserted,
            };
            assert_eq!(is, state, "{key:?}");
        }
    }
}

/// Runs the load on a store, and stops the engine meanwhile.
async fn survives<S>(store: S, mut freeze: impl AsyncFnMut(bool))
where
    S: TokenStore + Clone + 'static,
{
    let load = Arc::new(Load::default());
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (load, store) = (Arc::clone(&load), store.clone());
            tokio::spawn(async move { load.run(&store, task).await })
        })
        .collect();
    load.proceeds(200).await;
    freeze(true).await;
    sleep(FROZEN).await;
    let failed = load.failed.load(SeqCst);
    freeze(false).await;
    assert!(failed >= TASKS, "only {failed} calls failed while the engine did not reply");
    load.proceeds(200).await;
    load.is_over.store(true, SeqCst);
    for task in tasks {
        task.await.unwrap();
    }
    load.check(&store).await;
    println!("{} calls succeeded, {failed} failed", load.succeeded.load(SeqCst));
}

#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    let Some(server) = crate::support::postgres::Server::start() else { return };
    let store = server.store().await;
    survives(store, async |is_frozen| if is_frozen { server.suspend() } else { server.resume() }).await;
}

#[cfg(feature = "mysql")]
#[tokio::test(flavor = "multi_thread")]
async fn mysql() {
    let Some(server) = crate::support::mariadb::Server::start() else { return };
    let store = server.store().await;
    survives(store, async |is_frozen| if is_frozen { server.suspend() } else { server.resume() }).await;
}

#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread")]
async fn redis() {
    let Some(server) = crate::support::redis::Servers::one() else { return };
    let store = server.store().await;
    survives(store, async |is_frozen| if is_frozen { server.suspend(0) } else { server.resume(0) }).await;
}

/// SQLite has no server. Here another process has the lock on the file, and does not proceed.
#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens.db");
    let store = keyfob::store::sqlite::SqliteStore::open(&file).await.unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&file);
    let mut other = sqlx::ConnectOptions::connect(&options).await.unwrap();
    survives(store, async |is_frozen| {
        // The lock must be free for a moment while the load runs.
        let statement = if is_frozen { "PRAGMA busy_timeout = 60000; BEGIN IMMEDIATE" } else { "ROLLBACK" };
        sqlx::raw_sql(statement).execute(&mut other).await.unwrap();
    })
    .await;
}
