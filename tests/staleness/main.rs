//! One process revokes tokens, and another verifies them through its cache, without a pause, in eight tasks: no token is accepted in
//! a verification that begins later than the bound after its revocation was acknowledged.

use std::env;
use std::io::BufRead;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use keyfob::{
    Access, Cached, ErasedStore, Feed, Name, NewToken, OwnerId, PostgresStore, RedisStore, RevocationReason,
    RevokeGroup, TokenKey, TokenStore, Tokens,
};

#[path = "../support/mod.rs"]
mod support;

use support::other::{Other, nanos, say};
use support::{actor, base62, keyring, project};

const BOUND: Duration = Duration::from_millis(200);
const TASKS: usize = 8;
/// How many tokens live at once, and of how many owners half of them are.
const TOKENS: usize = 100;
const OWNERS: usize = 2;
const ROUNDS: usize = 100;
/// How many verifications a task makes between two pauses of a millisecond.
const BURST: usize = 48;
/// Of the verifications, in the test whose cache must forget.
const HITS: f64 = 0.9;

const DATABASE: &str = "KEYFOB_STALENESS_DATABASE";
const FEED: &str = "KEYFOB_STALENESS_FEED";
const FORGETS: &str = "KEYFOB_STALENESS_FORGETS";

/// A store of the engine at this address behind a cache, which follows the feed where it is to.
async fn open(database: &str, bound: Duration, follows: bool) -> Cached<ErasedStore> {
    if database.starts_with("redis:") {
        let store = RedisStore::connect(database.split(',')).await.unwrap().with_feed();
        let feed = follows.then(|| store.feed());
        cached(store, bound, feed)
    } else {
        let store = PostgresStore::connect(database).await.unwrap().telling_changes();
        let feed = follows.then(|| store.feed());
        cached(store, bound, feed)
    }
}

fn cached(store: impl TokenStore + 'static, bound: Duration, feed: Option<impl Feed + 'static>) -> Cached<ErasedStore> {
    let cached = Cached::new(ErasedStore::new(store), bound);
    if let Some(feed) = feed {
        let following = cached.clone();
        tokio::spawn(async move { following.follow(feed).await });
    }
    cached
}

/// A token as the other process knows it.
struct Watched {
    text: String,
    /// When the last verification began that accepted it.
    accepted: AtomicU64,
}

type Service = Tokens<Cached<ErasedStore>>;

async fn outcome(tokens: &Service, text: &str) -> &'static str {
    match tokens.verify(text, &Access::to(&project("145"), &[])).await {
        Ok(_) => "ok",
        Err(error) => error.rejection().map_or("unavailable", |rejection| rejection.as_str()),
    }
}

