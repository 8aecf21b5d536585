//! Checks that a crash loses no acknowledged operation on SQLite. A worker process that issues,
//! revokes and rotates tokens is killed 200 times, or 1,000 times with `KEYFOB_TEST_SIZE=full`.
//! After each kill, every acknowledged operation is complete, and no operation is half done.

use std::collections::{HashMap, HashSet};
use std::env;
use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use keyfob::{
    Actor, Clock, Keyring, Name, NewToken, OwnerId, Pepper, Policy, Prefix, ProjectId, SystemClock, TokenId,
    TokenRecord, TokenStore, Tokens,
    keys::KeyNumber,
    mint,
    record::{Revocation, RevocationReason},
    store::{ListQuery, PageSize, sqlite::SqliteStore},
};

use crate::support::{changed, size};

/// The maximum time between two lines of a worker's output. If a worker is silent for longer, the
/// test fails.
const PATIENCE: Duration = Duration::from_secs(60);
/// The number of tokens that one operation revokes: all tokens of one owner.
const GROUP: usize = 4;
/// The environment variable with the path of the database. The test sets it for the worker process,
/// which is the same test binary.
const DATABASE: &str = "KEYFOB_CRASH_DATABASE";

fn project() -> ProjectId {
    ProjectId::new("145").unwrap()
}

fn keyring() -> Keyring {
    let pepper = Pepper::new((0..32).collect()).unwrap();
    Keyring::builder(Prefix::new("acme_pat").unwrap()).mint_with(KeyNumber::FIRST, pepper).build().unwrap()
}

fn new_token(owner: &str, name: &str) -> NewToken {
    NewToken::new(project(), OwnerId::new(owner).unwrap(), Name::new(name).unwrap())
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
        let workers: Vec<_> = (1..=3)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move { work(store, number, |line| acknowledge(&line)).await.unwrap() })
            })
            .collect();
        for worker in workers {
            worker.await.unwrap();
        }
    });
}

