//! Tests that the tool continues after `kill -9`, while a host goes on serving requests.

use std::collections::HashSet;
use std::future::Future;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use keyfob::{
    Access, Error, ErrorKind, Name, NewToken, OwnerId, Rejection, TokenKey, Tokens,
    record::RevocationReason,
    store::{DynStore, StoreMaintenance, mysql::MysqlStore},
};
use sqlx::MySqlPool;

use crate::operator::world::{Ran, World, operator, run};
use crate::support::{actor, keyring, mariadb, project, size};

/// The maximum time that the test waits for a process of the tool.
const PATIENCE: Duration = Duration::from_secs(600);
/// The number of tokens that the host revokes, renames and issues at least on each engine, before
/// the tool finishes a move.
const LEAST: usize = 5;

type Service = Tokens<DynStore>;

/// The host, and what its clients know and have seen.
struct Host {
    /// The service on the store that the host uses now.
    service: RwLock<Arc<Service>>,
    /// The texts and the keys of the tokens whose revocation was acknowledged.
    revoked: Mutex<Vec<(String, TokenKey)>>,
    /// The texts and the keys of the tokens that were issued during the moves.
    issued: Mutex<Vec<(String, TokenKey)>>,
    renamed: Mutex<Vec<(TokenKey, Name)>>,
    verified: AtomicUsize,
    /// The number of verifications that failed, or that rejected a live token.
    failed: AtomicUsize,
    /// The number of verifications that accepted a token after its revocation was acknowledged.
    revoked_accepted: AtomicUsize,
    /// The number of operations that a fence refused.
    refused: AtomicUsize,
    /// Whether the host stops its operations.
    quiet: AtomicBool,
    over: AtomicBool,
}

impl Host {
    fn new(store: DynStore) -> Self {
        Self {
            service: RwLock::new(Arc::new(Tokens::new(keyring(), store))),
            revoked: Mutex::default(),
            issued: Mutex::default(),
            renamed: Mutex::default(),
            verified: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
            revoked_accepted: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            quiet: AtomicBool::new(false),
            over: AtomicBool::new(false),
        }
    }

    fn service(&self) -> Arc<Service> {
        Arc::clone(&self.service.read().unwrap())
    }

    fn switch(&self, store: DynStore) {
        *self.service.write().unwrap() = Arc::new(Tokens::new(keyring(), store));
    }

