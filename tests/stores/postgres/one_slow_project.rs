//! Checks that a slow project in PostgreSQL does not slow down other projects.
//!
//! A call that changes the tokens of a project first takes the project's turn. The turn is a lock
//! on the project's row in `keyfob_turns`. Only one call can hold it at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use keyfob::{
    Access, ErrorKind, Issued, Name, NewToken, OwnerId, Policy, Status, Timestamp, TokenId, TokenKey, TokenRecord,
    TokenStore, Tokens, mint,
    record::{Disabled, Revocation, RevocationReason},
    rotation::Rotation,
    store::{LiveLimit, PageSize, RevokeGroup, StoreErrorKind, postgres::PostgresStore},
    tokens::Usage,
};
use sqlx::postgres::PgPoolOptions;
use sqlx::{PgPool, Postgres, Transaction};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::support::postgres::shared;
use crate::support::size::is_full;
use crate::support::{actor, keyring, kind_of, new_token, now, project};

/// The number of concurrent calls that issue tokens in the slow project.
const ISSUES: usize = 200;
/// The number of expired tokens of the owner in the slow project.
const DEAD: i64 = 20_000;
/// The maximum number of live tokens of an owner. The owner in the slow project has this many live
/// tokens.
const MOST: u64 = 50;
/// The time for which a test holds the turn of a project: twice as long as a call waits for the
/// turn.
const HELD: Duration = Duration::from_secs(10);

/// The time after which a member repeats a call. If too many calls wait already, a call fails
/// immediately. Without this time, such calls alone would keep the processor busy.
const AGAIN: Duration = Duration::from_millis(50);

/// The permits to run one of these tests. At most two tests run at the same time, because each
/// keeps the machine busy and checks how long calls take.
static PLACES: Semaphore = Semaphore::const_new(2);

/// A service with a quiet project, which has one token. The tests make other projects of this
/// service slow.
struct World {
    tokens: Tokens<PostgresStore>,
    quiet: Issued<Arc<TokenRecord>>,
}

impl World {
    async fn new(store: PostgresStore) -> Self {
        let policy = Policy::default().with_most_live_per_owner(MOST);
        let tokens = Tokens::new(keyring(), store).with_policy(policy);
        let quiet = tokens.issue(&actor(), new_token()).await.unwrap();
        Self { tokens, quiet }
    }

    async fn issue(&self, busy: &str) -> Result<Issued<Arc<TokenRecord>>, ErrorKind> {
        let new = NewToken::new(project(busy), OwnerId::new("mallory").unwrap(), Name::new("CI").unwrap());
        kind_of(self.tokens.issue(&actor(), new).await)
    }

    /// Issues tokens in the project `busy` until the owner has reached the limit, and adds many
    /// expired tokens.
    async fn fill(&self, busy: &str) {
        let issued = self.issue(busy).await.unwrap();
        expired_copies(self.tokens.store().pool(), &issued.record.id).await;
        for _ in 1..MOST {
            self.issue(busy).await.unwrap();
        }
    }

    /// Verifies the token of the quiet project, and returns how long the verification took.
    async fn verify(&self) -> Duration {
        let asked = Instant::now();
        let access = Access::to(&self.quiet.record.project, &[]);
        let verified = self.tokens.verify(self.quiet.token.expose_secret(), &access).await;
        assert!(verified.is_ok(), "{:?} after {:?}", verified.err(), asked.elapsed());
        asked.elapsed()
    }
}

async fn expired_copies(pool: &PgPool, id: &TokenId) {
    let columns = "prefix, project, digest, name, name_folded, owner, kind, scopes, metadata, addresses, created_at, created_by, \
                   family, notice_leases, version";
    let more = format!(
        "INSERT INTO keyfob_tokens (id, expires_at, {columns}) \
         SELECT '1' || lpad(n::text, 15, '0'), created_at + 1, {columns} \
         FROM keyfob_tokens, generate_series(1, {DEAD}) AS n WHERE id = '{id}'"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(more)).execute(pool).await.unwrap();
}

