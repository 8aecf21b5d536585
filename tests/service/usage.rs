//! Tests of the last uses of tokens: how often they are written, what happens if the store fails,
//! and how the policy's rule on unused tokens uses them.

use std::collections::HashMap;
use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use keyfob::{
    Access, ErrorKind, Issued, Lifetime, MemoryStore, Name, NewToken, OwnerId, Policy, ProjectId, Rejection, Timestamp,
    TokenKey, TokenRecord, TokenStore, Tokens,
    clock::FixedClock,
    policy::PolicyBreach,
    store::{LastUse, ListQuery, PageSize, StoreError, StoreErrorKind},
    tokens::Usage,
};

use crate::support::{actor, keyring, new_token, now, project};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

type Made = Issued<std::sync::Arc<TokenRecord>>;

/// A store that records the number of last uses in each call of `touch_many`.
struct Watched<S> {
    store: S,
    batches: Mutex<Vec<usize>>,
    touching: Mutex<Touching>,
}

#[derive(Clone, Copy)]
enum Touching {
    Works,
    Fails,
    /// Fails without writing anything if one of the last uses is in this project.
    FailsIn(ProjectId),
    Hangs,
    /// Lets other tasks run, and then writes the last uses.
    GivesWay,
    /// Reports that it has written the last uses, but does not write them. So later reads do not
    /// return them, as if a replica lagged.
    Lags,
}

impl<S> Watched<S> {
    fn new(store: S) -> Self {
        Self { store, batches: Mutex::default(), touching: Mutex::new(Touching::Works) }
    }

    fn batches(&self) -> Vec<usize> {
        self.batches.lock().unwrap().clone()
    }

    fn set(&self, touching: Touching) {
        *self.touching.lock().unwrap() = touching;
    }
}

impl<S: TokenStore> TokenStore for Watched<S> {
    handed_on!(store: insert, find, find_recent, list, count, update, revoke, revoke_owner, revoke_family, revoke_issued_by, revoke_batch, rotate);

    async fn touch_many(&self, touches: &[LastUse]) -> Result<u64, StoreError> {
        self.batches.lock().unwrap().push(touches.len());
        let touching = *self.touching.lock().unwrap();
        match touching {
            Touching::FailsIn(project) if touches.iter().any(|touch| touch.key.project == project) => {
                Err(StoreError::new(StoreErrorKind::Unavailable))
            }
            Touching::Works | Touching::FailsIn(_) => self.store.touch_many(touches).await,
            Touching::Fails => Err(StoreError::new(StoreErrorKind::Unavailable)),
            Touching::Hangs => pending().await,
            Touching::GivesWay => {
                tokio::task::yield_now().await;
                self.store.touch_many(touches).await
            }
            Touching::Lags => Ok(touches.len() as u64),
        }
    }
}

type Service<S> = Tokens<Watched<S>>;

fn service<S: TokenStore>(store: S, usage: Usage) -> (FixedClock, Service<S>) {
    let clock = FixedClock::new(now());
    (clock.clone(), Tokens::new(keyring(), Watched::new(store)).with_clock(clock).with_usage(usage))
}

async fn issue<S: TokenStore>(tokens: &Service<S>) -> Made {
    make(tokens, new_token()).await
}

async fn make<S: TokenStore>(tokens: &Service<S>, new: NewToken) -> Made {
    tokens.issue(&actor(), new.with_lifetime(Lifetime::For(300 * DAY))).await.unwrap()
}

async fn outcome<S: TokenStore>(tokens: &Service<S>, made: &Made) -> Result<(), Option<Rejection>> {
    let access = Access::to(&made.record.project, &[]);
    tokens.verify(made.token.expose_secret(), &access).await.map(drop).map_err(|error| error.rejection())
}

async fn last_use<S: TokenStore>(tokens: &Service<S>, made: &Made) -> Option<Timestamp> {
    tokens.get(&made.record.key()).await.unwrap().unwrap().last_used_at
}

/// Returns the time of the last use of every token in the store.
async fn rows<S: TokenStore>(tokens: &Service<S>) -> HashMap<TokenKey, Option<Timestamp>> {
    let mut query = ListQuery::new(project("145"));
    query.most = PageSize::MAX;
    let page = tokens.list(&query).await.unwrap();
    assert!(page.next.is_none());
    page.items.iter().map(|view| (TokenKey { project: view.project, id: view.id }, view.last_used_at)).collect()
}

