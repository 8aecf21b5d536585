//! Runs two processes of the service under load on one PostgreSQL server. Kills and restarts the
//! processes several times, one at a time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::pair::{Allowed, CACHE, Pair, acted};
use crate::postgres;
use crate::support::process::{Process, Visitor, command};
use crate::support::{size, tempdir};

/// Returns the number of times that the test kills a process. The test kills each of the two
/// processes at least once.
fn rounds() -> usize {
    if size::is_full() { 5 } else { 3 }
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

    let addresses = [hosts[0].address(), hosts[1].address()];
    let pair = Pair::start(addresses, visitor, Allowed::default());
    let world = &pair.world;

    let (mut answered, rounds) = ([0, 0], rounds());
    for round in 0..rounds {
        let (killed, other) = (round % 2, 1 - round % 2);
        let load = |host: usize| Load::on(&world.at(host), &script_file, dir.path().join(format!("wrk_{host}")));
        let (mut of_killed, mut of_other) = (load(killed), load(other));
        acted(world).await;
        hosts[killed].kill();
        let cut = of_killed.seen();
        assert!(!cut.contains("Non-2xx"), "{cut}");
        answered[0] += requests(&cut);

        hosts[killed] = start(&data, &database, 1);
        *world.addresses[killed].lock().unwrap() = hosts[killed].address();
        acted(world).await;
        let seen = of_other.seen();
        let log = hosts[other].log();
        assert!(!seen.contains("Non-2xx") && !seen.contains("Socket errors"), "{seen} {log}");
        assert!(requests(&seen) > 0, "{seen}");
        answered[1] += requests(&seen);
    }
    let seen = pair.end().await;
    println!(
        "{rounds} kills; wrk: {} answers of the surviving process, {} of the killed one",
        answered[1], answered[0]
    );
    // The test proves little if the caches held only a few of the tokens before these tokens ended.
    assert!(seen.live >= rounds && seen.ended >= 2 * rounds && seen.shown >= seen.ended, "the run was too short");
}