/// Takes the turn of a project and holds it, like a process that is frozen in the middle of a call.
async fn hold_turn(pool: &PgPool, project: &str) -> Transaction<'static, Postgres> {
    let make = "INSERT INTO keyfob_turns (project) VALUES ($1) ON CONFLICT DO NOTHING";
    sqlx::query(make).bind(project).execute(pool).await.unwrap();
    let mut turn = pool.begin().await.unwrap();
    let lock = "SELECT 1 FROM keyfob_turns WHERE project = $1 FOR UPDATE";
    sqlx::query(lock).bind(project).execute(&mut *turn).await.unwrap();
    turn
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_issues_hardly_slow_verification_in_another_project() {
    // Short rounds alternate with and without the load, so that other load on the machine affects
    // both in the same way.
    let (rounds, samples) = if is_full() { (100, 60) } else { (8, 30) };
    /// The time after which a round of verifications stops early. A round takes this long only if
    /// verifications wait for the calls that issue tokens.
    const ROUND: Duration = Duration::from_secs(5);
    let Some(server) = shared() else { return };
    let _place = PLACES.acquire().await.unwrap();
    let world = Arc::new(World::new(server.store().await).await);
    world.fill("666").await;
    let sample = async |times: &mut Vec<Duration>| {
        let begun = Instant::now();
        for _ in 0..samples {
            times.push(world.verify().await);
            if begun.elapsed() > ROUND {
                break;
            }
        }
    };
    let (mut quiet, mut beside) = (Vec::new(), Vec::new());
    let refused = Arc::new(AtomicU64::new(0));
    for _ in 0..rounds {
        sample(&mut quiet).await;
        let stop = Arc::new(AtomicBool::new(false));
        let mut issues = JoinSet::new();
        for _ in 0..ISSUES {
            let (world, stop, refused) = (Arc::clone(&world), Arc::clone(&stop), Arc::clone(&refused));
            issues.spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    match world.issue("666").await {
                        Err(ErrorKind::Limit) => drop(refused.fetch_add(1, Ordering::SeqCst)),
                        // On a busy machine, a call waits for the turn for longer than its limit.
                        Err(ErrorKind::Unavailable) => {}
                        outcome => panic!("{:?}", outcome.err()),
                    }
                }
            });
        }
        // Wait until the limit has refused a token in this round.
        let before = refused.load(Ordering::SeqCst);
        while refused.load(Ordering::SeqCst) == before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        sample(&mut beside).await;
        stop.store(true, Ordering::SeqCst);
        while let Some(issue) = issues.join_next().await {
            issue.unwrap();
        }
    }
    let (quiet, beside) = (middle(quiet), middle(beside));
    println!(
        "median duration of a verification: {quiet:?}, and {beside:?} during {ISSUES} concurrent issues; {refused:?} issues were refused"
    );
    assert!(beside <= 3 * quiet, "a verification took {beside:?} during the issues, and {quiet:?} without them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_another_process_holds_stops_no_other_project() {
    let Some(server) = shared() else { return };
    let _place = PLACES.acquire().await.unwrap();
    let world = Arc::new(World::new(server.store().await).await);
    let of_busy = world.issue("666").await.unwrap();
    let other = PgPool::connect_with(world.tokens.store().pool().connect_options().as_ref().clone()).await.unwrap();
    let turn = hold_turn(&other, "666").await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut issues = JoinSet::new();
    for _ in 0..ISSUES {
        let (world, stop) = (Arc::clone(&world), Arc::clone(&stop));
        issues.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                match world.issue("666").await {
                    Ok(_) | Err(ErrorKind::Limit) => {}
                    Err(error) => assert_eq!(error, ErrorKind::Unavailable),
                }
                tokio::time::sleep(AGAIN).await;
            }
        });
    }
    let (begun, mut verified, mut issued) = (Instant::now(), 0, 0);
    let access = Access::to(&of_busy.record.project, &[]);
    while begun.elapsed() < HELD {
        world.verify().await;
        let of_busy = world.tokens.verify(of_busy.token.expose_secret(), &access).await;
        assert!(of_busy.is_ok(), "{:?} after {:?}", of_busy.err(), begun.elapsed());
        verified += 2;
        let elsewhere = world.issue(&format!("n{}", issued / 20)).await;
        assert!(elsewhere.is_ok(), "{:?} after {:?}", elsewhere.err(), begun.elapsed());
        issued += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("{verified} verified, and {issued} issued in other projects, while the turn was held");
    // A verification that waits for the turn takes seconds: the time limit of the issues before it.
    assert!(verified > 40, "only {verified} verifications ended while the turn was held");
    drop(turn);
    stop.store(true, Ordering::SeqCst);
    while let Some(issue) = issues.join_next().await {
        issue.unwrap();
    }
    // After the turn is free, calls that waited for it continue.
    let outcome = world.issue("666").await;
    assert!(matches!(outcome, Ok(_) | Err(ErrorKind::Limit)), "{:?}", outcome.err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_dropped_while_they_wait_keep_no_connection() {
    const ROUNDS: usize = 6;
    const CALLS: usize = 50;
    let Some(server) = shared() else { return };
    let _place = PLACES.acquire().await.unwrap();
    let world = Arc::new(World::new(server.store().await).await);
    let of_busy = world.issue("666").await.unwrap();
    let other = PgPool::connect_with(world.tokens.store().pool().connect_options().as_ref().clone()).await.unwrap();
    let turn = hold_turn(&other, "666").await;
    let mut row = other.begin().await.unwrap();
    let lock = "SELECT 1 FROM keyfob_tokens WHERE id = $1 FOR UPDATE";
    sqlx::query(lock).bind(of_busy.record.id.as_str()).execute(&mut *row).await.unwrap();
    for round in 0..ROUNDS {
        let mut calls = JoinSet::new();
        for call in 0..CALLS {
            let (world, key) = (Arc::clone(&world), of_busy.record.key());
            calls.spawn(async move {
                // Half of the calls wait for the turn of a project, and half wait for the lock of a
                // token's row.
                if call % 2 == 0 {
                    world.issue("666").await.is_ok()
                } else {
                    world.tokens.revoke(&actor(), &key, RevocationReason::KeyCompromise).await.is_ok()
                }
            });
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        calls.shutdown().await;
        world.verify().await;
        assert!(world.issue(&format!("n{round}")).await.is_ok(), "round {round}");
    }
    drop((turn, row));
    assert!(world.issue("666").await.is_ok());
    assert!(world.tokens.revoke(&actor(), &of_busy.record.key(), RevocationReason::KeyCompromise).await.is_ok());
}

/// The revocation of a group can lock many rows for a long time, and other calls wait for these
/// rows. Calls in other projects must not wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_stay_locked_stop_no_other_project() {
    let Some(server) = shared() else { return };
    let _place = PLACES.acquire().await.unwrap();
    let world = Arc::new(World::new(server.store().await).await);
    let of_busy = world.issue("666").await.unwrap();
    let other = PgPool::connect_with(world.tokens.store().pool().connect_options().as_ref().clone()).await.unwrap();
    let mut row = other.begin().await.unwrap();
    let lock = "SELECT 1 FROM keyfob_tokens WHERE id = $1 FOR UPDATE";
    sqlx::query(lock).bind(of_busy.record.id.as_str()).execute(&mut *row).await.unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..ISSUES {
        let (world, key) = (Arc::clone(&world), of_busy.record.key());
        calls.spawn(async move {
            world
                .tokens
                .revoke(&actor(), &key, RevocationReason::KeyCompromise)
                .await
                .map(drop)
                .map_err(|error| error.kind())
        });
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    for round in 0..10 {
        world.verify().await;
        let elsewhere = world.issue(&format!("n{round}")).await.unwrap();
        let revoked = world.tokens.revoke(&actor(), &elsewhere.record.key(), RevocationReason::KeyCompromise).await;
        revoked.unwrap();
    }
    while let Some(call) = calls.join_next().await {
        assert_eq!(call.unwrap(), Err(ErrorKind::Unavailable));
    }
}

/// Before an insert with a limit, the store counts the owner's live tokens with an index. The index
/// contains no ended tokens.
#[tokio::test]
async fn a_limited_insert_reads_no_dead_token() {
    const ASKED: i64 = 20;
    let Some(server) = shared() else { return };
    let pool = PgPoolOptions::new().max_connections(1).connect(&server.database()).await.unwrap();
    let store = PostgresStore::from_pool(pool).await.unwrap();
    store.migrate().await.unwrap();
    let world = World::new(store).await;
    world.fill("666").await;
    let read = async || {
        const READ: &str = "SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE relname = 'keyfob_tokens'";
        let pool = world.tokens.store().pool();
        sqlx::raw_sql("SELECT pg_stat_force_next_flush()").execute(pool).await.unwrap();
        sqlx::query_scalar::<_, i64>(READ).fetch_one(pool).await.unwrap()
    };
    let before = read().await;
    for _ in 0..ASKED {
        assert!(matches!(world.issue("666").await, Err(ErrorKind::Limit)));
    }
    let read = read().await - before;
    // Each call reads the index entries of the live tokens. The margin is for the look-up of the
    // new token's key.
    assert!(read <= ASKED * (MOST as i64 + 10), "{read} entries of indices for {ASKED} refused inserts");
}

/// The limit of live tokens counts exactly those tokens for which `Status::is_live` returns true.
/// The test uses times just before, at and just after the current time.
#[tokio::test]
async fn the_limit_counts_just_the_tokens_that_are_live() {
    let Some(server) = shared() else { return };
    let store = server.store().await;
    let template = mint(&keyring(), &Policy::default(), new_token(), &actor(), now()).unwrap().record;
    let ms = Duration::from_millis(1);
    let times = [None, Some(now().saturating_sub(ms)), Some(now()), now().checked_add(ms)];
    let (mut number, mut live) = (0, 0);
    let mut record = |change: &dyn Fn(&mut TokenRecord)| {
        let mut record = template.clone();
        record.id = TokenId::new(&format!("1{number:015}")).unwrap();
        number += 1;
        change(&mut record);
        record
    };
    for flags in 0..8 {
        for (grace_until, confirm_by, expires_at) in combinations(&times) {
            let record = record(&|record| {
                (record.grace_until, record.confirm_by, record.expires_at) = (grace_until, confirm_by, expires_at);
                record.not_before = (flags & 1 != 0).then_some(Timestamp::MAX);
                record.disabled = (flags & 2 != 0).then(|| Disabled { at: now(), by: actor() });
                let revocation = Revocation { at: now(), by: actor(), reason: RevocationReason::KeyCompromise };
                record.revoked = (flags & 4 != 0).then_some(revocation);
            });
            live += u64::from(record.status(now()).is_live());
            store.insert(record, None, None).await.unwrap();
        }
    }
    let limit = |most| Some(LiveLimit { most, now: now() });
    for most in [0, 1, live] {
        let refused = store.insert(record(&|_| ()), limit(most), None).await.unwrap_err();
        assert_eq!(refused.kind(), StoreErrorKind::Limit, "{most} of {live}");
    }
    let existing = store.insert(template.clone(), None, None).await.unwrap();
    let refused = store.insert(existing.as_ref().clone(), limit(0), None).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Conflict, "a conflict is reported before the limit");
    live += u64::from(existing.status(now()).is_live());
    store.insert(record(&|_| ()), limit(live + 1), None).await.unwrap();
    store.insert(record(&|_| ()), limit(u64::MAX), None).await.unwrap();
}

fn combinations<T: Copy>(values: &[T]) -> impl Iterator<Item = (T, T, T)> {
    values.iter().flat_map(move |a| values.iter().flat_map(move |b| values.iter().map(move |c| (*a, *b, *c))))
}

/// Runs `meanwhile` while one member floods a project: the member repeats the operation `act` in
/// 1,500 concurrent calls. This is more calls than may wait in the store.
async fn flood<A: Future<Output = ()> + Send + 'static>(
    tokens: &Arc<Tokens<PostgresStore>>,
    act: fn(Arc<Tokens<PostgresStore>>, TokenKey) -> A,
    meanwhile: impl AsyncFnOnce(),
) {
    let mallorys = NewToken::new(project("145"), OwnerId::new("mallory").unwrap(), Name::new("CI").unwrap());
    let mallorys = tokens.issue(&actor(), mallorys).await.unwrap().record.key();
    let (stop, mut flood) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
    for _ in 0..1_500 {
        let (tokens, stop) = (Arc::clone(tokens), Arc::clone(&stop));
        flood.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                act(Arc::clone(&tokens), mallorys).await;
                tokio::time::sleep(AGAIN).await;
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    meanwhile().await;
    stop.store(true, Ordering::SeqCst);
    flood.join_all().await;
}

/// While one member floods a project, the service must still revoke a leaked token of another
/// member.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_changes_does_not_refuse_a_revocation() {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let Some(server) = shared() else { return };
    let _place = PLACES.acquire().await.unwrap();
    let tokens = Arc::new(Tokens::new(keyring(), server.store().await));
    let mut leaked = Vec::new();
    for _ in 0..20 {
        leaked.push(tokens.issue(&actor(), new_token()).await.unwrap().record.key());
    }
    let mut refused = Vec::new();
    flood(
        &tokens,
        |tokens, key| async move {
            let name = Name::new(&format!("CI {}", NEXT.fetch_add(1, Ordering::SeqCst))).unwrap();
            drop(tokens.rename(&actor(), &key, name).await);
        },
        async || {
            for key in &leaked {
                refused.extend(tokens.revoke(&actor(), key, RevocationReason::KeyCompromise).await.err());
            }
        },
    )
    .await;
    assert!(refused.is_empty(), "{} of 20 refused, the first {:?}", refused.len(), refused[0]);
}

/// While one member floods a project, the service must still revoke all tokens of this member and
/// all tokens of another member.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_rotations_does_not_refuse_the_revocation_of_an_owner() {
    let Some(server) = shared() else { return };
    let _place = PLACES.acquire().await.unwrap();
    let tokens = Arc::new(Tokens::new(keyring(), server.store().await));
    tokens.issue(&actor(), new_token()).await.unwrap();
    let mut refused = Vec::new();
    flood(
        &tokens,
        |tokens, key| async move {
            let rotation = Rotation::with_grace(Duration::ZERO).with_retry("r1".parse().unwrap(), HELD);
            drop(tokens.rotate(&actor(), &key, rotation).await);
        },
        async || {
            for owner in ["ada", "mallory"].repeat(10) {
                let group = RevokeGroup::Owner(OwnerId::new(owner).unwrap());
                let reason = RevocationReason::KeyCompromise;
                refused.extend(tokens.revoke_group(&actor(), &project("145"), &group, reason).await.err());
            }
        },
    )
    .await;
    assert!(refused.is_empty(), "{} of 20 refused, the first {:?}", refused.len(), refused[0]);
}