    /// Waits until the host has revoked, issued and renamed at least [`LEAST`] more tokens.
    async fn operates(&self) {
        let before = self.done();
        while self.done().iter().zip(before).any(|(done, before)| *done < before + LEAST) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Returns the numbers of revoked, issued and renamed tokens.
    fn done(&self) -> [usize; 3] {
        let (revoked, issued) = (self.revoked.lock().unwrap(), self.issued.lock().unwrap());
        [revoked.len(), issued.len(), self.renamed.lock().unwrap().len()]
    }

    /// Verifies live and revoked tokens, one after the other.
    async fn verify(self: Arc<Self>, live: Vec<(String, TokenKey)>) {
        for turn in 0.. {
            if self.over.load(Ordering::SeqCst) {
                return;
            }
            let (text, key) = &live[turn * 7919 % live.len()];
            let outcome = self.service().verify(text, &Access::to(&key.project, &[])).await;
            self.verified.fetch_add(1, Ordering::SeqCst);
            self.failed.fetch_add(usize::from(outcome.is_err()), Ordering::SeqCst);
            let last = self.revoked.lock().unwrap().last().cloned();
            if let Some((text, key)) = last {
                match self.service().verify(&text, &Access::to(&key.project, &[])).await {
                    Ok(_) => self.revoked_accepted.fetch_add(1, Ordering::SeqCst),
                    Err(error) if error.rejection() == Some(Rejection::Revoked) => 0,
                    Err(_) => self.failed.fetch_add(1, Ordering::SeqCst),
                };
            }
            // Without a pause, this task would take the processor from the tool.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Repeats an operation until no fence refuses it.
    async fn insist<T, F>(&self, operation: impl Fn(Arc<Service>) -> F) -> T
    where
        F: Future<Output = Result<T, Error>>,
    {
        loop {
            match operation(self.service()).await {
                Ok(done) => return done,
                Err(error) if error.kind() == ErrorKind::Unavailable => self.refused.fetch_add(1, Ordering::SeqCst),
                Err(error) => panic!("{error}"),
            };
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Revokes, renames and issues tokens until the host is quiet.
    async fn operate(self: Arc<Self>, own: Vec<(String, TokenKey)>) {
        for (turn, (text, key)) in own.into_iter().enumerate() {
            if self.quiet.load(Ordering::SeqCst) {
                return;
            }
            match turn % 3 {
                0 => {
                    let reason = || RevocationReason::KeyCompromise;
                    self.insist(async |tokens: Arc<Service>| tokens.revoke(&actor(), &key, reason()).await).await;
                    self.revoked.lock().unwrap().push((text, key));
                }
                1 => {
                    let name = Name::new(&format!("renamed {turn}")).unwrap();
                    self.insist(async |tokens: Arc<Service>| tokens.rename(&actor(), &key, name.clone()).await).await;
                    self.renamed.lock().unwrap().push((key, name));
                }
                _ => {
                    let new = || NewToken::new(project("p3"), OwnerId::new("eve").unwrap(), Name::new("new").unwrap());
                    let issued = self.insist(async |tokens: Arc<Service>| tokens.issue(&actor(), new()).await).await;
                    let text = issued.token.expose_secret().to_owned();
                    self.issued.lock().unwrap().push((text, issued.record.key()));
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the host ran out of tokens");
    }
}

/// The move from one engine to the next.
struct Leg {
    from: String,
    to: String,
}

impl Leg {
    /// Starts a process of the tool, waits until `is_so` holds, and kills the process. Asserts that
    /// the process was still running.
    async fn kill_when(&self, command: &str, is_so: impl AsyncFn() -> bool) {
        let mut process = operator(&[command, "env:FROM", "env:TO"], &self.from, &self.to)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while !is_so().await {
            assert!(process.try_wait().unwrap().is_none(), "{command} ended before it was killed");
            assert!(began.elapsed() < PATIENCE, "{command} got nowhere");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        process.kill().unwrap();
        assert_eq!(process.wait().unwrap().signal(), Some(9), "{command} ended before it was killed");
    }

    /// Runs a command of the tool to its end, without blocking the tasks of the host.
    async fn run(&self, command: &'static str) -> Ran {
        let (from, to) = (self.from.clone(), self.to.clone());
        let ran = tokio::task::spawn_blocking(move || run(&[command, "env:FROM", "env:TO"], &from, &to));
        ran.await.unwrap()
    }

    async fn complete(&self, command: &'static str) -> String {
        let began = Instant::now();
        let ran = self.run(command).await;
        assert_eq!(ran.code, Some(0), "{command}: {ran:?}");
        println!("{command} took {:.1} s: {}", began.elapsed().as_secs_f64(), ran.out);
        ran.out
    }

    /// Copies the rest of the tokens, and lets the host use the next store.
    async fn finish(&self, host: &Host, next: DynStore) {
        let finished = self.complete("finish").await;
        assert!(finished.contains("both stores are equal"), "{finished}");
        let sums: Vec<&str> = finished.lines().filter_map(|line| Some(line.split_once("): ")?.1)).collect();
        assert!(sums.len() == 2 && sums[0] == sums[1], "{finished}");
        host.switch(next);
        self.complete("open").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_tool_moves_tokens_over_two_engines_while_a_host_serves() {
    let tokens = if size::is_full() { 1_000_000 } else { 20_000 };
    let Some(server) = mariadb::shared() else { return };
    let Some(world) = World::of(tokens).await else { return };
    let third = server.database();
    let mysql = MySqlPool::connect(&third).await.unwrap();
    let host = Arc::new(Host::new(DynStore::with_imports(world.store.clone())));
    // The first tokens are for operations. The others stay live.
    let (own, live) = world.texts.split_at(tokens / 2);
    let verifying = tokio::spawn(Arc::clone(&host).verify(live.to_vec()));
    let operating = tokio::spawn(Arc::clone(&host).operate(own.to_vec()));

    // The tool is killed in the middle of the first copy.
    let first = Leg { from: world.file().to_str().unwrap().to_owned(), to: third.clone() };
    let copied = async || {
        let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM keyfob_tokens").fetch_one(&mysql).await;
        count.is_ok_and(|count| count as usize > tokens / 5)
    };
    first.kill_when("copy", copied).await;
    host.operates().await;
    first.finish(&host, DynStore::with_imports(MysqlStore::connect(&third).await.unwrap())).await;

    // The tool is killed after it has begun to fence MariaDB.
    let second = Leg { from: third, to: world.url.clone() };
    host.operates().await;
    let fenced = async || {
        let triggers = "SELECT count(*) FROM information_schema.triggers WHERE trigger_schema = database()";
        sqlx::query_scalar::<_, i64>(triggers).fetch_one(&mysql).await.unwrap() > 0
    };
    second.kill_when("finish", fenced).await;
    let early = second.run("open").await;
    assert_eq!(early.code, Some(1), "{early:?}");
    assert!(early.err.contains("the move is not finished (run finish)"), "{early:?}");
    second.finish(&host, DynStore::with_imports(world.postgres().await)).await;
    host.operates().await;
    host.quiet.store(true, Ordering::SeqCst);
    operating.await.unwrap();
    host.over.store(true, Ordering::SeqCst);
    verifying.await.unwrap();

    let [verified, refused] = [&host.verified, &host.refused].map(|count| count.load(Ordering::SeqCst));
    println!("{verified} verifications, {:?} operations, {refused} refused by a fence", host.done());
    assert!(verified > LEAST && refused > 0);
    assert_eq!(host.failed.load(Ordering::SeqCst), 0);
    assert_eq!(host.revoked_accepted.load(Ordering::SeqCst), 0);

    // The host is now on PostgreSQL.
    let new = host.service();
    let (revoked, issued) = (host.revoked.lock().unwrap().clone(), host.issued.lock().unwrap().clone());
    for (text, key) in &revoked {
        let outcome = new.verify(text, &Access::to(&key.project, &[])).await;
        assert_eq!(outcome.unwrap_err().rejection(), Some(Rejection::Revoked));
    }
    let ended: HashSet<TokenKey> = revoked.iter().map(|(_, key)| *key).collect();
    let all = world.texts.iter().filter(|(_, key)| !ended.contains(key)).step_by(7);
    for (text, key) in all.chain(&issued) {
        new.verify(text, &Access::to(&key.project, &[])).await.unwrap();
    }
    let renamed = host.renamed.lock().unwrap().clone();
    for (key, name) in &renamed {
        assert_eq!(new.get(key).await.unwrap().unwrap().name, *name);
    }
    let projects = new.store().projects(&Default::default()).await.unwrap();
    assert_eq!(projects.len(), 7);
}
