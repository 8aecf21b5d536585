//! Two processes of the service under load on one database.
//!
//! The load checks that no acknowledged operation is lost. It also checks how long an ended token
//! is still accepted. A token ends if it is revoked or rotated. After the operation is
//! acknowledged, a process may accept the token only for the time of the cache's staleness bound.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::notes::Notes;
use crate::support::TOKENS;
use crate::support::process::{Visitor, json, whoami};

/// The staleness bound of the cache. If PostgreSQL took longer than this to respond, the request
/// would fail. The bound is so long that this does not happen under load on a busy machine.
pub(super) const BOUND: Duration = Duration::from_secs(2);
/// The [`BOUND`] as the text of the option `--cache`.
pub(super) const CACHE: &str = "2s";

/// The minimum number of operations that each process acknowledges before the test kills a process.
/// After the restart, each process acknowledges the same number again.
const ACTS: usize = 6;
/// The pause before the next attempt in a loop: after a request to a process that does not run, and
/// after a check of how many operations the processes have acknowledged.
const PAUSE: Duration = Duration::from_millis(10);
/// The maximum time that the test waits until the processes have acknowledged [`ACTS`] operations,
/// or until a process accepts or rejects a token.
const PATIENCE: Duration = Duration::from_secs(120);

/// The state of a token, as far as the test knows it. A token ends if the test revokes or rotates
/// it.
struct Token {
    text: String,
    /// Whether the test ends the token by rotation.
    is_rotated: bool,
    /// The time at which the test requested the revocation or rotation of the token. After this
    /// time, a process may reject the token.
    asked: Option<Instant>,
    /// The time at which a process acknowledged the revocation or rotation of the token, or `None`
    /// before that. If a request begins more than [`BOUND`] after this time, both processes must
    /// reject the token.
    ended: Option<Instant>,
}

/// What the test does to the processes.
#[derive(Clone, Copy, Default)]
pub(super) struct Allowed {
    /// Whether a process may answer with a server error, because the test takes its database away.
    pub(super) errors: bool,
    /// The largest difference of two clocks. A rotation ends the old token at a time by the clock
    /// of the process that rotates it. A revocation ends a token by no clock.
    pub(super) clocks: Duration,
}

/// The state that the tasks of the test share.
pub(super) struct World {
    /// The addresses of the two processes.
    pub(super) addresses: [Mutex<String>; 2],
    visitor: Visitor,
    allowed: Allowed,
    tokens: Mutex<Vec<Token>>,
    /// For each process, the number of operations that it has acknowledged.
    acts: [AtomicUsize; 2],
    /// For each process, whether the test has cut it off from its database. It would answer late.
    pub(super) is_cut: [AtomicBool; 2],
    /// The number of times that a process accepted or rejected a token just before the test revoked
    /// or rotated the token.
    shown: AtomicUsize,
    /// The number of accepted tokens.
    accepted: AtomicUsize,
    /// The number of rejected tokens.
    refused: AtomicUsize,
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
    /// Returns the address of a process.
    pub(super) fn at(&self, host: usize) -> String {
        self.addresses[host].lock().unwrap().clone()
    }

    /// Records a fault, unless the response is a server error and the processes may fail. Then the
    /// outcome of the operation is unknown.
    fn fault_of(&self, act: &str, status: StatusCode) {
        if !(self.allowed.errors && status.is_server_error()) {
            self.fault(format!("{act}: {status}"));
        }
    }

