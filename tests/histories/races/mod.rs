//! Two processes on one database run two operations on the same tokens at the same time. Each pair
//! of operations runs 40 to 3,000 times, until both orders have occurred. With
//! `KEYFOB_TEST_SIZE=full`, it runs 10,000 times. The result must always be the result of running
//! the two operations one after the other, in one of the two orders.
//!
//! [`managers`] tests this for a managing token and the tokens that it issues.

use std::collections::BTreeMap;
use std::env;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keyfob::{
    Access, Actor, Clock, Error, ErrorKind, Name, NewToken, OwnerId, Policy, SystemClock, TokenId, TokenKey,
    TokenRecord, TokenStore, Tokens,
    record::{RevocationReason, mint_with},
    rotation::Rotation,
    store::{DynStore, LastUse, ListQuery, RevokeGroup, StoreErrorKind, sqlite::SqliteStore},
};

mod managers;
mod pairs;

use pairs::{RACES, Race};
use tempfile::TempDir;

use crate::support::other::{Other, nanos, say};
use crate::support::{Script, actor, base62, keyring, project, size};

/// The maximum number of rounds of a race. Each round has an owner of its own, so each race has
/// this number of owners.
const MOST_ROUNDS: u64 = 10_000;
/// The environment variable that names the database to the other process. The other process is the
/// same test binary.
const DATABASE: &str = "KEYFOB_RACES_DATABASE";
/// The maximum duration of an operation. An operation takes this long only if the two operations
/// wait for each other.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the minimum and the maximum number of rounds of a race. If the minimum is reached before
/// every expected order of the two operations has occurred, the race runs more rounds, up to the
/// maximum.
fn rounds() -> (u64, u64) {
    if size::is_full() { (MOST_ROUNDS, MOST_ROUNDS) } else { (40, 3_000) }
}

fn new_token(owner: &str, name: &str) -> NewToken {
    NewToken::new(project("145"), OwnerId::new(owner).unwrap(), Name::new(name).unwrap())
}

fn key(id: &str) -> TokenKey {
    TokenKey { project: project("145"), id: TokenId::new(id).unwrap() }
}

/// Waits until this time by reading the clock in a loop. A sleep is not exact enough: the two
/// processes would rarely begin their calls at the same time.
fn spin_until(moment: u64) {
    while nanos() < moment {
        std::hint::spin_loop();
    }
}