/// Verifies one token after the other, for ever.
async fn verify_on(tokens: Arc<Service>, watched: Arc<RwLock<Vec<Arc<Watched>>>>, task: usize) {
    let mut next = task;
    loop {
        for _ in 0..BURST {
            next += 1;
            let token = {
                let watched = watched.read().unwrap();
                // A step that meets all of them, though not in their order.
                (!watched.is_empty()).then(|| Arc::clone(&watched[next * 37 % watched.len()]))
            };
            let Some(token) = token else { break };
            let began = nanos();
            if outcome(&tokens, &token.text).await == "ok" {
                token.accepted.fetch_max(began, Ordering::SeqCst);
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The other process: it hears of tokens, and says when it last accepted each.
#[test]
#[ignore = "run by the tests below"]
fn other_process() {
    let Ok(database) = env::var(DATABASE) else { return };
    let bound = if env::var(FORGETS).is_ok() { BOUND } else { Duration::MAX };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let cached = runtime.block_on(open(&database, bound, env::var(FEED).is_ok()));
    let tokens = Arc::new(Tokens::new(keyring(), cached));
    let watched: Arc<RwLock<Vec<Arc<Watched>>>> = Arc::default();
    for task in 0..TASKS {
        runtime.spawn(verify_on(Arc::clone(&tokens), Arc::clone(&watched), task));
    }
    let mut heard = Vec::new();
    for line in std::io::stdin().lock().lines() {
        match line.unwrap().as_str() {
            // All are accepted before the first is revoked.
            "watch" => {
                *watched.write().unwrap() = std::mem::take(&mut heard);
                let accepted = |token: &Arc<Watched>| token.accepted.load(Ordering::SeqCst) > 0;
                while !watched.read().unwrap().iter().all(accepted) {
                    std::thread::sleep(Duration::from_millis(1));
                }
                say("all accepted");
            }
            // Once more, each.
            "end" => {
                let ended = std::mem::take(&mut *watched.write().unwrap());
                for token in ended {
                    let outcome = runtime.block_on(outcome(&tokens, &token.text));
                    say(format_args!("{} {outcome}", token.accepted.load(Ordering::SeqCst)));
                }
            }
            "counts" => {
                let counts = tokens.store().counts();
                say(format_args!("{} {} {}", counts.hits, counts.misses + counts.joined, counts.feed_losses));
            }
            text => heard.push(Arc::new(Watched { text: text.to_owned(), accepted: AtomicU64::new(0) })),
        }
    }
}

/// What came of it.
#[derive(Debug, Default)]
struct Seen {
    /// Between the acknowledgement of each revocation and the last verification that accepted the token, where it began later.
    delays: Vec<Duration>,
    /// Tried again when all was over, and accepted.
    never_refused: usize,
    hit_rate: f64,
    feed_losses: u64,
}

impl Seen {
    /// Accepted later than the bound allows.
    fn too_late(&self) -> usize {
        self.delays.iter().filter(|delay| **delay > BOUND).count()
    }

    fn percentile(&mut self, percent: usize) -> Duration {
        self.delays.sort();
        self.delays[(self.delays.len() - 1) * percent / 100]
    }
}

async fn revoke_against(database: &str, environment: &[(&str, &str)], rounds: usize) -> Seen {
    let tokens = Tokens::new(keyring(), open(database, Duration::ZERO, false).await);
    let mut other = Other::start("other_process", &[environment, &[(DATABASE, database)]].concat());
    let mut seen = Seen::default();
    for round in 0..rounds {
        let mut keys: Vec<TokenKey> = Vec::new();
        for number in 0..TOKENS {
            // The first half of the tokens are each one's own, the others of some owners.
            let place = if number < TOKENS / 2 { number } else { TOKENS + number % OWNERS };
            let owner = OwnerId::new(&base62((round * 2 * TOKENS + place) as u64, 8)).unwrap();
            let new = NewToken::new(project("145"), owner, Name::new("watched").unwrap());
            let issued = tokens.issue(&actor(), new).await.unwrap();
            other.tell(issued.token.expose_secret());
            keys.push(issued.record.key());
        }
        other.tell("watch");
        assert_eq!(other.said(), "all accepted");

        let mut revoked_at = vec![0; TOKENS];
        for (number, key) in keys.iter().enumerate().take(TOKENS / 2) {
            tokens.revoke(&actor(), key, RevocationReason::KeyCompromise).await.unwrap();
            revoked_at[number] = nanos();
        }
        for place in 0..OWNERS {
            let owner = OwnerId::new(&base62((round * 2 * TOKENS + TOKENS + place) as u64, 8)).unwrap();
            let group = RevokeGroup::Owner(owner);
            let reason = RevocationReason::KeyCompromise;
            let revoked = tokens.revoke_group(&actor(), &project("145"), &group, reason).await.unwrap();
            assert_eq!(revoked as usize, TOKENS / 2 / OWNERS);
            let of_owner = (TOKENS / 2..TOKENS).filter(|number| number % OWNERS == place);
            of_owner.for_each(|number| revoked_at[number] = nanos());
        }
        tokio::time::sleep(BOUND + Duration::from_millis(1)).await;
        other.tell("end");
        for revoked_at in revoked_at {
            let said = other.said();
            let (accepted, last) = said.split_once(' ').unwrap();
            assert!(["ok", "revoked"].contains(&last), "{last}");
            seen.never_refused += usize::from(last == "ok");
            seen.delays.push(Duration::from_nanos(accepted.parse::<u64>().unwrap().saturating_sub(revoked_at)));
        }
    }
    other.tell("counts");
    let counts: Vec<u64> = other.said().split(' ').map(|count| count.parse().unwrap()).collect();
    other.end();
    seen.hit_rate = counts[0] as f64 / (counts[0] + counts[1]) as f64;
    seen.feed_losses = counts[2];
    seen
}

async fn is_bounded(engine: &str, database: &str) {
    // One at a time, as each keeps the machine busy.
    static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _alone = ALONE.lock().await;
    for feed in [false, true] {
        let environment: &[_] = if feed { &[(FORGETS, "1"), (FEED, "1")] } else { &[(FORGETS, "1")] };
        let mut seen = revoke_against(database, environment, ROUNDS).await;
        println!(
            "{engine}, feed {}: {} revocations, delay 50 % {:?}, 99 % {:?}, most {:?}; hits {:.1} %; feed lost {}",
            if feed { "on" } else { "off" },
            seen.delays.len(),
            seen.percentile(50),
            seen.percentile(99),
            seen.percentile(100),
            seen.hit_rate * 100.0,
            seen.feed_losses,
        );
        assert_eq!((seen.delays.len(), seen.too_late(), seen.never_refused), (ROUNDS * TOKENS, 0, 0));
        assert!(seen.hit_rate >= HITS, "{}", seen.hit_rate);
    }
    // What is never too old is accepted for ever: each of the two measures can fail.
    let seen = revoke_against(database, &[], 1).await;
    assert!(seen.never_refused > 0 && seen.too_late() > 0, "{seen:?}");
}

#[tokio::test]
async fn no_revoked_token_is_accepted_beyond_the_bound_on_postgres() {
    let Some(server) = support::postgres::shared() else { return };
    let database = server.database();
    PostgresStore::connect(&database).await.unwrap().migrate().await.unwrap();
    is_bounded("PostgreSQL", &database).await;
}

#[tokio::test]
async fn no_revoked_token_is_accepted_beyond_the_bound_on_a_redis_cluster() {
    let Some(servers) = support::redis::shared_cluster() else { return };
    is_bounded("Redis Cluster", &servers.urls().join(",")).await;
}
