//! Tests the check of one token, on both sides of every boundary.

use std::sync::Arc;
use std::time::Duration;

use keyfob::{
    Access, Actor, Lifetime, NewToken, Policy, PresentedToken, Rejection, Scope, ScopeSet, Status, Timestamp,
    TokenKind, TokenRecord, Verified,
    access::InProject,
    check, mint,
    record::{AddressRanges, Disabled, Metadata, Revocation, RevocationReason},
};

use crate::support::{actor, keyring, new_token, now, project};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Returns the outcome of a check at the time `at`, for a request to the token's own project.
/// Before the check, `change` changes the token's record.
fn outcome_at(new: NewToken, change: impl FnOnce(&mut TokenRecord), at: Timestamp) -> Result<(), Rejection> {
    let project = project("145");
    judged(new, change, &Access::to(&project, &[]), &Policy::default().with_never_expiring(true), at).map(drop)
}

fn judged(
    new: NewToken,
    change: impl FnOnce(&mut TokenRecord),
    access: &Access<'_>,
    policy: &Policy,
    at: Timestamp,
) -> Result<Verified<InProject>, Rejection> {
    let keyring = keyring();
    let free = Policy::default().with_never_expiring(true).with_max_lifetime(Duration::MAX);
    let mut issued = mint(&keyring, &free, new, &actor(), now()).unwrap();
    change(&mut issued.record);
    let token = PresentedToken::parse(issued.token.expose_secret(), &keyring).unwrap();
    let status = issued.record.status(at);
    let judged = check(&token, Some(Arc::new(issued.record)).into(), access, policy, at);
    assert!(judged.is_err() || status == Status::Active, "{status}");
    judged
}

fn later(by: Duration) -> Timestamp {
    now().checked_add(by).unwrap()
}

fn before(time: Timestamp) -> Timestamp {
    time.saturating_sub(MS)
}

#[test]
fn exactly_at_expiry_a_token_is_expired() {
    let new = || new_token().with_lifetime(Lifetime::For(HOUR));
    let end = later(HOUR);
    assert_eq!(outcome_at(new(), |_| {}, before(end)), Ok(()));
    assert_eq!(outcome_at(new(), |_| {}, end), Err(Rejection::Expired));
    assert_eq!(outcome_at(new(), |_| {}, Timestamp::MAX), Err(Rejection::Expired));
    let never = new_token().with_lifetime(Lifetime::Never);
    assert_eq!(outcome_at(never, |_| {}, Timestamp::MAX), Ok(()));
}

#[test]
fn before_its_time_a_token_is_not_valid_yet() {
    let new = || new_token().with_not_before(later(HOUR));
    assert_eq!(outcome_at(new(), |_| {}, before(later(HOUR))), Err(Rejection::NotYetValid));
    assert_eq!(outcome_at(new(), |_| {}, later(HOUR)), Ok(()));
}

#[test]
fn a_pending_token_lapses() {
    let new = || new_token().with_confirm_within(HOUR);
    assert_eq!(outcome_at(new(), |_| {}, now()), Err(Rejection::Pending));
    assert_eq!(outcome_at(new(), |_| {}, before(later(HOUR))), Err(Rejection::Pending));
    assert_eq!(outcome_at(new(), |_| {}, later(HOUR)), Err(Rejection::Lapsed));
    let confirmed = |record: &mut TokenRecord| record.apply(keyfob::record::Change::Confirm);
    assert_eq!(outcome_at(new(), confirmed, later(HOUR)), Ok(()));
}

#[test]
fn a_rotated_token_works_until_its_grace_period_ends() {
    let rotated = |record: &mut TokenRecord| record.rotate_to(record.id, later(HOUR));
    assert_eq!(outcome_at(new_token(), rotated, before(later(HOUR))), Ok(()));
    assert_eq!(outcome_at(new_token(), rotated, later(HOUR)), Err(Rejection::Rotated));
}

