//! Runs two processes of the service under load on one PostgreSQL server. Kills and restarts the
//! processes several times, one at a time.
//!
//! The test checks that no acknowledged operation is lost. It also checks how long an ended token
//! is still accepted. A token ends if it is revoked or rotated. After the operation is
//! acknowledged, a process may accept the token only for the time of the cache's staleness bound.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::notes::Notes;
use crate::postgres;
use crate::support::process::{Process, Visitor, client, command, json, whoami};
use crate::support::{TOKENS, size, tempdir};

/// The staleness bound of the cache. If PostgreSQL took longer than this to respond, the request
/// would fail. The bound is so long that this does not happen under load on a busy machine.
const BOUND: Duration = Duration::from_secs(2);
/// The [`BOUND`] as the text of the option `--cache`.
const CACHE: &str = "2s";

/// Returns the number of times that the test kills a process. The test kills each of the two
/// processes at least once.
fn rounds() -> usize {
    if size::is_full() { 5 } else { 3 }
}

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
    /// The time at which the test requested the revocation or rotation of the token. After this
    /// time, a process may reject the token.
    asked: Option<Instant>,
    /// The time at which a process acknowledged the revocation or rotation of the token, or `None`
    /// before that. If a request begins more than [`BOUND`] after this time, both processes must
    /// reject the token.
    ended: Option<Instant>,
}

