//! Tests the effect of a policy on existing tokens, and of suspending an owner.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyfob::{
    Access, Issued, Lifetime, MemoryStore, Name, NewToken, OwnerId, Policy, ProjectId, Rejection, Scope, Timestamp,
    TokenKind, TokenRecord, Tokens,
    clock::FixedClock,
    owners::{OwnerState, Owners, OwnersError},
    policy::{Lifetimes, PolicyBreach},
    record::RevocationReason,
    tokens::Usage,
};

use crate::support::{actor, keyring, new_token, now, project};

const MS: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A directory of owners that returns the same state for every owner, and that records its
/// look-ups.
#[derive(Clone)]
struct Directory {
    says: Arc<Mutex<OwnerState>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Directory {
    fn new() -> Self {
        Self { says: Arc::new(Mutex::new(OwnerState::Active)), asked: Arc::default() }
    }

    fn set(&self, state: OwnerState) {
        *self.says.lock().unwrap() = state;
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl Owners for Directory {
    async fn state(&self, owner: &OwnerId, project: &ProjectId) -> Result<OwnerState, OwnersError> {
        self.asked.lock().unwrap().push(format!("{owner} in {project}"));
        Ok(*self.says.lock().unwrap())
    }
}

fn owned(place: &str, owner: &str, days: u32) -> NewToken {
    NewToken::new(project(place), OwnerId::new(owner).unwrap(), Name::new("CI").unwrap())
        .with_lifetime(Lifetime::For(days * DAY))
}

async fn rejection(
    tokens: &Tokens<MemoryStore>,
    made: &Issued<Arc<TokenRecord>>,
    access: &Access<'_>,
) -> Option<Rejection> {
    tokens.verify(made.token.expose_secret(), access).await.err().map(|error| error.rejection().unwrap())
}

#[tokio::test]
async fn a_suspended_owner_stops_at_the_next_request() {
    let directory = Directory::new();
    let tokens = Tokens::new(keyring(), MemoryStore::new()).with_clock(FixedClock::new(now()));
    let tokens = tokens.with_owners(directory.clone());
    let made = tokens.issue(&actor(), new_token()).await.unwrap();
    let access = Access::to(&made.record.project, &[]);
    for (state, expected) in [
        (OwnerState::Active, None),
        (OwnerState::Suspended, Some(Rejection::OwnerSuspended)),
        (OwnerState::OutsideProject, Some(Rejection::OwnerOutsideProject)),
        (OwnerState::Active, None),
    ] {
        directory.set(state);
        assert_eq!(rejection(&tokens, &made, &access).await, expected);
        assert_eq!(directory.asked(), ["ada in 145"]);
    }
    // A request without a project uses the token's own project.
    assert!(tokens.verify(made.token.expose_secret(), &Access::to_own_project(&[])).await.is_ok());
    assert_eq!(directory.asked(), ["ada in 145"]);
}

/// The token first fails all five checks. The test then removes the causes one by one, in the order
/// of the checks.
#[tokio::test]
async fn policy_then_owner_then_project_then_address_then_scope() {
    let (clock, directory) = (FixedClock::new(now()), Directory::new());
    let tokens = Tokens::new(keyring(), MemoryStore::new()).with_clock(clock).with_owners(directory.clone());
    let made = tokens.issue(&actor(), new_token().with_addresses("10.0.0.0/8".parse().unwrap())).await.unwrap();
    directory.set(OwnerState::Suspended);
    let (own, other, scopes) = (made.record.project, project("146"), [Scope::new("a").unwrap()]);
    let wrong = Access::to(&other, &scopes).from_address([11, 0, 0, 1].into());

    let tokens = tokens.with_policy(Policy::default().with_max_lifetime(DAY));
    let text = made.token.expose_secret();
    let all = [Rejection::Policy, Rejection::OwnerSuspended, Rejection::Project, Rejection::Address, Rejection::Scope];
    assert_eq!(tokens.explain(text, &wrong).await.unwrap().fails, all);
    assert_eq!(tokens.explain(text, &wrong).await.unwrap().breach, Some(PolicyBreach::TooLong));
    directory.asked();
    assert_eq!(rejection(&tokens, &made, &wrong).await, Some(Rejection::Policy));
    assert!(directory.asked().is_empty(), "the owner is looked up only for a token that passes the earlier checks");
    let tokens = tokens.with_policy(Policy::default());
    assert_eq!(rejection(&tokens, &made, &wrong).await, Some(Rejection::OwnerSuspended));
    directory.set(OwnerState::Active);
    assert_eq!(rejection(&tokens, &made, &wrong).await, Some(Rejection::Project));
    let wrong = Access::to(&own, &scopes).from_address([11, 0, 0, 1].into());
    assert_eq!(rejection(&tokens, &made, &wrong).await, Some(Rejection::Address));
    let wrong = Access::to(&own, &scopes).from_address([10, 0, 0, 1].into());
    assert_eq!(rejection(&tokens, &made, &wrong).await, Some(Rejection::Scope));
    let right = Access::to(&own, &[]).from_address([10, 0, 0, 1].into());
    assert_eq!(rejection(&tokens, &made, &right).await, None);
}

#[tokio::test]
async fn a_token_outside_the_policy_is_refused_at_the_exact_bound_and_not_destroyed() {
    let mut tokens = Tokens::new(keyring(), MemoryStore::new()).with_clock(FixedClock::new(now()));
    let week = tokens.issue(&actor(), owned("145", "ada", 7)).await.unwrap();
    let robot = tokens.issue(&actor(), owned("145", "ci", 7).with_kind(TokenKind::Service)).await.unwrap();
    let access = Access::to(&week.record.project, &[]);
    let of_humans = |lifetimes| Policy::default().with_lifetimes(TokenKind::Human, lifetimes);
    for (lifetimes, expected) in [
        (Lifetimes { max: 7 * DAY, ..Lifetimes::default() }, None),
        (Lifetimes { max: 7 * DAY - MS, ..Lifetimes::default() }, Some(Rejection::Policy)),
        (Lifetimes { min: 7 * DAY, ..Lifetimes::default() }, None),
        (Lifetimes { min: 7 * DAY + MS, ..Lifetimes::default() }, Some(Rejection::Policy)),
        (Lifetimes::default(), None),
    ] {
        tokens = tokens.with_policy(of_humans(lifetimes));
        assert_eq!(rejection(&tokens, &week, &access).await, expected, "{lifetimes:?}");
        assert_eq!(rejection(&tokens, &robot, &access).await, None, "{lifetimes:?}");
    }
    tokens = tokens.with_policy(Policy::default().with_never_expiring(true));
    let ever = tokens.issue(&actor(), new_token().with_lifetime(Lifetime::Never)).await.unwrap();
    assert_eq!(rejection(&tokens, &ever, &access).await, None);
    tokens = tokens.with_policy(Policy::default());
    assert_eq!(rejection(&tokens, &ever, &access).await, Some(Rejection::Policy));
}

/// The dry run reports the owners whose tokens the policy would block, the rule that blocks them,
/// and the first day on which they are blocked. The test then applies the policy, and checks that
/// the token is rejected on that day.
#[tokio::test]
async fn a_dry_run_reports_whom_a_policy_would_block_and_on_which_day() {
    let clock = FixedClock::new(now());
    let tokens = Tokens::new(keyring(), MemoryStore::new()).with_clock(clock.clone()).with_usage(Usage::default());
    let used = tokens.issue(&actor(), owned("145", "ada", 60)).await.unwrap();
    for new in [owned("145", "ada", 60), owned("145", "ada", 61), owned("145", "bob", 20), owned("146", "bob", 60)] {
        tokens.issue(&actor(), new).await.unwrap();
    }
    tokens.issue(&actor(), owned("145", "dan", 30)).await.unwrap();
    tokens.issue(&actor(), owned("146", "eve", 360)).await.unwrap();
    let gone = tokens.issue(&actor(), owned("146", "eve", 360)).await.unwrap();
    tokens.revoke(&actor(), &gone.record.key(), RevocationReason::default()).await.unwrap();
    clock.advance(DAY);
    let access = Access::to(&used.record.project, &[]);
    assert_eq!(rejection(&tokens, &used, &access).await, None);
    tokens.flush_usage().await.unwrap();

    // The token of twenty days expires before it has been unused for thirty days. Dan's token
    // expires exactly when it has been unused for thirty days.
    let policy = Policy::default().with_max_lifetime(100 * DAY).with_max_unused(30 * DAY);
    assert_eq!((policy.max_unused(), Policy::default().max_unused()), (Some(30 * DAY), None));
    let hits = tokens.dry_run(&policy).await.unwrap();
    let told: Vec<_> =
        hits.iter().map(|hit| (hit.from, hit.project.as_str(), hit.owner.as_str(), hit.breach, hit.tokens)).collect();
    let day = |text: &str| format!("{text}T00:00:00Z").parse::<Timestamp>().unwrap();
    assert_eq!(
        told,
        [
            (tokens.now(), "146", "eve", PolicyBreach::TooLong, 1),
            (day("2026-12-23"), "145", "ada", PolicyBreach::Unused, 2),
            (day("2026-12-23"), "146", "bob", PolicyBreach::Unused, 1),
            (day("2026-12-24"), "145", "ada", PolicyBreach::Unused, 1),
        ]
    );
    // The dry run changed nothing, and its prediction is right.
    assert_eq!(rejection(&tokens, &used, &access).await, None);
    let tokens = tokens.with_policy(policy);
    // The clock is set to the end of the predicted day. The test does not verify the token before,
    // because a verification would count as a use.
    clock.set(day("2026-12-25"));
    assert_eq!(rejection(&tokens, &used, &access).await, Some(Rejection::Policy));
}

/// The store has more tokens than fit on one page of a listing.
#[tokio::test]
async fn a_dry_run_sees_every_page() {
    let tokens = Tokens::new(keyring(), MemoryStore::new()).with_clock(FixedClock::new(now()));
    for _ in 0..1001 {
        tokens.issue(&actor(), new_token()).await.unwrap();
    }
    let hits = tokens.dry_run(&Policy::default().with_max_lifetime(DAY)).await.unwrap();
    assert_eq!(hits.iter().map(|hit| hit.tokens).collect::<Vec<_>>(), [1001]);
    assert!(tokens.dry_run(&Policy::default()).await.unwrap().is_empty());
}

#[cfg(feature = "serde")]
#[test]
fn a_policy_in_a_configuration_file() {
    let read = |text: &str| serde_json::from_str::<Policy>(text);
    let ninety = Lifetimes { max: 90 * DAY, ..Lifetimes::default() };
    let policy = read(r#"{"human": {"max_seconds": 7776000}, "most_live_per_owner": 50}"#).unwrap();
    assert_eq!(policy, Policy::default().with_lifetimes(TokenKind::Human, ninety).with_most_live_per_owner(50));
    let all = r#"{"human":{"default_seconds":2592000,"min_seconds":0,"max_seconds":7776000,"never_expiring":false},"service":{"default_seconds":2592000,"min_seconds":0,"max_seconds":31622400,"never_expiring":false},"agent":{"default_seconds":43200,"min_seconds":0,"max_seconds":604800,"never_expiring":false},"most_live_per_owner":50,"most_live_per_issuer":20,"max_depth":1,"max_unused_seconds":null,"max_grace_seconds":2592000,"notice_millis":[2592000000,604800000,86400000],"scope_matcher":null}"#;
    assert_eq!(serde_json::to_string(&policy).unwrap(), all);
    assert_eq!(read(all).unwrap(), policy);
    let agents = Policy::default().with_lifetimes(TokenKind::Agent, Lifetimes { max: DAY, ..Lifetimes::AGENT });
    assert_eq!(read(r#"{"agent": {"max_seconds": 86400}}"#).unwrap(), agents);
    for misspelt in [
        r#"{"agent": {"max": 1}}"#,
        r#"{"max_seconds": 1}"#,
        r#"{"human": {"max": 1}}"#,
        r#"{"human": {"max_seconds": "1"}}"#,
        r#"{"human": {"max_seconds": 1.5}}"#,
        r#"{"max_unused": 1}"#,
        r#"{"most_live_per_owner": -1}"#,
    ] {
        assert!(read(misspelt).is_err(), "{misspelt}");
    }
}
