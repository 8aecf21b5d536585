//! Runs two hosts on two machines, and their database on a third. Each machine is a network
//! namespace. The test cuts a host off from the database, kills a host, restarts the database, and
//! moves the clock of a host, all under load.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use personal_tokens::db::{Db, query};
use personal_tokens::housekeeping::Job;
use reqwest::Client;
use tempfile::TempDir;

use super::pair::{Allowed, CACHE, Pair, World, acted, acted_on};
use crate::network::is_in_own_network;
use crate::postgres;
use crate::process::{quick, run};
use crate::support::process::{PEPPER, Process, Visitor, program, whoami};
use crate::support::{size, tempdir, until};

/// The maximum time that the load waits for a response of a host that is cut off.
const PATIENCE: Duration = Duration::from_secs(10);

/// A machine of its own network, which a cable joins to the machine of the test.
struct Machine {
    number: usize,
    /// The process that keeps the network.
    holder: Child,
}

impl Machine {
    fn new(number: usize) -> Self {
        let holder = Command::new("unshare").args(["--net", "sleep", "infinity"]).spawn().unwrap();
        let machine = Self { number, holder };
        let network = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).unwrap();
        while network(&machine.holder.id().to_string()) == network("self") {
            std::thread::sleep(Duration::from_millis(1));
        }
        let ip = |arguments: String| run(Command::new("ip").args(arguments.split(' ')));
        let there = |arguments: String| run(machine.command("ip").args(arguments.split(' ')));
        ip(format!("link add here{number} type veth peer name there{number}"));
        ip(format!("link set there{number} netns {}", machine.holder.id()));
        ip(format!("addr add {}/24 dev here{number}", machine.gate()));
        ip(format!("link set here{number} up"));
        there(format!("addr add {}/24 dev there{number}", machine.address()));
        there(format!("link set there{number} up"));
        there("link set lo up".into());
        machine
    }

    /// Returns the address of the machine.
    fn address(&self) -> String {
        format!("10.9.{}.2", self.number)
    }

    /// Returns the address at which the machine reaches the machine of the test.
    fn gate(&self) -> String {
        format!("10.9.{}.1", self.number)
    }

    /// Returns a command that runs a program on the machine.
    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.holder.id())).arg("--").arg(program);
        command
    }

    /// Drops all packets of the machine to a port of the machine of the test, or passes them again.
    fn cut(&self, port: u16, is_cut: bool) {
        let (how, from) = (if is_cut { "-A" } else { "-D" }, format!("here{}", self.number));
        let port = port.to_string();
        let rule = [how, "INPUT", "-i", &from, "-p", "tcp", "--dport", &port, "-j", "DROP"];
        run(Command::new("iptables").args(rule));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// A host with its machine, its data directory and its clock.
struct Host {
    machine: Machine,
    dir: TempDir,
    database: String,
    /// The library that moves the clock of a program, if it is installed.
    clock: Option<PathBuf>,
}

impl Host {
    fn new(number: usize, server: &postgres::Server, database: &str) -> Self {
        let (machine, dir) = (Machine::new(number), tempdir());
        let policy = r#"{"policy": {"most_live_per_owner": 100000}}"#;
        fs::write(dir.path().join("config.json"), policy).unwrap();
        let database = database.replace("127.0.0.1", &machine.gate());
        assert!(database.contains(&server.port.to_string()));
        let libraries = fs::read_dir("/usr/lib").unwrap().flatten();
        let mut places = libraries.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
        let host = Self { machine, dir, database, clock: places.find(|place| place.exists()) };
        host.set_clock("+0");
        host
    }

    /// Moves the clock of the host away from that of the machine, by a number of seconds.
    fn set_clock(&self, by: &str) {
        fs::write(self.dir.path().join("clock"), by).unwrap();
    }

    /// Starts the host, and waits until it has printed this number of lines.
    fn start(&self, lines: usize) -> Process {
        let mut command = self.machine.command(program());
        let at = self.machine.address();
        command.args(["--addr", &format!("{at}:8088"), "--metrics-addr", &format!("{at}:9088"), "--cache", CACHE]);
        command.arg("--data-dir").arg(self.dir.path());
        command.env("DATABASE_URL", &self.database).env("PEPPER", PEPPER).env_remove("STATE_URL");
        if let Some(library) = &self.clock {
            command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", self.dir.path().join("clock"));
            command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        Process::start(&mut command, lines)
    }
}

/// Starts a server that accepts connections from other machines.
fn server(dir: &Path) -> Option<postgres::Server> {
    let rules = dir.join("hba");
    fs::write(&rules, "host all all 0.0.0.0/0 trust\n").unwrap();
    for path in [dir, &rules] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    postgres::Server::start_in(quick(), &["listen_addresses=*", &format!("hba_file={}", rules.display())])
}

/// The work that one host does for all.
const SHARED: [Job; 3] = [Job::Notices, Job::Orphans, Job::Purge];

/// Returns how often these hosts say that they have done each shared work.
async fn runs_of(client: &Client, hosts: &[&Host]) -> Vec<i64> {
    let mut sums = vec![0; SHARED.len()];
    for host in hosts {
        let url = format!("http://{}:9088/metrics", host.machine.address());
        let page = client.get(url).send().await.unwrap().text().await.unwrap();
        for (sum, job) in sums.iter_mut().zip(SHARED) {
            let start = format!("personal_tokens_work_runs_total{{work=\"{}\"}} ", job.name());
            let line = page.lines().find_map(|line| line.strip_prefix(&start)).unwrap();
            *sum += line.parse::<i64>().unwrap();
        }
    }
    sums
}

/// Lets a period of each shared work begin, and checks that exactly one of these hosts does it.
async fn work_is_done_once(db: &Db, client: &Client, hosts: &[&Host]) {
    let told = async || {
        let mut told = Vec::new();
        for job in SHARED {
            let sql = "SELECT runs, {now} FROM jobs WHERE name = ?";
            told.push(query(sql).bind(job.name()).fetch_one::<(i64, i64)>(db).await.unwrap());
        }
        told
    };
    // No host works while a run is counted.
    let idle = async || {
        let busy: i64 = query("SELECT count(*) FROM jobs WHERE holder <> ''").value(db).await.unwrap();
        busy == 0
    };
    until("no work in progress", idle).await;
    let (before, counted) = (told().await, runs_of(client, hosts).await);
    query("UPDATE jobs SET due = 0").execute(db).await.unwrap();
    until("the work is done", async || told().await.iter().zip(&before).all(|(now, then)| now.0 > then.0)).await;
    // Each host asks every five seconds whether work is due.
    tokio::time::sleep(Duration::from_secs(6)).await;
    until("no work in progress", idle).await;
    let after = told().await;
    for (place, job) in SHARED.into_iter().enumerate() {
        let period = i64::try_from(job.interval().as_millis()).unwrap();
        // A further period of the work may have begun meanwhile.
        let crossed = after[place].1 / period - before[place].1 / period;
        let runs = after[place].0 - before[place].0;
        assert!((1..=1 + crossed).contains(&runs), "{job:?}: {runs} runs, {crossed} further periods");
    }
    let expected: Vec<i64> = (0..SHARED.len()).map(|place| counted[place] + after[place].0 - before[place].0).collect();
    until("the hosts count the same runs", async || runs_of(client, hosts).await == expected).await;
}

/// Waits until a host, which is cut off from the database, accepts no token and is not ready.
async fn refuses_all(client: &Client, world: &World, host: usize, token: &str) {
    let ready = format!("{}/health/ready", world.at(host));
    until("the host accepts no token", async || matches!(whoami(client, &world.at(host), token).await, Ok(503))).await;
    until("the host is not ready", async || client.get(&ready).send().await.is_ok_and(|it| it.status() == 503)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hosts_survive_what_happens_to_machines() {
    if !is_in_own_network("machines::two_hosts_survive_what_happens_to_machines") {
        return;
    }
    let rules = tempdir();
    let Some(server) = server(rules.path()) else { return };
    let database = server.database();
    let hosts = [Host::new(1, &server, &database), Host::new(2, &server, &database)];
    let both = [&hosts[0], &hosts[1]];
    if hosts[0].clock.is_none() {
        test_summary::missing("libfaketime is not installed");
    }
    let mut processes = vec![hosts[0].start(3), hosts[1].start(2)];
    let addresses = [processes[0].address(), processes[1].address()];
    let client = Client::builder().timeout(PATIENCE).build().unwrap();
    let visitor = Visitor::sign_in(&addresses[0], processes[0].first()).await;
    let visitor = Visitor { client: client.clone(), ..visitor };
    let token = visitor.make(&addresses[0]).await["token"].as_str().unwrap().to_owned();
    let db = Db::postgres(&database).await.unwrap();
    let allowed = Allowed { errors: true, clocks: Duration::from_secs(if size::is_full() { 10 } else { 5 }) };
    let pair = Pair::start(addresses, visitor, allowed);
    let world = &pair.world;
    let began = Instant::now();
    let told = |what: &str| println!("{:.1} s: {what}", began.elapsed().as_secs_f64());
    acted(world).await;
    told("both hosts act; one is cut off");

    world.is_cut[1].store(true, Ordering::SeqCst);
    hosts[1].machine.cut(server.port, true);
    acted_on(world, &[0]).await;
    told("the other acts");
    refuses_all(&client, world, 1, &token).await;
    if size::is_full() {
        work_is_done_once(&db, &client, &[&hosts[0]]).await;
    }
    hosts[1].machine.cut(server.port, false);
    world.is_cut[1].store(false, Ordering::SeqCst);
    told("the network is whole again");
    acted(world).await;
    told("both hosts act; one is killed");

    processes[0].kill();
    acted_on(world, &[1]).await;
    work_is_done_once(&db, &client, &[&hosts[1]]).await;
    told("the other has done the periodic work; the killed one starts");
    processes[0] = hosts[0].start(2);
    acted(world).await;
    told("both hosts act; the database crashes");

    server.halt("immediate");
    server.go();
    acted(world).await;

    let moves: &[&str] = if size::is_full() { &["+5", "-5", "+0"] } else { &["+5", "+0"] };
    for by in moves {
        told("both hosts act; a clock moves");
        hosts[0].set_clock(by);
        acted(world).await;
        if size::is_full() {
            work_is_done_once(&db, &client, &both).await;
        }
    }
    told("the load ends");
    let seen = pair.end().await;
    told("all tokens are checked");
    assert!(seen.live >= 5 && seen.ended >= 10 && seen.shown >= seen.ended, "the run was too short");
}
