//! Tests that the tool continues after `kill -9`, while a host goes on serving requests.

use std::collections::HashSet;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use keyfob::{
    Access, Name, NewToken, OwnerId, Rejection, TokenKey, TokenStore, Tokens,
    record::RevocationReason,
    store::{StoreMaintenance, sqlite::SqliteStore},
};
use tokio::sync::Mutex;

use crate::operator::world::{World, operator, run};
use crate::support::{actor, keyring, project, size};

/// The maximum time that the test waits for a process of the tool.
const PATIENCE: Duration = Duration::from_secs(300);
/// The number of tokens that the host revokes, renames and issues at least.
const LEAST: usize = 30;

/// What the clients of the host know and have seen.
#[derive(Default)]
struct Seen {
    /// The texts and the keys of the tokens whose revocation was acknowledged.
    revoked: Mutex<Vec<(String, TokenKey)>>,
    /// The texts and the keys of the tokens that were issued during the copy.
    issued: Mutex<Vec<(String, TokenKey)>>,
    renamed: Mutex<Vec<(TokenKey, Name)>>,
    verified: AtomicUsize,
    /// The number of verifications that failed, or that rejected a live token.
    failed: AtomicUsize,
    /// The number of verifications that accepted a token after its revocation was acknowledged.
    revoked_accepted: AtomicUsize,
    /// Whether the host stops its operations.
    quiet: AtomicBool,
    over: AtomicBool,
}

/// Verifies live and revoked tokens without a pause.
async fn verify<S: TokenStore>(host: Arc<Tokens<S>>, live: Vec<(String, TokenKey)>, seen: Arc<Seen>) {
    for turn in 0.. {
        if seen.over.load(Ordering::SeqCst) {
            return;
        }
        let (text, key) = &live[turn * 7919 % live.len()];
        let outcome = host.verify(text, &Access::to(&key.project, &[])).await;
        seen.verified.fetch_add(1, Ordering::SeqCst);
        seen.failed.fetch_add(usize::from(outcome.is_err()), Ordering::SeqCst);
        let last = seen.revoked.lock().await.last().cloned();
        if let Some((text, key)) = last {
            match host.verify(&text, &Access::to(&key.project, &[])).await {
                Ok(_) => seen.revoked_accepted.fetch_add(1, Ordering::SeqCst),
                Err(error) if error.rejection() == Some(Rejection::Revoked) => 0,
                Err(_) => seen.failed.fetch_add(1, Ordering::SeqCst),
            };
        }
        tokio::task::yield_now().await;
    }
}