#[test]
fn an_end_is_reported_before_a_disabled_state() {
    let by = Actor::new("eve").unwrap();
    let disabled = |record: &mut TokenRecord| record.disabled = Some(Disabled { at: now(), by: by.clone() });
    let revoked = |record: &mut TokenRecord| {
        disabled(record);
        record.revoke(&Revocation { at: now(), by: by.clone(), reason: RevocationReason::KeyCompromise });
    };
    let short = || new_token().with_lifetime(Lifetime::For(HOUR));
    assert_eq!(outcome_at(short(), disabled, now()), Err(Rejection::Disabled));
    assert_eq!(outcome_at(short(), disabled, later(HOUR)), Err(Rejection::Expired));
    assert_eq!(outcome_at(short(), revoked, now()), Err(Rejection::Revoked));
    assert_eq!(outcome_at(short(), revoked, later(HOUR)), Err(Rejection::Revoked));
}

#[test]
fn a_token_outside_the_policy_is_rejected_until_the_policy_changes() {
    let project = project("145");
    let access = Access::to(&project, &[]);
    let day = 24 * HOUR;
    let outcome = |new, policy: Policy| judged(new, |_| {}, &access, &policy, now()).map(drop);
    let month = || new_token().with_lifetime(Lifetime::For(30 * day));
    let policy = |max| Policy::default().with_max_lifetime(max);
    assert_eq!(outcome(month(), policy(30 * day)), Ok(()));
    assert_eq!(outcome(month(), policy(30 * day - MS)), Err(Rejection::Policy));
    let never = || new_token().with_lifetime(Lifetime::Never);
    assert_eq!(outcome(never(), Policy::default()), Err(Rejection::Policy));
    assert_eq!(outcome(never(), Policy::default().with_never_expiring(true)), Ok(()));
}

#[test]
fn a_token_answers_for_its_project_only() {
    let policy = Policy::default();
    let (own, other) = (project("145"), project("1"));
    assert!(judged(new_token(), |_| {}, &Access::to(&own, &[]), &policy, now()).is_ok());
    let refused = judged(new_token(), |_| {}, &Access::to(&other, &[]), &policy, now());
    assert_eq!(refused.unwrap_err(), Rejection::Project);
    // If a record was moved to another project, the digest in the record does not match the token.
    let moved = judged(new_token(), |record| record.project = other, &Access::to(&other, &[]), &policy, now());
    assert_eq!(moved.unwrap_err(), Rejection::Digest);
}

#[test]
fn every_scope_that_is_needed_must_be_granted() {
    let project = project("145");
    let scope = |text: &str| Scope::new(text).unwrap();
    let outcome = |granted: &str, needed: &[Scope]| {
        let new = new_token().with_scopes(ScopeSet::new(granted).unwrap());
        judged(new, |_| {}, &Access::to(&project, needed), &Policy::default(), now()).map(drop)
    };
    assert_eq!(outcome("", &[]), Ok(()));
    assert_eq!(outcome("", &[scope("repo:read")]), Err(Rejection::Scope));
    assert_eq!(outcome("repo:*", &[scope("repo:read"), scope("repo:write")]), Ok(()));
    assert_eq!(outcome("repo:*", &[scope("repo:read"), scope("user")]), Err(Rejection::Scope));
}

#[test]
fn a_token_bound_to_addresses_is_refused_from_others_and_from_nowhere() {
    let project = project("145");
    let outcome = |from: Option<&str>| {
        let new = new_token().with_addresses(AddressRanges::new("10.0.0.0/8").unwrap());
        let access = Access::to(&project, &[]);
        let access = from.map_or(access, |from| access.from_address(from.parse().unwrap()));
        judged(new, |_| {}, &access, &Policy::default(), now()).map(drop)
    };
    assert_eq!(outcome(Some("10.255.255.255")), Ok(()));
    assert_eq!(outcome(Some("::ffff:10.0.0.1")), Ok(()));
    assert_eq!(outcome(Some("11.0.0.0")), Err(Rejection::Address));
    assert_eq!(outcome(None), Err(Rejection::Address));
}