/// A frozen process holds the turns of five projects. It cannot hold more turns, because it uses
/// only half of the ten connections of its pool for turns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_turns_that_one_frozen_process_holds_stop_no_other_project() {
    const HELD_TURNS: usize = 5;
    let Some(server) = shared() else { return };
    let _place = PLACES.acquire().await.unwrap();
    let world = Arc::new(World::new(server.store().await).await);
    let other = PgPool::connect_with(world.tokens.store().pool().connect_options().as_ref().clone()).await.unwrap();
    let mut turns = Vec::new();
    for number in 0..HELD_TURNS {
        let busy = format!("busy{number}");
        world.issue(&busy).await.unwrap();
        turns.push(hold_turn(&other, &busy).await);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let mut issues = JoinSet::new();
    for number in 0..HELD_TURNS * 2 {
        let (world, stop) = (Arc::clone(&world), Arc::clone(&stop));
        issues.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                drop(world.issue(&format!("busy{}", number % HELD_TURNS)).await);
            }
        });
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (begun, mut answers) = (Instant::now(), Vec::new());
    let lasts = if is_full() { HELD - Duration::from_secs(1) } else { Duration::from_secs(3) };
    while begun.elapsed() < lasts {
        world.verify().await;
        let asked = Instant::now();
        let issued = world.issue(&format!("n{}", answers.len() / 20)).await.map(drop);
        let group = RevokeGroup::Owner(OwnerId::new("mallory").unwrap());
        let reason = RevocationReason::KeyCompromise;
        let revoked = world.tokens.revoke_group(&actor(), &project("quiet"), &group, reason).await;
        answers.push((asked.elapsed(), issued.is_ok(), revoked.is_ok()));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(turns);
    stop.store(true, Ordering::SeqCst);
    issues.join_all().await;
    let failed = answers.iter().filter(|(_, issued, revoked)| !issued || !revoked).count();
    let slowest = answers.iter().map(|(took, ..)| *took).max().unwrap();
    assert!(
        failed == 0,
        "in other projects {failed} of {} calls failed, and the slowest took {slowest:?}",
        answers.len()
    );
}