/// Revokes, renames and issues tokens until the host is quiet.
async fn operate(host: Arc<Tokens<SqliteStore>>, own: Vec<(String, TokenKey)>, seen: Arc<Seen>) {
    for (turn, (text, key)) in own.into_iter().enumerate() {
        if seen.quiet.load(Ordering::SeqCst) {
            return;
        }
        match turn % 3 {
            0 => {
                host.revoke(&actor(), &key, RevocationReason::KeyCompromise).await.unwrap();
                seen.revoked.lock().await.push((text, key));
            }
            1 => {
                let name = Name::new(&format!("renamed {turn}")).unwrap();
                host.rename(&actor(), &key, name.clone()).await.unwrap();
                seen.renamed.lock().await.push((key, name));
            }
            _ => {
                let new = NewToken::new(project("p3"), OwnerId::new("eve").unwrap(), Name::new("new").unwrap());
                let issued = host.issue(&actor(), new).await.unwrap();
                let text = issued.token.expose_secret().to_owned();
                seen.issued.lock().await.push((text, issued.record.key()));
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the host ran out of tokens");
}

/// Starts a process of the tool, waits until `is_so` holds, and kills the process. Asserts that the
/// process was still running.
async fn kill_when<F: Future<Output = bool>>(world: &World, command: &str, is_so: impl Fn() -> F) {
    let file = world.file();
    let mut process = operator(&[command, "env:FROM", "env:TO"], file.to_str().unwrap(), &world.url)
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
async fn complete(world: &World, command: &'static str) -> String {
    let (file, url) = (world.file(), world.url.clone());
    let ran = tokio::task::spawn_blocking(move || run(&[command, "env:FROM", "env:TO"], file.to_str().unwrap(), &url));
    let ran = ran.await.unwrap();
    assert_eq!(ran.code, Some(0), "{command}: {ran:?}");
    println!("{command}: {}", ran.out);
    ran.out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_tool_continues_while_a_host_serves() {
    let tokens = if size::is_full() { 200_000 } else { 20_000 };
    let Some(world) = World::of(tokens).await else { return };
    let host = Arc::new(Tokens::new(keyring(), world.store.clone()));
    let seen = Arc::new(Seen::default());
    // The first tokens are for operations. The others stay live.
    let (own, live) = world.texts.split_at(tokens / 2);
    let verifying = tokio::spawn(verify(Arc::clone(&host), live.to_vec(), Arc::clone(&seen)));
    let operating = tokio::spawn(operate(Arc::clone(&host), own.to_vec(), Arc::clone(&seen)));

    let postgres = sqlx::PgPool::connect(&world.url).await.unwrap();
    let copied = |share: usize| {
        let postgres = postgres.clone();
        async move {
            let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM keyfob_tokens").fetch_one(&postgres).await;
            count.is_ok_and(|count| count as usize > tokens * share / 10)
        }
    };
    kill_when(&world, "copy", || copied(2)).await;
    kill_when(&world, "copy", || copied(5)).await;
    complete(&world, "copy").await;
    while [seen.revoked.lock().await.len(), seen.issued.lock().await.len(), seen.renamed.lock().await.len()]
        .iter()
        .any(|done| *done < LEAST)
    {
        assert!(!operating.is_finished());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let again = complete(&world, "copy").await;
    assert!(!again.contains(" 0 written"), "the host changed tokens, so the copy writes some: {again}");
    seen.quiet.store(true, Ordering::SeqCst);
    operating.await.unwrap();

    // The tool is killed after it has fenced the file, and before it has recorded that both stores
    // are equal.
    let sqlite = world.store.pool().clone();
    let fenced = || {
        let sqlite = sqlite.clone();
        async move {
            let triggers = "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'";
            sqlx::query_scalar::<_, i64>(triggers).fetch_one(&sqlite).await.unwrap() > 0
        }
    };
    kill_when(&world, "finish", fenced).await;
    let (from, to) = (world.file(), world.url.clone());
    let early = tokio::task::spawn_blocking(move || run(&["open", "env:FROM", "env:TO"], from.to_str().unwrap(), &to));
    let early = early.await.unwrap();
    assert_eq!(early.code, Some(1), "{early:?}");
    assert!(early.err.contains("the move is not finished (run finish)"), "{early:?}");
    complete(&world, "finish").await;
    assert!(complete(&world, "verify").await.contains("equal, in 7 projects"));
    complete(&world, "open").await;
    seen.over.store(true, Ordering::SeqCst);
    verifying.await.unwrap();

    let verified = seen.verified.load(Ordering::SeqCst);
    println!("{verified} verifications");
    assert!(verified > LEAST);
    assert_eq!(seen.failed.load(Ordering::SeqCst), 0);
    assert_eq!(seen.revoked_accepted.load(Ordering::SeqCst), 0);

    // The new host, on PostgreSQL.
    let new = Tokens::new(keyring(), world.postgres().await);
    let revoked = seen.revoked.lock().await;
    for (text, key) in revoked.iter() {
        let outcome = new.verify(text, &Access::to(&key.project, &[])).await;
        assert_eq!(outcome.unwrap_err().rejection(), Some(Rejection::Revoked));
    }
    let ended: HashSet<TokenKey> = revoked.iter().map(|(_, key)| *key).collect();
    let all = world.texts.iter().filter(|(_, key)| !ended.contains(key)).step_by(7);
    for (text, key) in all.chain(seen.issued.lock().await.iter()) {
        new.verify(text, &Access::to(&key.project, &[])).await.unwrap();
    }
    for (key, name) in seen.renamed.lock().await.iter() {
        assert_eq!(new.get(key).await.unwrap().unwrap().name, *name);
    }
    let projects = new.store().projects(&Default::default()).await.unwrap();
    assert_eq!(projects.len(), 7);
}