    fn fault(&self, what: String) {
        self.faults.lock().unwrap().push(what);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Records an issued token, and returns its index in the list of tokens.
    fn issued(&self, text: &str) -> usize {
        let mut tokens = self.tokens.lock().unwrap();
        tokens.push(Token { text: text.into(), is_rotated: false, asked: None, ended: None });
        tokens.len() - 1
    }

    /// Records that the test requests the revocation or rotation of the token now.
    fn ask(&self, number: usize) {
        self.tokens.lock().unwrap()[number].asked = Some(Instant::now());
    }

    /// Records the current time as the time at which a process acknowledged the revocation or
    /// rotation of the token.
    fn end(&self, number: usize) {
        self.tokens.lock().unwrap()[number].ended = Some(Instant::now());
    }

    /// Creates a token through one process. In every third turn, rotates the token. Then revokes
    /// the token, or its successor, except in every fourth turn.
    ///
    /// # Errors
    /// Returns an error if a request gets no response. The remaining operations are then skipped.
    async fn act(&self, host: usize, turn: usize) -> reqwest::Result<()> {
        let tokens = format!("{}{TOKENS}", self.at(host));
        let acknowledged = || self.acts[host].fetch_add(1, Ordering::SeqCst);

        // A rotation removes all tokens of its project from the cache. So the rotated tokens have a
        // separate project, and the other tokens stay in the cache.
        let rotates = turn.is_multiple_of(3);
        let project = if rotates { 2 } else { 1 };
        let answer = self.visitor.post(&tokens, &json!({"name": "n", "project_id": project})).await?;
        if answer.status() != StatusCode::OK {
            self.fault_of("make", answer.status());
            return Ok(());
        }
        let mut made = json(answer).await?;
        let mut number = self.issued(made["token"].as_str().unwrap());
        acknowledged();

        if rotates {
            // The rotation has no grace period, so the old token ends immediately.
            self.show(number, &made).await;
            self.tokens.lock().unwrap()[number].is_rotated = true;
            self.ask(number);
            let rotate = format!("{tokens}{}/rotate", made["uuid"].as_str().unwrap());
            let answer = self.visitor.post(&rotate, &json!({"grace": null})).await?;
            if answer.status() != StatusCode::OK {
                self.fault_of("rotate", answer.status());
                return Ok(());
            }
            made = json(answer).await?;
            self.end(number);
            number = self.issued(made["token"].as_str().unwrap());
            acknowledged();
        }
        if turn.is_multiple_of(4) {
            return Ok(());
        }
        self.show(number, &made).await;
        self.ask(number);
        let delete = self.visitor.client.delete(format!("{tokens}{}", made["uuid"].as_str().unwrap()));
        let status = self.visitor.of(delete).send().await?.status();
        if status != StatusCode::NO_CONTENT {
            self.fault_of("revoke", status);
            return Ok(());
        }
        self.end(number);
        acknowledged();
        Ok(())
    }

    /// Brings a token into the cache of each running process, before the test revokes or rotates
    /// the token.
    ///
    /// The function presents the token, reads it with the session, and presents it again. The read
    /// makes the process write the token's last use, and this write removes the token from the
    /// cache. The second use then puts the token into the cache, where it stays.
    async fn show(&self, number: usize, made: &Value) {
        for host in (0..2).filter(|&host| !self.is_cut[host].load(Ordering::SeqCst)) {
            let of_token = format!("{}{TOKENS}{}", self.at(host), made["uuid"].as_str().unwrap());
            let client = &self.visitor.client;
            let shown = async {
                self.try_token(client, host, number).await?;
                self.visitor.of(client.get(of_token)).send().await?;
                self.try_token(client, host, number).await
            };
            self.shown.fetch_add(usize::from(matches!(shown.await, Ok(true))), Ordering::SeqCst);
        }
    }

    /// Presents a token to a process, and checks the status of the response. Records a fault in
    /// these two cases:
    ///
    /// - The process accepts the token, and the request began more than [`BOUND`] after the
    ///   revocation or rotation of the token was acknowledged.
    /// - The process rejects the token, and the test has not requested its revocation or rotation.
    ///
    /// Returns `false` if the process could not decide, and otherwise `true`.
    ///
    /// # Errors
    /// Returns an error if the request gets no response.
    async fn try_token(&self, client: &reqwest::Client, host: usize, number: usize) -> reqwest::Result<bool> {
        let (text, ended, bound) = {
            let token = &self.tokens.lock().unwrap()[number];
            let bound = if token.is_rotated { BOUND + self.allowed.clocks } else { BOUND };
            (token.text.clone(), token.ended, bound)
        };
        let began = Instant::now();
        let status = whoami(client, &self.at(host), &text).await?;
        let asked = self.tokens.lock().unwrap()[number].asked;
        match status {
            200 => {
                self.accepted.fetch_add(1, Ordering::SeqCst);
                if ended.is_some_and(|ended| began > ended + bound) {
                    let late = ended.map(|ended| began - ended);
                    self.fault(format!("{number} is accepted by {host}, {late:?} after its end was acknowledged"));
                }
            }
            401 => {
                self.refused.fetch_add(1, Ordering::SeqCst);
                if asked.is_none() {
                    self.fault(format!("{number} is rejected by {host} although its end was not requested"));
                }
            }
            // The process could not decide, because PostgreSQL was too slow.
            503 => return Ok(false),
            500.. if self.allowed.errors => return Ok(false),
            status => self.fault(format!("{number}: {status} of {host}")),
        }
        Ok(true)
    }
}

/// Runs operations through one process, until the test is over.
async fn act_on(world: Arc<World>, host: usize) {
    let (task, _panicking) = (format!("actor on {host}"), Panicking(&world));
    for turn in 1.. {
        if world.is_over() {
            break;
        }
        world.notes.set(&task, format!("act {turn}"));
        // If an operation gets no response, its outcome is unknown. The task goes on with the next
        // turn.
        if world.act(host, turn).await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Presents the latest tokens to one process again and again, until the test is over. Some of these
/// tokens are revoked or rotated.
async fn try_on(world: Arc<World>, host: usize) {
    const LATEST: usize = 48;
    let client = world.visitor.client.clone();
    let (task, _panicking) = (format!("verifier on {host}"), Panicking(&world));
    while !world.is_over() {
        let count = world.tokens.lock().unwrap().len();
        for number in count.saturating_sub(LATEST)..count {
            world.notes.set(&task, format!("presents token {number}"));
            if world.try_token(&client, host, number).await.is_err() {
                tokio::time::sleep(PAUSE).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Waits until each process has acknowledged [`ACTS`] more operations.
pub(super) async fn acted(world: &World) {
    acted_on(world, &[0, 1]).await;
}

/// Waits until each of these processes has acknowledged [`ACTS`] more operations.
pub(super) async fn acted_on(world: &World, hosts: &[usize]) {
    let count = |host: usize| world.acts[host].load(Ordering::SeqCst);
    let (before, began) = ([count(0), count(1)], Instant::now());
    while hosts.iter().any(|&host| count(host) < before[host] + ACTS) && world.faults.lock().unwrap().is_empty() {
        let acts = [count(0), count(1)];
        assert!(
            began.elapsed() < PATIENCE,
            "did not see {ACTS} operations more than {before:?}: {acts:?}\n{}",
            world.notes
        );
        tokio::time::sleep(PAUSE).await;
    }
}

/// The load on two processes.
pub(super) struct Pair {
    pub(super) world: Arc<World>,
    tasks: Vec<JoinHandle<()>>,
}

/// What the load has seen.
pub(super) struct Seen {
    pub(super) live: usize,
    pub(super) ended: usize,
    /// The number of times that a process decided about a token just before its end.
    pub(super) shown: usize,
}

impl Pair {
    /// Starts the load on the processes at these addresses, with the session and the client of
    /// `visitor`.
    pub(super) fn start(addresses: [String; 2], visitor: Visitor, allowed: Allowed) -> Self {
        let world = Arc::new(World {
            addresses: addresses.map(Mutex::new),
            visitor,
            allowed,
            tokens: Mutex::default(),
            acts: Default::default(),
            is_cut: Default::default(),
            shown: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            faults: Mutex::default(),
            over: AtomicBool::new(false),
            notes: Notes::default(),
        });
        let mut tasks = Vec::new();
        for host in 0..2 {
            tasks.push(tokio::spawn(act_on(Arc::clone(&world), host)));
            tasks.push(tokio::spawn(try_on(Arc::clone(&world), host)));
        }
        Self { world, tasks }
    }

    /// Ends the load, and presents all tokens to both processes once more. Panics if there was any
    /// fault.
    pub(super) async fn end(self) -> Seen {
        let world = self.world;
        world.over.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
        tokio::time::sleep(BOUND + world.allowed.clocks).await;
        let count = world.tokens.lock().unwrap().len();
        let (mut live, mut ended, mut unknown) = (0, 0, 0);
        for number in 0..count {
            for host in 0..2 {
                let began = Instant::now();
                while !world.try_token(&world.visitor.client, host, number).await.unwrap() {
                    assert!(began.elapsed() < PATIENCE, "{host} never decides about token {number}");
                }
            }
            match &world.tokens.lock().unwrap()[number] {
                Token { ended: Some(_), .. } => ended += 1,
                Token { asked: Some(_), .. } => unknown += 1,
                _ => live += 1,
            }
        }
        let faults = world.faults.lock().unwrap();
        assert!(faults.is_empty(), "{}: {:#?}", faults.len(), &faults[..faults.len().min(10)]);
        let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        println!(
            "{live} tokens live, {ended} ended, {unknown} without an answer; presented: {} accepted, {} rejected",
            count(&world.accepted),
            count(&world.refused)
        );
        Seen { live, ended, shown: count(&world.shown) }
    }
}
