//! Checks that a crash loses no acknowledged operation on SQLite. A worker process that runs the
//! load of the conformance kit is killed 200 times, or 1,000 times with `KEYFOB_TEST_SIZE=full`.
//! Afterwards every acknowledged operation is complete, and no operation is half done.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use keyfob::conformance::{self, CrashLedger};
use keyfob::{
    ProjectId, TokenKey, TokenStore,
    store::{CountQuery, sqlite::SqliteStore},
};

use crate::support::size;

/// The maximum time between two lines of a worker's output. If a worker is silent for longer, the
/// test fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// The environment variable with the path of the database. The test sets it for the worker process,
/// which is the same test binary.
const DATABASE: &str = "KEYFOB_CRASH_DATABASE";

fn project() -> ProjectId {
    ProjectId::new("145").unwrap()
}

fn acknowledge(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// Runs the worker process, which the test kills. It has three tasks, so that a kill also occurs
/// while transactions wait for each other.
#[test]
#[ignore = "run by the test below"]
fn worker() {
    let Ok(database) = env::var(DATABASE) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(&database).await.unwrap();
        let work = |store: SqliteStore| async move { conformance::crash_load(&store, project(), acknowledge).await };
        let workers: Vec<_> = (0..3).map(|_| tokio::spawn(work(store.clone()))).collect();
        for worker in workers {
            worker.await.unwrap().unwrap();
        }
    });
}

/// Returns the minimum and the maximum number of workers that the test kills. On a busy machine a
/// worker gets less done, so the test kills more workers.
fn rounds() -> (usize, usize) {
    let least = if size::is_full() { 1_000 } else { 200 };
    (least, 3 * least)
}

/// Runs a worker, kills it with SIGKILL, and returns the lines of its output.
///
/// First waits until the worker has acknowledged three inserted tokens, and one operation whose
/// line begins with `act`. Then waits for the duration `lives` before it kills the worker.
fn run_and_kill(database: &Path, lives: Duration, act: &str) -> Vec<String> {
    let mut worker = Command::new(env::current_exe().unwrap())
        .args(["sqlite_crash::worker", "--exact", "--ignored", "--nocapture"])
        .env(DATABASE, database)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(worker.stdout.take().unwrap());
    let (says, said) = channel();
    let reads = thread::spawn(move || {
        let mut line = String::new();
        // The kill can cut off the last line. An incomplete line acknowledges nothing.
        while out.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
            says.send(line.trim_end().to_owned()).unwrap();
            line.clear();
        }
    });
    let mut lines: Vec<String> = Vec::new();
    // The wait for three tokens, one for each task, ensures that a worker also gets something done
    // on a slow disk.
    let said_of = |lines: &[String], act| lines.iter().filter(|line| line.starts_with(act)).count();
    while said_of(&lines, "inserted ") < 3 || said_of(&lines, act) == 0 {
        match said.recv_timeout(PATIENCE) {
            Ok(line) => lines.push(line),
            Err(why) => {
                worker.kill().unwrap();
                let mut error = String::new();
                worker.stderr.take().unwrap().read_to_string(&mut error).unwrap();
                let what = if why == RecvTimeoutError::Timeout { "hangs" } else { "ended by itself" };
                panic!("the worker {what} after it said {lines:?}: {error}");
            }
        }
    }
    thread::sleep(lives);
    assert_eq!(worker.try_wait().unwrap(), None, "the worker ended before it was killed");
    worker.kill().unwrap();
    let status = worker.wait().unwrap();
    #[cfg(unix)]
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    reads.join().unwrap();
    lines.extend(said);
    lines
}

#[tokio::test]
async fn what_was_acknowledged_survives_200_kills_and_nothing_is_half_done() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("tokens.db");
    let began = Instant::now();
    let mut ledger = CrashLedger::new(project());
    let ((least, most), mut kills, mut late, mut count) = (rounds(), 0, 0, 0);
    // The test must not check too little. It needs enough operations of each kind, and enough kills
    // between an operation and its acknowledgement. The minimums are about half of the numbers on a
    // busy machine with two cores.
    let lacking = |ledger: &CrashLedger, late: usize| {
        let few = |kind, least| ledger.acknowledged(kind) <= least;
        match () {
            () if few("group", least / 20) => Some("group "),
            () if few("rotated", least / 4) => Some("rotated "),
            () if few("revoked", least / 4) => Some("revoked "),
            () if few("renamed", least / 4) => Some("renamed "),
            () if few("inserted", 3 * least) || late <= 10 => Some("inserted "),
            () => None,
        }
    };
    while kills < least || kills < most && lacking(&ledger, late).is_some() {
        // If one kind of operation was too rare, each further worker lives until it has
        // acknowledged one.
        let act = lacking(&ledger, late).filter(|_| kills >= least).unwrap_or("inserted ");
        // After these lines, the worker lives for 5 to 40 ms. The durations are spread over the
        // rounds.
        let lives = Duration::from_micros(5_000 + (kills as u64 * 7_919) % 35_001);
        for line in run_and_kill(&database, lives, act) {
            ledger.read(&line);
        }
        let store = SqliteStore::open(&database).await.unwrap();
        // A loss stays in the file, so a later check finds it too. The ledger grows, and with it
        // the time of a check.
        if kills % 10 == 0 || kills + 1 >= least {
            ledger.check(&store).await.assert();
        }
        count = store.count(&CountQuery::new(project())).await.unwrap();
        late = 0;
        for id in ledger.unacknowledged_inserts() {
            late += usize::from(store.find(&TokenKey { project: project(), id }).await.unwrap().is_some());
        }
        store.pool().close().await;
        kills += 1;
    }

    let store = SqliteStore::open(&database).await.unwrap();
    ledger.check(&store).await.assert();
    let whole: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(store.pool()).await.unwrap();
    assert_eq!(whole, "ok");
    let number = |kind| ledger.acknowledged(kind);
    println!(
        "{kills} kills in {:?}: acknowledged {} inserted, {} renamed, {} revoked, {} rotated, {} groups revoked; \
         {} operations were not acknowledged; {count} rows, {late} of them inserted but not acknowledged",
        began.elapsed(),
        number("inserted"),
        number("renamed"),
        number("revoked"),
        number("rotated"),
        number("group"),
        ledger.unacknowledged(),
    );
    assert_eq!(lacking(&ledger, late), None);
}