fn changed<T>(outcome: Result<T, Error>) -> String {
    match outcome {
        Ok(_) => "done".to_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => "none".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// Performs the operation that a line describes, and returns the outcome as a word. Both processes
/// use this function.
async fn perform(store: &DynStore, line: &str) -> String {
    let tokens = Tokens::new(keyring(), store.clone());
    let mut words = line.split(' ');
    let (verb, on) = (words.next().unwrap(), words.next().unwrap());
    let who = Actor::new(words.next().unwrap_or("ada")).unwrap();
    match verb {
        "rotate" => match tokens.rotate(&who, &key(on), Rotation::with_grace(Duration::from_secs(3600))).await {
            Ok(_) => "done".to_owned(),
            Err(error) => match error.kind() {
                ErrorKind::NotFound => "none".to_owned(),
                ErrorKind::AlreadyRotated => "superseded".to_owned(),
                ErrorKind::Ended(status) | ErrorKind::Inactive(status) => status.to_string(),
                _ => format!("{error:?}"),
            },
        },
        "revoke" => {
            let revoked = tokens.revoke(&who, &key(on), RevocationReason::KeyCompromise).await;
            changed(revoked)
        }
        "revoke-all" | "revoke-family" => {
            let group = match verb {
                "revoke-all" => RevokeGroup::Owner(OwnerId::new(on).unwrap()),
                _ => RevokeGroup::Family(TokenId::new(on).unwrap()),
            };
            tokens.revoke_group(&who, &project("145"), &group, RevocationReason::default()).await.unwrap().to_string()
        }
        "rename" => changed(tokens.rename(&who, &key(on), Name::new("renamed").unwrap()).await),
        "disable" => changed(tokens.disable(&who, &key(on)).await),
        "enable" => changed(tokens.enable(&who, &key(on)).await),
        "touch" => {
            let touch = LastUse { key: key(on), used_at: SystemClock.now(), from: None };
            store.touch_many(&[touch]).await.unwrap().to_string()
        }
        "verify" => match tokens.verify(on, &Access::to(&project("145"), &[])).await {
            Ok(_) => "done".to_owned(),
            Err(error) => error.rejection().unwrap().as_str().to_owned(),
        },
        "issue" | "issue-within-2" => {
            let policy = Policy::default();
            let policy = if verb == "issue" { policy } else { policy.with_most_live_per_owner(2) };
            match tokens.with_policy(policy).issue(&who, new_token(on, "raced")).await {
                Ok(_) => "done".to_owned(),
                Err(error) if error.kind() == ErrorKind::Limit => "limit".to_owned(),
                Err(other) => format!("{other:?}"),
            }
        }
        "insert" => {
            let new = new_token(on, who.as_str());
            let mut script = Script::of(on);
            let made = mint_with(&mut script, &keyring(), &Policy::default(), new, &who, SystemClock.now()).unwrap();
            match store.insert(made.record, None, None).await {
                Ok(_) => "done".to_owned(),
                Err(error) if error.kind() == StoreErrorKind::Conflict => "conflict".to_owned(),
                Err(other) => format!("{other:?}"),
            }
        }
        _ => unreachable!("{verb}"),
    }
}

async fn open(database: &str) -> DynStore {
    #[cfg(feature = "mysql")]
    if database.starts_with("mysql:") {
        return DynStore::new(keyfob::store::mysql::MysqlStore::connect(database).await.unwrap());
    }
    #[cfg(feature = "postgres")]
    if database.starts_with("postgres:") {
        return DynStore::new(keyfob::store::postgres::PostgresStore::connect(database).await.unwrap());
    }
    #[cfg(feature = "redis")]
    if database.starts_with("redis:") {
        return DynStore::new(keyfob::store::redis::RedisStore::connect(database.split(',')).await.unwrap());
    }
    DynStore::new(SqliteStore::open(database).await.unwrap())
}

async fn in_time(store: &DynStore, line: &str) -> String {
    let performed = tokio::time::timeout(PATIENCE, perform(store, line)).await;
    performed.unwrap_or_else(|_| panic!("{line:?} did not end in time"))
}

/// Runs the other process. For each line that it reads, the process sends a time that is 0.3
/// milliseconds ahead, and performs the line's operation at that time.
#[test]
#[ignore = "run by the test below"]
fn other_process() {
    let Ok(database) = env::var(DATABASE) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = runtime.block_on(open(&database));
    for line in std::io::stdin().lock().lines() {
        let moment = nanos() + 300_000;
        say(moment);
        spin_until(moment);
        let outcome = runtime.block_on(in_time(&store, &line.unwrap()));
        say(outcome);
    }
}

/// Sends an operation to the other process, and returns the time at which that process will perform
/// it.
fn tell(other: &mut Other, line: &str) -> u64 {
    other.tell(line);
    other.said().parse().unwrap()
}

/// Runs one round with a token and an owner of its own. In half of the rounds, one process starts
/// up to `apart` after the other. Returns the order of the two operations.
async fn round(race: &Race, number: u64, apart: Duration, store: &DynStore, other: &mut Other) -> &'static str {
    let tokens = Tokens::new(keyring(), store.clone());
    let place = RACES.iter().position(|one| one.name == race.name).unwrap() as u64;
    let owner = base62(1 + place * MOST_ROUNDS + number, 15);
    let first = tokens.issue(&actor(), new_token(&owner, "first")).await.unwrap();
    let (id, text) = (first.record.id, first.token.expose_secret());
    let line = |act: &str| act.replace("{id}", id.as_str()).replace("{text}", text).replace("{owner}", &owner);
    for act in race.before {
        assert_eq!(in_time(store, &line(act)).await, "done");
    }

    // Each process performs the first operation in every second round, and the second operation in
    // the other rounds.
    let mine = (number % 2) as usize;
    let moment = tell(other, &line(race.acts[1 - mine]));
    // In half of the rounds, both processes start at the same time. In the other rounds, this
    // process starts up to one millisecond before, or up to `apart` after, the other process.
    let most = 1_000 + apart.as_micros() as u64;
    let micros = if number % 4 < 2 { 1_000 } else { number * 7_919 % (most + 1) };
    spin_until(moment + micros * 1_000 - 1_000_000);
    let my_outcome = in_time(store, &line(race.acts[mine])).await;
    let outcomes = [my_outcome, other.said()];
    let outcomes = [outcomes[mine].as_str(), outcomes[1 - mine].as_str()];

    let query = ListQuery { owner: Some(OwnerId::new(&owner).unwrap()), ..ListQuery::new(project("145")) };
    let rows = store.list(&query).await.unwrap().items;
    let (first, others): (Vec<_>, Vec<_>) = rows.iter().map(AsRef::as_ref).partition(|row: &&TokenRecord| row.id == id);
    let order = (race.order)(outcomes, first[0], &others);

    // In either order, both processes must now reject the revoked token.
    if first[0].revoked.is_some() {
        let verify = format!("verify {text}");
        assert_eq!(in_time(store, &verify).await, "revoked");
        tell(other, &verify);
        assert_eq!(other.said(), "revoked");
    }
    order
}

async fn race_on(database: &str) {
    let store = open(database).await;
    let mut other = Other::start("races::other_process", &[(DATABASE, database)]);
    for race in &RACES {
        println!("{}", race.name);
        let mut orders: BTreeMap<&str, u64> = BTreeMap::new();
        let ((least, most), mut number) = (rounds(), 0);
        let each_came = |orders: &BTreeMap<&str, u64>| race.orders.iter().all(|order| orders.contains_key(order));
        while number < least || number < most && !each_came(&orders) {
            // The slowest operation of an engine takes about four milliseconds. On a loaded machine
            // it takes longer, so the distance doubles every 50 rounds, up to 256 milliseconds,
            // until every order has occurred.
            let doubled = if each_came(&orders) { 0 } else { (number / 50).min(6) };
            let apart = Duration::from_millis(4 << doubled);
            *orders.entry(round(race, number, apart, &store, &mut other).await).or_default() += 1;
            number += 1;
        }
        println!("    {orders:?}");
        assert!(each_came(&orders), "only {orders:?}");
        assert_eq!(orders.values().sum::<u64>(), number);
    }
    other.end();
}

/// An SQLite database file. It is in a folder in memory if the system has one, because a sync costs
/// nothing there.
struct SqliteFile {
    path: PathBuf,
    _folder: TempDir,
}

impl SqliteFile {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        Self { path: folder.path().join("tokens.db"), _folder: folder }
    }

    fn database(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

#[cfg(feature = "postgres")]
async fn postgres_database(server: &crate::support::postgres::Server) -> String {
    let database = server.database();
    keyfob::store::postgres::PostgresStore::connect(&database).await.unwrap().migrate().await.unwrap();
    database
}

#[cfg(feature = "mysql")]
async fn mariadb_database(server: &crate::support::mariadb::Server) -> String {
    let database = server.database();
    keyfob::store::mysql::MysqlStore::connect(&database).await.unwrap().migrate().await.unwrap();
    database
}

#[tokio::test]
async fn two_processes_on_sqlite_give_what_one_order_gives() {
    let file = SqliteFile::new();
    race_on(file.database()).await;
    let store = SqliteStore::open(file.database()).await.unwrap();
    let whole: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(store.pool()).await.unwrap();
    assert_eq!(whole, "ok");
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn two_processes_on_postgres_give_what_one_order_gives() {
    let Some(server) = crate::support::postgres::shared() else { return };
    let database = postgres_database(&server).await;
    race_on(&database).await;
}

#[cfg(feature = "mysql")]
#[tokio::test]
async fn two_processes_on_mariadb_give_what_one_order_gives() {
    let Some(server) = crate::support::mariadb::shared() else { return };
    let database = mariadb_database(&server).await;
    race_on(&database).await;
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn two_processes_on_a_redis_cluster_give_what_one_order_gives() {
    let Some(servers) = crate::support::redis::shared_cluster() else { return };
    race_on(&servers.urls().join(",")).await;
}