#[test]
fn the_first_failing_check_is_reported() {
    let (other, scopes) = (project("1"), [Scope::new("repo:read").unwrap()]);
    let access = Access::to(&other, &scopes);
    let new = || new_token().with_addresses(AddressRanges::new("10.0.0.0/8").unwrap());
    let strict = Policy::default().with_max_lifetime(HOUR);
    let first = |policy: &Policy, access: &Access<'_>, at| judged(new(), |_| {}, access, policy, at).unwrap_err();
    assert_eq!(first(&strict, &access, Timestamp::MAX), Rejection::Expired);
    assert_eq!(first(&strict, &access, now()), Rejection::Policy);
    assert_eq!(first(&Policy::default(), &access, now()), Rejection::Project);
    let own = project("145");
    let access = Access::to(&own, &scopes);
    assert_eq!(first(&Policy::default(), &access, now()), Rejection::Address);
    let access = access.from_address([10, 0, 0, 1].into());
    assert_eq!(first(&Policy::default(), &access, now()), Rejection::Scope);
}

#[test]
fn an_unknown_token_and_a_wrong_secret_are_told_apart_in_logs_only() {
    let keyring = keyring();
    let issue = || mint(&keyring, &Policy::default(), new_token(), &actor(), now()).unwrap();
    let (one, two) = (issue(), issue());
    let token = PresentedToken::parse(one.token.expose_secret(), &keyring).unwrap();
    let project = project("145");
    let judge = |record| check(&token, record, &Access::to(&project, &[]), &Policy::default(), now()).unwrap_err();
    assert_eq!(judge(None.into()), Rejection::Unknown);
    assert_eq!(judge(Some(Arc::new(two.record)).into()), Rejection::Digest);
    let challenge = |rejection: Rejection| keyfob::Challenge::from(rejection);
    assert_eq!(challenge(Rejection::Unknown), challenge(Rejection::Digest));
}

#[test]
fn a_proof_has_the_values_of_the_record() {
    let project = project("145");
    let new = new_token()
        .with_kind(TokenKind::Service)
        .with_scopes(ScopeSet::new("repo:* user").unwrap())
        .with_metadata(Metadata::new("{\"team\":7}").unwrap())
        .with_addresses(AddressRanges::new("10.0.0.0/8").unwrap())
        .with_lifetime(Lifetime::For(HOUR));
    let used_and_rotated = |record: &mut TokenRecord| {
        record.touch(now(), None);
        record.rotate_to(record.id, later(HOUR / 2));
    };
    let access = Access::to(&project, &[]).from_address([10, 0, 0, 1].into());
    let verified = judged(new, used_and_rotated, &access, &Policy::default(), now()).unwrap();
    assert_eq!((verified.owner().as_str(), verified.name().as_str()), ("ada", "VS Code integration"));
    assert_eq!((verified.project(), verified.kind()), (&project, TokenKind::Service));
    assert_eq!(verified.scopes().as_str(), "repo:* user");
    assert!(verified.allows(&Scope::new("repo:read").unwrap()) && !verified.allows(&Scope::new("admin").unwrap()));
    assert_eq!(verified.metadata().as_str(), "{\"team\":7}");
    assert_eq!(verified.addresses().map(|addresses| addresses.as_str()).collect::<Vec<_>>(), ["10.0.0.0/8"]);
    assert_eq!((verified.expires_at(), verified.ends_at()), (Some(later(HOUR)), Some(later(HOUR / 2))));
    assert_eq!(verified.last_used_at(), Some(now()));
    let view = verified.view();
    assert_eq!((view.key(), view.status), (verified.key(), Status::Active));
    assert_eq!(format!("{verified:?}"), format!("Verified {{ token: {:?}, .. }}", view.public_part));
    assert_eq!(verified.clone().key(), verified.key());
    // A verified token gives no delegation for a scope that it does not have.
    assert_eq!(verified.delegate(&Scope::new("admin").unwrap()).unwrap_err(), Rejection::Scope);
    assert_eq!(verified.delegate(&Scope::new("user").unwrap()).unwrap().project(), &project);
}