/// One member makes more calls in a project than may wait in the store. The id of this project
/// sorts before the id of another project. The last uses in the other project must be written,
/// because the policy's rule on unused tokens needs them.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_in_one_project_keeps_no_last_use_of_another_from_being_written() {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let Some(server) = shared() else { return };
    let _place = PLACES.acquire().await.unwrap();
    let tokens = Tokens::new(keyring(), server.store().await);
    let tokens = Arc::new(tokens.with_usage(Usage::default().with_resolution(Duration::ZERO)));
    let mut made = Vec::new();
    for of in ["145", "900"] {
        let new = NewToken::new(project(of), OwnerId::new("ada").unwrap(), Name::new("CI").unwrap());
        made.push(tokens.issue(&actor(), new).await.unwrap());
    }
    let mut flushed = Vec::new();
    flood(
        &tokens,
        |tokens, key| async move {
            let name = Name::new(&format!("CI {}", NEXT.fetch_add(1, Ordering::SeqCst))).unwrap();
            drop(tokens.rename(&actor(), &key, name).await);
        },
        async || {
            for made in &made {
                let access = Access::to(&made.record.project, &[]);
                tokens.verify(made.token.expose_secret(), &access).await.unwrap();
            }
            for _ in 0..2 {
                flushed.push(tokens.flush_usage().await.map_err(|error| error.to_string()));
            }
            let quiet = tokens.get(&made[1].record.key()).await.unwrap().unwrap();
            assert!(quiet.last_used_at.is_some(), "the last use in the quiet project is not written: {flushed:?}");
        },
    )
    .await;
}