/// Checks how often last uses are written. The resolution is the minimum time between two written
/// uses of a token. Within this time, the test verifies a hundred tokens `rounds` times each, and
/// flushes five times.
async fn one_window_costs_one_update_a_token<S: TokenStore>(store: S, rounds: u32) {
    let (clock, tokens) = service(store, Usage::default());
    let mut made = Vec::new();
    for _ in 0..100 {
        made.push(issue(&tokens).await);
    }
    let (mut updates, mut seen) = (0, rows(&tokens).await);
    for round in 1..=rounds {
        let before = tokens.store().batches().len();
        for made in &made {
            assert_eq!(outcome(&tokens, made).await, Ok(()));
        }
        assert_eq!(tokens.store().batches().len(), before, "a verification writes nothing");
        if round % (rounds / 5) == 0 {
            let moved = tokens.flush_usage().await.unwrap();
            let after = rows(&tokens).await;
            let changed = after.iter().filter(|(key, at)| seen[*key] != **at).count();
            assert_eq!(moved, changed as u64);
            (updates, seen) = (updates + changed, after);
            clock.advance(11 * SECOND);
        }
    }
    assert_eq!((updates, tokens.store().batches()), (100, vec![100]));
    // The next resolution has begun, so the next use of each token is written.
    clock.advance(10 * SECOND);
    for made in &made {
        assert_eq!(outcome(&tokens, made).await, Ok(()));
    }
    assert_eq!(tokens.flush_usage().await.unwrap(), 100);
}

#[tokio::test]
async fn a_hundred_thousand_verifications_in_a_window_are_a_hundred_updates() {
    one_window_costs_one_update_a_token(MemoryStore::new(), 1000).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_hundred_thousand_verifications_in_a_window_are_a_hundred_updates_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let store = keyfob::store::sqlite::SqliteStore::open(folder.path().join("tokens.db")).await.unwrap();
    one_window_costs_one_update_a_token(store, 1000).await;
}

/// If a token is used several times before its last use is written, the latest time is written.
#[tokio::test]
async fn the_latest_use_is_written() {
    let (clock, tokens) = service(MemoryStore::new(), Usage::default());
    let made = issue(&tokens).await;
    for _ in 0..3 {
        assert_eq!(outcome(&tokens, &made).await, Ok(()));
        clock.advance(SECOND);
    }
    assert_eq!(tokens.flush_usage().await.unwrap(), 1);
    assert_eq!(last_use(&tokens, &made).await, now().checked_add(2 * SECOND));
}

/// A use is not written if less than the resolution has passed since the last written use. A use
/// exactly one resolution later is written.
#[tokio::test]
async fn both_sides_of_the_resolution() {
    let (clock, tokens) = service(MemoryStore::new(), Usage::default());
    let made = issue(&tokens).await;
    assert_eq!(outcome(&tokens, &made).await, Ok(()));
    assert_eq!(tokens.flush_usage().await.unwrap(), 1);
    clock.advance(60 * SECOND - MS);
    assert_eq!(outcome(&tokens, &made).await, Ok(()));
    assert_eq!(tokens.flush_usage().await.unwrap(), 0);
    clock.advance(MS);
    assert_eq!(outcome(&tokens, &made).await, Ok(()));
    assert_eq!(tokens.flush_usage().await.unwrap(), 1);
    assert_eq!(last_use(&tokens, &made).await, now().checked_add(60 * SECOND));
}

#[tokio::test]
async fn a_failing_store_fails_no_request_and_the_uses_wait() {
    let (clock, tokens) = service(MemoryStore::new(), Usage::default());
    let (made, other) = (issue(&tokens).await, issue(&tokens).await);
    tokens.store().set(Touching::Fails);
    assert_eq!(outcome(&tokens, &made).await, Ok(()));
    assert!(tokens.flush_usage().await.is_err());
    clock.advance(SECOND);
    assert_eq!(outcome(&tokens, &made).await, Ok(()));
    assert_eq!(outcome(&tokens, &other).await, Ok(()));
    assert!(tokens.flush_usage().await.is_err());
    assert_eq!(last_use(&tokens, &made).await, None);
    tokens.store().set(Touching::Works);
    clock.advance(DAY);
    assert_eq!(tokens.flush_usage().await.unwrap(), 2);
    for made in [&made, &other] {
        assert_eq!(last_use(&tokens, made).await, now().checked_add(SECOND));
    }
    assert_eq!(tokens.flush_usage().await.unwrap(), 0, "a written use must not wait any longer");
}

