//! Moves the tokens of the service from its SQLite file into PostgreSQL, while the service runs.
//!
//! The test runs the code of the example `operator`. A load balancer forwards the requests
//! to the service. The test checks three properties:
//!
//! - No request with a live token is rejected or lost.
//! - A revoked token is rejected as soon as its revocation is acknowledged.
//! - The effects of all acknowledged operations are still there after the move.

#[allow(dead_code, unreachable_pub)]
#[path = "../../../operator/tool/mod.rs"]
pub(super) mod tool;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tool::{address::Address, moving::Move, progress::Progress};

use crate::notes::Notes;
use crate::postgres;
use crate::support::process::{Process, Visitor, command, json, whoami};
use crate::support::{TOKENS, tempdir};

/// The number of responses of each kind that the test waits for in each phase of the move. The
/// kinds are: accepted tokens, rejected tokens, and operations.
const MORE: usize = 5;
/// The time between two operations, between two attempts to send a request, or between two checks
/// of the progress.
const PAUSE: Duration = Duration::from_millis(10);
/// The maximum time that the test waits in each phase until the tasks have received enough
/// responses.
const PATIENCE: Duration = Duration::from_secs(120);

/// A load balancer that forwards all new connections to one process.
struct Balancer {
    /// The URL at which the balancer listens.
    url: String,
    /// The address of the process that gets the new connections.
    to: Arc<Mutex<SocketAddr>>,
}

/// Returns the address of a process.
fn place(process: &Process) -> SocketAddr {
    process.address().strip_prefix("http://").unwrap().parse().unwrap()
}

impl Balancer {
    /// Starts a balancer that forwards connections to this process.
    async fn before(process: &Process) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let to = Arc::new(Mutex::new(place(process)));
        let leads = Arc::clone(&to);
        tokio::spawn(async move {
            loop {
                let (mut from, _) = listener.accept().await.unwrap();
                let to = *leads.lock().unwrap();
                tokio::spawn(async move {
                    if let Ok(mut to) = TcpStream::connect(to).await {
                        let _ = copy_bidirectional(&mut from, &mut to).await;
                    }
                });
            }
        });
        Self { url, to }
    }

    /// Makes the balancer forward new connections to this process.
    fn switch(&self, process: &Process) {
        *self.to.lock().unwrap() = place(process);
    }
}

/// The state of a token, as far as the test knows it.
struct Token {
    text: String,
    /// Whether a task has requested the revocation of the token.
    asked: bool,
    /// Whether the service has acknowledged the revocation of the token.
    ended: bool,
}

/// The numbers of responses that the tasks have received since the phase began.
#[derive(Debug, Default)]
struct Seen {
    /// The number of accepted tokens.
    accepted: AtomicUsize,
    /// The number of rejected tokens.
    refused: AtomicUsize,
    /// The number of acknowledged operations.
    done: AtomicUsize,
    /// The number of operations that got 503.
    unavailable: AtomicUsize,
}

/// The state that the tasks of the test share.
struct World {
    /// The URL of the balancer.
    url: String,
    visitor: Visitor,
    tokens: Mutex<Vec<Token>>,
    /// The numbers of responses in the current phase.
    seen: Mutex<Arc<Seen>>,
    /// The descriptions of all faults so far.
    faults: Mutex<Vec<String>>,
    /// Whether the tasks must end.
    over: AtomicBool,
    /// For each task, a note that says what the task is doing. The test prints the notes if it
    /// fails.
    notes: Notes,
}

/// A guard that records a fault if its task panics. Without the guard, the test would notice the
/// panic only at the end of the test.
struct Panicking<'w>(&'w World);

impl Drop for Panicking<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fault("a task panicked".into());
        }
    }
}

impl World {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn seen(&self) -> Arc<Seen> {
        Arc::clone(&self.seen.lock().unwrap())
    }

    fn fault(&self, what: String) {
        self.faults.lock().unwrap().push(what);
    }