/// One member makes more calls in a project than may wait in the store. The id of this project
/// sorts before the id of another project. A call must still claim the notice in the other project.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_in_one_project_keeps_no_notice_of_another_from_being_sent() {
    let Some(server) = shared() else { return };
    let _place = PLACES.acquire().await.unwrap();
    let tokens = Arc::new(Tokens::new(keyring(), server.store().await));
    let new = NewToken::new(project("900"), OwnerId::new("ada").unwrap(), Name::new("CI").unwrap());
    let mut record = mint(&keyring(), &Policy::default(), new, &actor(), tokens.now()).unwrap().record;
    record.notice_lead = None;
    tokens.store().insert(record, None, None).await.unwrap();
    flood(
        &tokens,
        |tokens, key| async move {
            let rotation = Rotation::with_grace(Duration::ZERO).with_retry("r1".parse().unwrap(), HELD);
            drop(tokens.rotate(&actor(), &key, rotation).await);
        },
        async || {
            let mut claimed = Vec::new();
            for _ in 0..2 {
                let notices = tokens.claim_notices(HELD, PageSize::MAX).await;
                claimed.push(notices.map(|notices| notices.len()).map_err(|error| error.to_string()));
            }
            assert!(claimed.contains(&Ok(1)), "the notice in the quiet project is not sent: {claimed:?}");
        },
    )
    .await;
}