#[tokio::test]
async fn a_project_that_fails_keeps_no_last_use_of_another_from_being_written() {
    let (clock, tokens) = service(MemoryStore::new(), Usage::default());
    let mut made = Vec::new();
    for place in ["144", "145", "146"].repeat(2) {
        let new = NewToken::new(project(place), OwnerId::new("ada").unwrap(), Name::new("CI").unwrap());
        made.push(make(&tokens, new).await);
    }
    for made in &made {
        assert_eq!(outcome(&tokens, made).await, Ok(()));
    }
    let failing = project("145");
    tokens.store().set(Touching::FailsIn(failing));
    clock.advance(SECOND);
    assert_eq!(tokens.flush_usage().await.unwrap_err().kind(), ErrorKind::Unavailable);
    for made in &made {
        let expected = (made.record.project != failing).then(now);
        assert_eq!(last_use(&tokens, made).await, expected, "{}", made.record.project);
    }
    tokens.store().set(Touching::Works);
    let before = tokens.store().batches().len();
    assert_eq!(tokens.flush_usage().await.unwrap(), 2);
    assert_eq!(tokens.store().batches()[before..], [2], "a written use must not wait any longer");
}

/// A timeout of the host drops the flush. A use that occurs during the flush must not be lost.
#[tokio::test]
async fn a_flush_that_is_dropped_loses_nothing() {
    let (clock, tokens) = service(MemoryStore::new(), Usage::default());
    let (made, other) = (issue(&tokens).await, issue(&tokens).await);
    assert_eq!(outcome(&tokens, &made).await, Ok(()));
    assert_eq!(outcome(&tokens, &other).await, Ok(()));
    tokens.store().set(Touching::Hangs);
    {
        let mut flush = pin!(tokens.flush_usage());
        assert!(matches!(flush.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending));
        clock.advance(60 * SECOND);
        assert_eq!(outcome(&tokens, &made).await, Ok(()));
    }
    tokens.store().set(Touching::Works);
    assert_eq!(tokens.flush_usage().await.unwrap(), 2);
    assert_eq!(last_use(&tokens, &made).await, now().checked_add(60 * SECOND));
    assert_eq!(last_use(&tokens, &other).await, Some(now()));
}

/// The store has written a use, but a replica returns records without it. The use must not be
/// written a second time.
#[tokio::test]
async fn a_use_is_written_once_if_reads_lag() {
    let (clock, tokens) = service(MemoryStore::new(), Usage::default());
    let made = issue(&tokens).await;
    tokens.store().set(Touching::Lags);
    for second in 0..120 {
        assert_eq!(outcome(&tokens, &made).await, Ok(()));
        let expected = u64::from(second % 60 == 0);
        assert_eq!(tokens.flush_usage().await.unwrap(), expected, "{second}");
        clock.advance(SECOND);
    }
    assert_eq!(last_use(&tokens, &made).await, None, "the store shows no use yet");
}

/// Two processes use one store. The process with the earlier use writes last.
#[tokio::test]
async fn a_last_use_never_moves_backwards() {
    let store = std::sync::Arc::new(MemoryStore::new());
    let (_, slow) = service(std::sync::Arc::clone(&store), Usage::default());
    let (clock, quick) = service(store, Usage::default());
    let made = issue(&slow).await;
    assert_eq!(outcome(&slow, &made).await, Ok(()));
    clock.advance(SECOND);
    assert_eq!(outcome(&quick, &made).await, Ok(()));
    assert_eq!(quick.flush_usage().await.unwrap(), 1);
    assert_eq!(slow.flush_usage().await.unwrap(), 0);
    assert_eq!(last_use(&slow, &made).await, now().checked_add(SECOND));
}

#[tokio::test]
async fn no_more_tokens_than_its_capacity_are_remembered() {
    let (clock, tokens) = service(MemoryStore::new(), Usage::default().with_capacity(2));
    let made = [issue(&tokens).await, issue(&tokens).await, issue(&tokens).await];
    for made in &made {
        assert_eq!(outcome(&tokens, made).await, Ok(()));
    }
    assert_eq!(tokens.flush_usage().await.unwrap(), 2);
    assert_eq!(last_use(&tokens, &made[2]).await, None);
    // A flush forgets the uses that were written more than the resolution ago.
    clock.advance(60 * SECOND);
    assert_eq!(tokens.flush_usage().await.unwrap(), 0);
    assert_eq!(outcome(&tokens, &made[2]).await, Ok(()));
    assert_eq!(tokens.flush_usage().await.unwrap(), 1);
}