    /// Begins a phase, and waits until the tasks have received enough responses of three kinds in
    /// this phase. [`MORE`] responses accept a token, and [`MORE`] responses reject a token. The
    /// closure `acts` returns the counter of the third kind, which must also reach [`MORE`].
    async fn watch(&self, acts: impl Fn(&Seen) -> &AtomicUsize) {
        let seen = Arc::new(Seen::default());
        *self.seen.lock().unwrap() = Arc::clone(&seen);
        let enough = |count: &AtomicUsize| count.load(Ordering::SeqCst) >= MORE;
        let began = Instant::now();
        while !(enough(acts(&seen)) && enough(&seen.accepted) && enough(&seen.refused)) {
            let faults = self.faults.lock().unwrap().clone();
            assert!(faults.is_empty(), "{faults:#?}\n{}", self.notes);
            assert!(began.elapsed() < PATIENCE, "did not see {MORE} of each: {seen:?}\n{}", self.notes);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Sends a request, and repeats it while the response is 503. Returns the JSON of the response
    /// if it has the expected status. Otherwise records a fault and returns `None`.
    async fn insist(&self, task: &str, expected: u16, request: RequestBuilder) -> Option<Value> {
        while !self.is_over() {
            self.notes.set(task, format!("repeats a request until it is answered {expected}"));
            let answer = self.visitor.of(request.try_clone().unwrap()).send().await.unwrap();
            match answer.status().as_u16() {
                503 => {
                    self.seen().unavailable.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(PAUSE).await;
                }
                status if status == expected => {
                    self.seen().done.fetch_add(1, Ordering::SeqCst);
                    return Some(if status == 204 { Value::Null } else { json(answer).await.unwrap() });
                }
                status => {
                    self.fault(format!("an operation: {status}"));
                    return None;
                }
            }
        }
        None
    }

    /// Creates tokens and revokes every second token, until the test is over.
    async fn act(&self, task: &str) {
        let _panicking = Panicking(self);
        let url = format!("{}{TOKENS}", self.url);
        for turn in 0.. {
            let make =
                self.visitor.client.post(&url).header("content-type", "application/json").body(r#"{"name": "n"}"#);
            let Some(made) = self.insist(task, 200, make).await else { return };
            let number = {
                let mut tokens = self.tokens.lock().unwrap();
                let text = made["token"].as_str().unwrap().to_owned();
                tokens.push(Token { text, asked: false, ended: false });
                tokens.len() - 1
            };
            if turn % 2 == 0 {
                self.tokens.lock().unwrap()[number].asked = true;
                let id = made["uuid"].as_str().unwrap();
                let delete = self.visitor.client.delete(format!("{url}{id}"));
                if self.insist(task, 204, delete).await.is_none() {
                    return;
                }
                self.tokens.lock().unwrap()[number].ended = true;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Presents a token, and checks the status of the response. The service may accept the token
    /// unless its revocation was acknowledged before the request. The service may reject the token
    /// only if its revocation was requested before the response.
    async fn try_token(&self, client: &Client, number: usize) {
        let (text, ended) = {
            let token = &self.tokens.lock().unwrap()[number];
            (token.text.clone(), token.ended)
        };
        let status = whoami(client, &self.url, &text).await;
        let asked = self.tokens.lock().unwrap()[number].asked;
        let seen = self.seen();
        match status {
            Ok(200) if !ended => seen.accepted.fetch_add(1, Ordering::SeqCst),
            Ok(401) if asked => seen.refused.fetch_add(1, Ordering::SeqCst),
            status => {
                self.fault(format!("token {number}, ended {ended}: {status:?}"));
                0
            }
        };
    }

    /// Presents the latest tokens again and again, until the test is over.
    async fn try_all(&self, task: &str) {
        let _panicking = Panicking(self);
        const LATEST: usize = 20;
        let client = client();
        while !self.is_over() {
            let count = self.tokens.lock().unwrap().len();
            for number in count.saturating_sub(LATEST)..count {
                self.notes.set(task, format!("presents token {number}"));
                self.try_token(&client, number).await;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Returns a client that opens a new connection for each request. So no connection to the old
/// process stays open when the process has to end.
fn client() -> Client {
    Client::builder().pool_max_idle_per_host(0).redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_moves_without_rejecting_a_live_token() {
    let Some(server) = postgres::Server::start() else { return };
    let (url, dir) = (server.database(), tempdir());
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("config.json"), r#"{"policy": {"most_live_per_owner": 100000}}"#).unwrap();
    let mut old = Process::start(&mut command(&data), 2);
    let balancer = Balancer::before(&old).await;
    let visitor = Visitor { client: client(), ..Visitor::sign_in(&balancer.url, old.first()).await };
    let world = Arc::new(World {
        url: balancer.url.clone(),
        visitor,
        tokens: Mutex::default(),
        seen: Mutex::default(),
        faults: Mutex::default(),
        over: AtomicBool::new(false),
        notes: Notes::default(),
    });
    let mut tasks = Vec::new();
    for number in 0..2 {
        let (acting, trying) = (Arc::clone(&world), Arc::clone(&world));
        tasks.push(tokio::spawn(async move { acting.act(&format!("actor {number}")).await }));
        tasks.push(tokio::spawn(async move { trying.try_all(&format!("verifier {number}")).await }));
    }

    world.watch(|seen| &seen.done).await;
    let (from, to) = (Address::Sqlite(data.join("personal-tokens.db")), Address::parse(&url).unwrap());
    let mut moving = Move::between(&from, &to, Progress::silent()).await.unwrap();
    moving.copy().await.unwrap();
    world.watch(|seen| &seen.done).await;
    assert!(moving.copy().await.unwrap().written > 0);
    world.watch(|seen| &seen.done).await;

    moving.fence().await.unwrap();
    world.watch(|seen| &seen.unavailable).await;
    let finished = moving.finish().await.unwrap();
    assert!(finished.compared.is_equal() && finished.copied.written > 0);
    println!("after the fence: {}\n{}", finished.copied, finished.compared);

    let new = Process::start(command(&data).env("DATABASE_URL", &url), 1);
    balancer.switch(&new);
    world.watch(|seen| &seen.unavailable).await;
    old.terminate();
    old.ended();
    moving.open().await.unwrap();
    world.watch(|seen| &seen.done).await;
    world.over.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }

    // The test presents all tokens once more.
    let count = world.tokens.lock().unwrap().len();
    let ended = world.tokens.lock().unwrap().iter().filter(|token| token.ended).count();
    let client = client();
    for number in 0..count {
        world.try_token(&client, number).await;
    }
    let faults = world.faults.lock().unwrap();
    assert!(faults.is_empty(), "{faults:#?}");
    println!("{count} tokens, {ended} of them ended");
}