/// The holder of a token renames it again and again. So `disable` can fail, because it requires
/// that the version has not changed. `revoke` does not require this.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_renamed_all_the_time_can_be_revoked() {
    let Some(server) = shared() else { return };
    let _place = PLACES.acquire().await.unwrap();
    let tokens = Arc::new(Tokens::new(keyring(), server.store().await));
    let mut keys = Vec::new();
    for _ in 0..5 {
        keys.push(tokens.issue(&actor(), new_token()).await.unwrap().record.key());
    }
    let (stop, mut holder) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
    for number in 0..32 {
        let (tokens, keys, stop) = (Arc::clone(&tokens), keys.clone(), Arc::clone(&stop));
        holder.spawn(async move {
            for round in 0_u64.. {
                for key in &keys {
                    let name = Name::new(&format!("CI {number} {round}")).unwrap();
                    drop(tokens.rename(&actor(), key, name).await);
                }
                if stop.load(Ordering::SeqCst) {
                    break;
                }
            }
        });
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let mut revoked = Vec::new();
    for key in &keys {
        let view = tokens.revoke(&actor(), key, RevocationReason::KeyCompromise).await;
        revoked.push(view.map(|view| view.status));
    }
    stop.store(true, Ordering::SeqCst);
    holder.join_all().await;
    assert!(revoked.iter().all(|status| matches!(status, Ok(Status::Revoked))), "{revoked:?}");
}