#[tokio::test]
async fn last_uses_are_not_written_unless_asked_for() {
    let tokens = Tokens::new(keyring(), Watched::new(MemoryStore::new())).with_clock(FixedClock::new(now()));
    let made = issue(&tokens).await;
    assert_eq!(outcome(&tokens, &made).await, Ok(()));
    assert_eq!(tokens.flush_usage().await.unwrap(), 0);
    assert_eq!((last_use(&tokens, &made).await, tokens.store().batches()), (None, Vec::new()));
}

/// A host flushes once before its process stops. This flush must write all waiting uses.
#[tokio::test]
async fn one_flush_writes_all_that_waits_in_batches() {
    let (_, tokens) = service(MemoryStore::new(), Usage::default());
    for _ in 0..2500 {
        let made = issue(&tokens).await;
        assert_eq!(outcome(&tokens, &made).await, Ok(()));
    }
    assert_eq!(tokens.flush_usage().await.unwrap(), 2500);
    assert_eq!(tokens.store().batches(), [1000, 1000, 500]);
}

/// The token is used again after each batch that the flush writes. The flush must end nevertheless.
#[tokio::test]
async fn a_flush_ends_while_tokens_are_used_all_the_time() {
    let (clock, tokens) = service(MemoryStore::new(), Usage::default().with_resolution(SECOND));
    let made = issue(&tokens).await;
    assert_eq!(outcome(&tokens, &made).await, Ok(()));
    tokens.store().set(Touching::GivesWay);
    let using = async {
        for _ in 0..100 {
            clock.advance(SECOND);
            assert_eq!(outcome(&tokens, &made).await, Ok(()));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        flushed = tokens.flush_usage() => assert_eq!(flushed.unwrap(), 1),
        () = using => panic!("the flush does not end while the token is used"),
    }
    assert_eq!(tokens.store().batches(), [1]);
}

#[tokio::test]
async fn a_refused_token_is_not_used() {
    let (clock, tokens) = service(MemoryStore::new(), Usage::default());
    let made = issue(&tokens).await;
    clock.advance(300 * DAY);
    assert_eq!(outcome(&tokens, &made).await, Err(Some(Rejection::Expired)));
    assert_eq!(tokens.flush_usage().await.unwrap(), 0);
}

#[tokio::test]
async fn an_unused_token_is_refused_from_the_exact_time_and_until_the_policy_changes() {
    let policy = Policy::default().with_max_unused(10 * DAY);
    // The resolution and the flush interval are zero, so each use is written without delay.
    let usage = Usage::default().with_resolution(Duration::ZERO).with_flush_interval(Duration::ZERO);
    let (clock, tokens) = service(MemoryStore::new(), usage);
    let tokens = tokens.with_policy(policy.clone());
    let (unused, used) = (issue(&tokens).await, issue(&tokens).await);
    let later = make(&tokens, new_token().with_not_before(now().checked_add(20 * DAY).unwrap())).await;
    let refused = Err(Some(Rejection::Policy));
    let on = |day: u32| now().checked_add(day * DAY).unwrap();

    clock.set(on(5));
    assert_eq!(outcome(&tokens, &used).await, Ok(()));
    assert_eq!(tokens.flush_usage().await.unwrap(), 1);
    clock.set(on(10).saturating_sub(MS));
    assert_eq!(tokens.explain(unused.token.expose_secret(), &Access::to_own_project(&[])).await.unwrap().fails, []);
    clock.set(on(10));
    assert_eq!(outcome(&tokens, &unused).await, refused, "ten days from its creation");
    let explained = tokens.explain(unused.token.expose_secret(), &Access::to_own_project(&[])).await.unwrap();
    assert_eq!((explained.fails, explained.breach), (vec![Rejection::Policy], Some(PolicyBreach::Unused)));
    clock.set(on(15).saturating_sub(MS));
    assert_eq!(outcome(&tokens, &used).await, Ok(()));
    clock.set(on(15));
    assert_eq!(
        outcome(&tokens, &used).await,
        Ok(()),
        "ten days from its last use that is written, not from the last one"
    );
    assert_eq!(tokens.flush_usage().await.unwrap(), 1);
    assert_eq!(outcome(&tokens, &used).await, Ok(()));

    clock.set(on(30).saturating_sub(MS));
    // A call of `explain` does not count as a use of the token.
    assert_eq!(tokens.explain(later.token.expose_secret(), &Access::to_own_project(&[])).await.unwrap().fails, []);
    clock.set(on(30));
    assert_eq!(outcome(&tokens, &later).await, refused, "ten days from the start of its validity");
    assert_eq!(outcome(&tokens, &used).await, refused);
    let tokens = tokens.with_policy(policy.with_max_unused(30 * DAY + MS));
    for made in [&unused, &used, &later] {
        assert_eq!(outcome(&tokens, made).await, Ok(()));
    }
}

#[tokio::test]
async fn a_token_that_was_used_just_before_the_limit_works_on_before_its_use_is_written() {
    let (clock, tokens) = service(MemoryStore::new(), Usage::default());
    let tokens = tokens.with_policy(Policy::default().with_max_unused(10 * DAY));
    let made = issue(&tokens).await;
    clock.set(now().saturating_add(10 * DAY).saturating_sub(20 * SECOND));
    assert_eq!(outcome(&tokens, &made).await, Ok(()));
    for _ in 0..10 {
        clock.advance(20 * SECOND);
        assert_eq!(outcome(&tokens, &made).await, Ok(()));
    }
    // No use is written until long after the limit of the policy.
    clock.advance(9 * DAY);
    assert_eq!(last_use(&tokens, &made).await, None);
    assert_eq!(outcome(&tokens, &made).await, Ok(()));
}

/// Two processes use one store. A process does not know about a token's use in the other process
/// until that use is written.
#[tokio::test]
async fn a_use_that_another_process_has_not_written_yet_is_allowed_for() {
    let usage = || Usage::default().with_resolution(60 * SECOND).with_flush_interval(90 * SECOND);
    assert_eq!(usage().lag(), 150 * SECOND);
    let store = std::sync::Arc::new(MemoryStore::new());
    let (clock, one) = service(std::sync::Arc::clone(&store), usage());
    let policy = Policy::default().with_max_unused(10 * DAY);
    let other = Tokens::new(keyring(), Watched::new(store)).with_clock(clock.clone()).with_usage(usage());
    let (one, other) = (one.with_policy(policy.clone()), other.with_policy(policy));
    let (busy, unused) = (issue(&one).await, issue(&one).await);
    let refused = Err(Some(Rejection::Policy));
    let explained = async |made: &Made| {
        other.explain(made.token.expose_secret(), &Access::to_own_project(&[])).await.unwrap().breach
    };

    clock.set(now().saturating_add(10 * DAY).saturating_sub(MS));
    assert_eq!(outcome(&one, &busy).await, Ok(()));
    // The other process does not know about the use. It must accept the token for as long as the
    // use may still be unwritten, and reject it afterwards.
    clock.set(now().saturating_add(10 * DAY + 150 * SECOND).saturating_sub(MS));
    for made in [&busy, &unused] {
        assert_eq!(explained(made).await, None);
    }
    clock.advance(MS);
    for made in [&busy, &unused] {
        assert_eq!(explained(made).await, Some(PolicyBreach::Unused));
    }
    assert_eq!(outcome(&other, &unused).await, refused);
    assert_eq!(outcome(&one, &unused).await, refused);
    // A process that flushes at its flush interval has written the use before this time.
    assert_eq!(one.flush_usage().await.unwrap(), 1);
    assert_eq!(outcome(&other, &busy).await, Ok(()));
}

/// If the service does not record last uses, the rule on unused tokens does not apply. If the rule
/// applied, it would reject every token that is older than the maximum time without use.
#[tokio::test]
async fn the_rule_on_disuse_needs_last_uses_in_either_order() {
    let policy = Policy::default().with_max_unused(10 * DAY);
    let clock = FixedClock::new(now());
    let without = Tokens::new(keyring(), Watched::new(MemoryStore::new()));
    let without = without.with_clock(clock.clone()).with_policy(policy);
    let made = issue(&without).await;
    clock.advance(10 * DAY);
    assert_eq!(outcome(&without, &made).await, Ok(()));
    let with = without.with_usage(Usage::default());
    assert_eq!(outcome(&with, &made).await, Ok(()), "within the lag");
    let with = Tokens::new(keyring(), with.store()).with_clock(clock.clone()).with_policy(with.policy().clone());
    clock.advance(10 * DAY + Usage::default().lag());
    let with = with.with_usage(Usage::default());
    let access = Access::to(&made.record.project, &[]);
    let error = with.verify(made.token.expose_secret(), &access).await.unwrap_err();
    assert_eq!(error.rejection(), Some(Rejection::Policy));
}