/// The state that the tasks of the test share.
struct World {
    /// The addresses of the two processes.
    addresses: [Mutex<String>; 2],
    visitor: Visitor,
    tokens: Mutex<Vec<Token>>,
    /// For each process, the number of operations that it has acknowledged.
    acts: [AtomicUsize; 2],
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
    fn at(&self, host: usize) -> String {
        self.addresses[host].lock().unwrap().clone()
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
        tokens.push(Token { text: text.into(), asked: None, ended: None });
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
        let status = answer.status();
        let mut made = json(answer).await?;
        if status != 200 {
            self.fault(format!("make: {status} {made}"));
            return Ok(());
        }
        let mut number = self.issued(made["token"].as_str().unwrap());
        acknowledged();

        if rotates {
            // The rotation has no grace period, so the old token ends immediately.
            self.show(number, &made).await;
            self.ask(number);
            let rotate = format!("{tokens}{}/rotate", made["uuid"].as_str().unwrap());
            let answer = self.visitor.post(&rotate, &json!({"grace": null})).await?;
            let status = answer.status();
            made = json(answer).await?;
            if status != 200 {
                self.fault(format!("rotate: {status} {made}"));
                return Ok(());
            }
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
        if status != 204 {
            self.fault(format!("revoke: {status}"));
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
        for host in 0..2 {
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
        let (text, ended) = {
            let token = &self.tokens.lock().unwrap()[number];
            (token.text.clone(), token.ended)
        };
        let began = Instant::now();
        let status = whoami(client, &self.at(host), &text).await?;
        let asked = self.tokens.lock().unwrap()[number].asked;
        match status {
            200 => {
                self.accepted.fetch_add(1, Ordering::SeqCst);
                if ended.is_some_and(|ended| began > ended + BOUND) {
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
    let client = client();
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

/// A run of the program wrk. It calls the route `whoami` repeatedly, with several tokens in turn.
struct Load {
    wrk: Child,
    /// The file that receives the output of wrk.
    out: PathBuf,
}

impl Load {
    /// Starts wrk with this script on the process at this address.
    fn on(address: &str, script: &Path, out: PathBuf) -> Self {
        let mut wrk = Command::new("wrk");
        // The test ends the run long before 600 seconds have passed.
        wrk.args(["-t1", "-c2", "-d600", "--timeout", "60", "-s"]).arg(script).arg(address);
        Self { wrk: wrk.stdout(fs::File::create(&out).unwrap()).stderr(Stdio::null()).spawn().unwrap(), out }
    }

    /// Ends the run with the signal SIGINT, so that wrk prints its results. Returns these results.
    fn seen(&mut self) -> String {
        let pid = self.wrk.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        assert!(self.wrk.wait().unwrap().success());
        fs::read_to_string(&self.out).unwrap()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.wrk.kill();
        let _ = self.wrk.wait();
    }
}

/// Returns the number of requests that got a response, from the results of wrk.
fn requests(seen: &str) -> usize {
    let line = seen.lines().find(|line| line.contains(" requests in ")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Starts a process on this data directory and this database. Waits until the process has printed
/// this number of lines.
fn start(data: &Path, database: &str, lines: usize) -> Process {
    Process::start(command(data).env("DATABASE_URL", database).args(["--cache", CACHE]), lines)
}

/// Waits until each process has acknowledged [`ACTS`] more operations.
async fn acted(world: &World) {
    let count = |host: usize| world.acts[host].load(Ordering::SeqCst);
    let (before, began) = ([count(0), count(1)], Instant::now());
    while (0..2).any(|host| count(host) < before[host] + ACTS) && world.faults.lock().unwrap().is_empty() {
        let acts = [count(0), count(1)];
        assert!(
            began.elapsed() < PATIENCE,
            "did not see {ACTS} operations more than {before:?}: {acts:?}\n{}",
            world.notes
        );
        tokio::time::sleep(PAUSE).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_operations_survive_a_killed_process() {
    if Command::new("wrk").arg("-v").output().is_err() {
        test_summary::missing("wrk is not installed");
        return;
    }
    let Some(server) = postgres::Server::start() else { return };
    let (database, dir) = (server.database(), tempdir());
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("config.json"), r#"{"policy": {"most_live_per_owner": 100000}}"#).unwrap();

    let mut hosts = [start(&data, &database, 2), start(&data, &database, 1)];
    let visitor = Visitor::sign_in(&hosts[0].address(), hosts[0].first()).await;
    let mut script = String::from("local tokens = {\n");
    for _ in 0..8 {
        script += &format!("{},\n", visitor.make(&hosts[0].address()).await["token"]);
    }
    script += "}\nlocal next = 0\nrequest = function()\n  next = next % #tokens + 1\n  \
               return wrk.format('GET', '/api/v2/auth/whoami', {Authorization = 'Bearer ' .. tokens[next]})\nend\n";
    let script_file = dir.path().join("load.lua");
    fs::write(&script_file, script).unwrap();

    let world = Arc::new(World {
        addresses: [Mutex::new(hosts[0].address()), Mutex::new(hosts[1].address())],
        visitor,
        tokens: Mutex::default(),
        acts: Default::default(),
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

    let (mut answered, rounds) = ([0, 0], rounds());
    for round in 0..rounds {
        let (killed, other) = (round % 2, 1 - round % 2);
        let load = |host: usize| Load::on(&world.at(host), &script_file, dir.path().join(format!("wrk_{host}")));
        let (mut of_killed, mut of_other) = (load(killed), load(other));
        acted(&world).await;
        hosts[killed].kill();
        let cut = of_killed.seen();
        assert!(!cut.contains("Non-2xx"), "{cut}");
        answered[0] += requests(&cut);

        hosts[killed] = start(&data, &database, 1);
        *world.addresses[killed].lock().unwrap() = hosts[killed].address();
        acted(&world).await;
        let seen = of_other.seen();
        let log = hosts[other].log();
        assert!(!seen.contains("Non-2xx") && !seen.contains("Socket errors"), "{seen} {log}");
        assert!(requests(&seen) > 0, "{seen}");
        answered[1] += requests(&seen);
    }
    world.over.store(true, Ordering::SeqCst);
    for task in tasks {
        task.await.unwrap();
    }

    // The test presents all tokens to both processes once more.
    tokio::time::sleep(BOUND).await;
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
    let (accepted, refused) = (world.accepted.load(Ordering::SeqCst), world.refused.load(Ordering::SeqCst));
    println!(
        "{rounds} kills; {live} tokens live, {ended} ended, {unknown} without an answer; presented: {accepted} accepted, \
         {refused} rejected; wrk: {} answers of the surviving process, {} of the killed one",
        answered[1], answered[0]
    );
    let faults = world.faults.lock().unwrap();
    assert!(faults.is_empty(), "{}: {:#?}", faults.len(), &faults[..faults.len().min(10)]);
    // The test proves little if the caches held only a few of the tokens before these tokens ended.
    let shown = world.shown.load(Ordering::SeqCst);
    assert!(
        live >= rounds && ended >= 2 * rounds && shown >= ended,
        "the run was too short: {shown} uses before an end"
    );
}
