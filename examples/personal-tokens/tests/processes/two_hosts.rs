//! Two processes under load on one PostgreSQL, of which one is killed and started again, several times: no act that was
//! acknowledged is lost, and no token that was ended is accepted in a request that began later than the bound of the cache after
//! the acknowledgement.

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

/// How old the answer of a process's cache may be. An answer of PostgreSQL that took longer would be none, and the load must meet
/// no such answer, however busy the machine is.
const BOUND: Duration = Duration::from_secs(2);
const CACHE: &str = "2s";

/// Returns how often a process is killed. Each of the two is killed at least once.
fn rounds() -> usize {
    if size::is_full() { 5 } else { 3 }
}

/// How many acts of each process are acknowledged before the kill, and again after the start.
const ACTS: usize = 6;
/// Between two tries, where a process is away.
const PAUSE: Duration = Duration::from_millis(10);
/// For what never comes.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is known of a token.
struct Token {
    text: String,
    /// When its end was asked for; from then on it may be over.
    asked: Option<Instant>,
    /// When its end was acknowledged; the bound later it must be over.
    ended: Option<Instant>,
}

/// What the parts of the test share.
struct World {
    addresses: [Mutex<String>; 2],
    visitor: Visitor,
    tokens: Mutex<Vec<Token>>,
    /// Acts that were acknowledged, by process.
    acts: [AtomicUsize; 2],
    /// Tokens that were shown to a process before they ended.
    shown: AtomicUsize,
    /// Answers of 200 and of 401 to whoever tries the tokens.
    accepted: AtomicUsize,
    refused: AtomicUsize,
    faults: Mutex<Vec<String>>,
    over: AtomicBool,
    notes: Notes,
}

/// A task that panics is a fault: nobody else would know before the end.
struct Panicking<'w>(&'w World);

impl Drop for Panicking<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fault("a task panicked".into());
        }
    }
}

impl World {
    fn at(&self, host: usize) -> String {
        self.addresses[host].lock().unwrap().clone()
    }

    fn fault(&self, what: String) {
        self.faults.lock().unwrap().push(what);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn issued(&self, text: &str) -> usize {
        let mut tokens = self.tokens.lock().unwrap();
        tokens.push(Token { text: text.into(), asked: None, ended: None });
        tokens.len() - 1
    }

    fn ask(&self, number: usize) {
        self.tokens.lock().unwrap()[number].asked = Some(Instant::now());
    }

    fn end(&self, number: usize) {
        self.tokens.lock().unwrap()[number].ended = Some(Instant::now());
    }

    /// One token, made, sometimes rotated, and mostly ended: as far as the process is there to do it.
    async fn act(&self, host: usize, turn: usize) -> reqwest::Result<()> {
        let tokens = format!("{}{TOKENS}", self.at(host));
        let acknowledged = || self.acts[host].fetch_add(1, Ordering::SeqCst);

        // A rotation empties the cache of its whole project: it has one of its own, so that the other tokens stay held.
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
            // Without a grace the old one is over.
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

    /// Has a token in both caches before it ends, where both processes are there. To look at it writes its last use, which takes
    /// it out of the cache; after that it stays.
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

    /// Presents one token to a process, and holds the answer against what was known of it before and after. Whether it was judged.
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
                    self.fault(format!("{number} is refused by {host}, and nobody has ended it"));
                }
            }
            // Neither let in nor refused: PostgreSQL was too slow.
            503 => return Ok(false),
            status => self.fault(format!("{number}: {status} of {host}")),
        }
        Ok(true)
    }
}

/// Acts through one process for as long as the test runs.
async fn act_on(world: Arc<World>, host: usize) {
    let (task, _panicking) = (format!("actor on {host}"), Panicking(&world));
    for turn in 1.. {
        if world.is_over() {
            break;
        }
        world.notes.set(&task, format!("act {turn}"));
        // Whoever gets no answer does not know what came of it.
        if world.act(host, turn).await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Tries the latest tokens at one process, the ended ones too, for as long as the test runs.
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

/// wrk, which asks whose some tokens are, one after the other.
struct Load {
    wrk: Child,
    out: PathBuf,
}

impl Load {
    fn on(address: &str, script: &Path, out: PathBuf) -> Self {
        let mut wrk = Command::new("wrk");
        // It is ended long before.
        wrk.args(["-t1", "-c2", "-d600", "--timeout", "60", "-s"]).arg(script).arg(address);
        Self { wrk: wrk.stdout(fs::File::create(&out).unwrap()).stderr(Stdio::null()).spawn().unwrap(), out }
    }

    /// Ends it, as by ctrl-c: what it has seen.
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

/// How many requests wrk had an answer to.
fn requests(seen: &str) -> usize {
    let line = seen.lines().find(|line| line.contains(" requests in ")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn start(data: &Path, database: &str, lines: usize) -> Process {
    Process::start(command(data).env("DATABASE_URL", database).args(["--cache", CACHE]), lines)
}

/// Waits until so many acts more of both are acknowledged.
async fn acted(world: &World) {
    let count = |host: usize| world.acts[host].load(Ordering::SeqCst);
    let (before, began) = ([count(0), count(1)], Instant::now());
    while (0..2).any(|host| count(host) < before[host] + ACTS) && world.faults.lock().unwrap().is_empty() {
        let acts = [count(0), count(1)];
        assert!(
            began.elapsed() < PATIENCE,
            "waited in vain for {ACTS} more than {before:?}: {acts:?}\n{}",
            world.notes
        );
        tokio::time::sleep(PAUSE).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_a_killed_process() {
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

    // All of them once more, at both.
    tokio::time::sleep(BOUND).await;
    let count = world.tokens.lock().unwrap().len();
    let (mut live, mut ended, mut unknown) = (0, 0, 0);
    for number in 0..count {
        for host in 0..2 {
            let began = Instant::now();
            while !world.try_token(&world.visitor.client, host, number).await.unwrap() {
                assert!(began.elapsed() < PATIENCE, "{host} judges token {number} never");
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
        "{rounds} kills; {live} tokens live, {ended} ended, of {unknown} the answer was lost; tried: {accepted} accepted, \
         {refused} refused; wrk: {} answers of who survived, {} of who was killed",
        answered[1], answered[0]
    );
    let faults = world.faults.lock().unwrap();
    assert!(faults.is_empty(), "{}: {:#?}", faults.len(), &faults[..faults.len().min(10)]);
    // Otherwise it has shown little.
    let shown = world.shown.load(Ordering::SeqCst);
    assert!(live >= rounds && ended >= 2 * rounds && shown >= ended, "too little was tried: {shown} were shown");
}