/// Performs operations until one fails, and calls `acknowledge` after each acknowledged operation.
/// Each task begins with another kind of operation, so that a crash can interrupt every kind.
pub async fn work<S: TokenStore>(
    store: S,
    number: u32,
    acknowledge: impl Fn(String),
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let tokens = Tokens::new(keyring(), store);
    let actor = Actor::new("ada").unwrap();
    for act in number.. {
        let name = format!("{} {number} {act}", std::process::id());
        let issued = tokens.issue(&actor, new_token("ada", &name)).await?.record;
        acknowledge(format!("issued {} {name}", issued.id));
        match act % 4 {
            1 => {
                tokens.revoke(&actor, &issued.key(), RevocationReason::KeyCompromise).await?;
                acknowledge(format!("revoked {}", issued.id));
            }
            2 => {
                let now = SystemClock.now();
                let next = mint(tokens.keyring(), &Policy::default(), new_token("ada", &name), &actor, now).unwrap();
                let next = changed(next.record, |record| {
                    record.family = issued.id;
                    record.rotated_from = Some(issued.id);
                });
                let id = next.id;
                tokens.store().rotate(&issued.key(), issued.version, next, now, None).await?.unwrap();
                acknowledge(format!("rotated {} {id}", issued.id));
            }
            3 => {
                // Issues four tokens to a new owner, and revokes all of them in one operation.
                let owner = format!("owner {name}");
                for _ in 0..GROUP {
                    tokens.issue(&actor, new_token(&owner, &name)).await?;
                }
                acknowledge(format!("ending {owner}"));
                let revocation =
                    Revocation { at: SystemClock.now(), by: actor.clone(), reason: RevocationReason::default() };
                let id = OwnerId::new(&owner).unwrap();
                let count = tokens.store().revoke_owner(&project(), &id, &revocation).await?;
                assert_eq!(count, GROUP as u64);
                acknowledge(format!("ended {owner}"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The operations that the killed workers acknowledged, by kind.
#[derive(Default)]
pub struct Acknowledged {
    pub issued: HashMap<String, String>,
    pub revoked: HashSet<String>,
    pub rotated: HashMap<String, String>,
    pub ending: HashSet<String>,
    pub ended: HashSet<String>,
}

impl Acknowledged {
    pub fn take(&mut self, line: &str) {
        let (act, rest) = line.split_once(' ').unwrap_or((line, ""));
        let pair = || rest.split_once(' ').map(|(id, rest)| (id.to_owned(), rest.to_owned())).unwrap();
        match act {
            "issued" => self.issued.extend([pair()]),
            "revoked" => self.revoked.extend([rest.to_owned()]),
            "rotated" => self.rotated.extend([pair()]),
            "ending" => self.ending.extend([rest.to_owned()]),
            "ended" => self.ended.extend([rest.to_owned()]),
            _ => {}
        }
    }
}

/// Returns the minimum and the maximum number of workers that the test kills. On a busy machine a
/// worker gets less done, so the test kills more workers.
fn rounds() -> (usize, usize) {
    let least = if size::is_full() { 1_000 } else { 200 };
    (least, 3 * least)
}

/// Runs a worker, kills it with SIGKILL, and returns the lines of its output.
///
/// First waits until the worker has acknowledged three issued tokens, and one operation whose line
/// begins with `act`. Then waits for the duration `lives` before it kills the worker.
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
    while said_of(&lines, "issued ") < 3 || said_of(&lines, act) == 0 {
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

/// Returns all records of the project by token id.
pub async fn rows(store: &impl TokenStore) -> HashMap<String, TokenRecord> {
    let mut query = ListQuery { most: PageSize::MAX, ..ListQuery::new(project()) };
    let mut rows = HashMap::new();
    loop {
        let page = store.list(&query).await.unwrap();
        rows.extend(page.items.iter().map(|record| (record.id.to_string(), TokenRecord::clone(record))));
        query.after = page.next;
        if query.after.is_none() {
            return rows;
        }
    }
}

/// Checks that every acknowledged operation is complete, and that no operation is half done.
pub fn check(acknowledged: &Acknowledged, rows: &HashMap<String, TokenRecord>) {
    for (id, name) in &acknowledged.issued {
        let row = rows.get(id).unwrap_or_else(|| panic!("an acknowledged token is gone: {id}"));
        assert_eq!(row.name.as_str(), name);
        assert_eq!(row.created_by.as_str(), "ada");
        assert!(row.expires_at > Some(row.created_at));
    }
    for id in &acknowledged.revoked {
        let revoked = rows[id].revoked.as_ref().unwrap_or_else(|| panic!("an acknowledged revocation is gone: {id}"));
        assert_eq!(revoked.reason, RevocationReason::KeyCompromise);
        assert_eq!(rows[id].version, 2);
    }
    for (old, new) in &acknowledged.rotated {
        assert_eq!(
            rows[old].rotated_to.map(|id| id.to_string()).as_ref(),
            Some(new),
            "an acknowledged rotation is gone"
        );
    }
    // Each operation that was not acknowledged is applied completely or not at all.
    for row in rows.values() {
        let at = |id: TokenId| rows.get(id.as_str()).expect("the linked token does not exist");
        if let Some(next) = row.rotated_to {
            assert_eq!(at(next).rotated_from, Some(row.id));
            assert!(row.grace_until.is_some() && row.version == 2);
        }
        if let Some(last) = row.rotated_from {
            assert_eq!(at(last).rotated_to, Some(row.id));
            assert_eq!(row.family, at(last).family);
        }
        assert_eq!(row.version, 1 + u64::from(row.revoked.is_some()) + u64::from(row.rotated_to.is_some()));
    }
    for owner in &acknowledged.ending {
        let of_owner: Vec<_> = rows.values().filter(|row| row.owner.as_str() == owner).collect();
        let revoked = of_owner.iter().filter(|row| row.revoked.is_some()).count();
        assert_eq!(of_owner.len(), GROUP);
        assert!(
            revoked == GROUP || revoked == 0 && !acknowledged.ended.contains(owner),
            "{revoked} of {GROUP} are revoked"
        );
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_200_kills_and_nothing_is_half_done() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("tokens.db");
    let began = Instant::now();
    let mut acknowledged = Acknowledged::default();
    let ((least, most), mut kills, mut late, mut count) = (rounds(), 0, 0, 0);
    // The test must not check too little. It needs enough operations of each kind, and enough kills
    // between an operation and its acknowledgement. The minimums are about half of the numbers on a
    // busy machine with two cores.
    let lacking = |acknowledged: &Acknowledged, late: usize| {
        let Acknowledged { issued, revoked, rotated, ended, .. } = acknowledged;
        match () {
            () if ended.len() <= least / 20 => Some("ended "),
            () if rotated.len() <= least / 2 => Some("rotated "),
            () if revoked.len() <= least / 2 => Some("revoked "),
            () if issued.len() <= 3 * least || late <= 10 => Some("issued "),
            () => None,
        }
    };
    while kills < least || kills < most && lacking(&acknowledged, late).is_some() {
        // If one kind of operation was too rare, each further worker lives until it has
        // acknowledged one.
        let act = lacking(&acknowledged, late).filter(|_| kills >= least).unwrap_or("issued ");
        // After these lines, the worker lives for 5 to 40 ms. The durations are spread over the
        // rounds.
        let lives = Duration::from_micros(5_000 + (kills as u64 * 7_919) % 35_001);
        for line in run_and_kill(&database, lives, act) {
            acknowledged.take(&line);
        }
        let store = SqliteStore::open(&database).await.unwrap();
        let rows = rows(&store).await;
        check(&acknowledged, &rows);
        store.pool().close().await;
        let first = |row: &&TokenRecord| row.owner.as_str() == "ada" && row.rotated_from.is_none();
        late = rows.values().filter(first).filter(|row| !acknowledged.issued.contains_key(row.id.as_str())).count();
        (kills, count) = (kills + 1, rows.len());
    }

    let store = SqliteStore::open(&database).await.unwrap();
    let whole: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(store.pool()).await.unwrap();
    assert_eq!(whole, "ok");
    let Acknowledged { issued, revoked, rotated, ending, ended } = &acknowledged;
    println!(
        "{kills} kills in {:?}: acknowledged {} issued, {} revoked, {} rotated, {} groups ended of {} begun; \
         {count} rows, {late} of them issued but not acknowledged",
        began.elapsed(),
        issued.len(),
        revoked.len(),
        rotated.len(),
        ended.len(),
        ending.len(),
    );
    assert_eq!(lacking(&acknowledged, late), None);
}
