//! Tests the rules of a record without a store: which tokens may have a successor, how long the
//! successor lives, how a change affects the record, and which notice is due.

use std::time::Duration;

use keyfob::{
    ErrorKind, Lifetime, NewToken, Policy, ScopeSet, Status, Timestamp, TokenId, TokenKind, TokenRecord, mint,
    notices::NoticeLead,
    policy::{Lifetimes, PolicyBreach},
    record::{AddressRanges, Change, ChangeRequest, Disabled, Narrowing, RequestId, Revocation, RevocationReason},
    rotation::{PreparedRotation, Rotation, rotate},
};

use crate::support::{actor, changed, keyring, kind_of, new_token, now};

const DAY: Duration = Duration::from_secs(86_400);
const MS: Duration = Duration::from_millis(1);

fn later(by: Duration) -> Timestamp {
    now().checked_add(by).unwrap()
}

fn never() -> Policy {
    Policy::default().with_never_expiring(true)
}

fn made(policy: &Policy, new: NewToken) -> TokenRecord {
    mint(&keyring(), policy, new, &actor(), now()).unwrap().record
}

/// Returns a policy that requires this minimum lifetime of a person's tokens.
fn least(min: Duration) -> Policy {
    let policy = Policy::default();
    let lifetimes = Lifetimes { min, ..*policy.lifetimes(TokenKind::Human) };
    policy.with_lifetimes(TokenKind::Human, lifetimes)
}

fn record() -> TokenRecord {
    made(&Policy::default(), new_token())
}

fn revocation() -> Revocation {
    Revocation { at: now(), by: actor(), reason: RevocationReason::Superseded }
}

fn successor() -> TokenId {
    record().id
}

fn request(id: &str) -> RequestId {
    RequestId::new(id).unwrap()
}

fn rotated(policy: &Policy, old: &TokenRecord, how: Rotation) -> Result<PreparedRotation, ErrorKind> {
    kind_of(rotate(&keyring(), policy, old, how, &actor(), now()))
}

#[test]
fn only_an_active_token_has_a_successor_and_only_one() {
    let policy = Policy::default();
    let plain = || Rotation::with_grace(DAY);
    let retry = || plain().with_retry(request("r"), DAY);
    let why = |record: &TokenRecord, how| rotated(&policy, record, how).map(|made| made.grace_until);
    let mut old = record();
    assert_eq!(why(&old, plain()), Ok(later(DAY)));
    assert_eq!(why(&old, retry()), Ok(later(DAY)));

    old.apply(Change::Disable(Disabled { at: now(), by: actor() }));
    assert_eq!(why(&old, plain()), Err(ErrorKind::Inactive(Status::Disabled)));
    old.apply(Change::Enable);

    // A rotation without a request id is refused, both within the grace period and after it. For a
    // rotation with a request id, the store decides later whether it is a valid repeat. A repeat
    // does not extend the grace period.
    old.rotate_to(successor(), later(MS));
    assert_eq!(why(&old, plain()), Err(ErrorKind::AlreadyRotated));
    assert_eq!(why(&old, retry()), Ok(later(MS)));
    old.apply(Change::EndGrace(now()));
    assert_eq!(old.status(now()), Status::Rotated);
    assert_eq!(why(&old, plain()), Err(ErrorKind::AlreadyRotated));
    assert_eq!(why(&old, retry()), Ok(now()));

    assert!(old.revoke(&revocation()));
    assert_eq!(why(&old, plain()), Err(ErrorKind::Ended(Status::Revoked)));
    assert_eq!(why(&old, retry()), Err(ErrorKind::Ended(Status::Revoked)));
}

#[test]
fn the_grace_period_ends_at_the_expiry_if_that_is_sooner() {
    let old = made(&Policy::default(), new_token().with_lifetime(Lifetime::For(DAY)));
    let made = rotated(&Policy::default(), &old, Rotation::with_grace(2 * DAY)).unwrap();
    assert_eq!(made.grace_until, later(DAY));
    assert_eq!(made.successor.record.rotated_from, Some(old.id));
    assert_eq!(made.successor.record.family, old.family);
}

#[test]
fn a_successor_has_the_lifetime_of_the_old_token() {
    let ends = |policy: &Policy, old: &TokenRecord| {
        rotated(policy, old, Rotation::with_grace(DAY)).unwrap().successor.record.expires_at
    };
    let mut old = made(&Policy::default(), new_token().with_lifetime(Lifetime::For(9 * DAY)));
    old.created_at = now().saturating_sub(5 * DAY);
    assert_eq!(ends(&Policy::default(), &old), Some(later(14 * DAY)));
    assert_eq!(ends(&Policy::default().with_max_lifetime(3 * DAY), &old), Some(later(3 * DAY)));
    // If the old token never expires, its successor never expires. If the policy no longer allows
    // tokens that never expire, the successor has the default lifetime.
    let old = made(&never(), new_token().with_lifetime(Lifetime::Never));
    assert_eq!(ends(&never(), &old), None);
    assert_eq!(ends(&Policy::default(), &old), Some(later(30 * DAY)));
    let told = rotated(&never(), &old, Rotation::with_grace(DAY).with_lifetime(Lifetime::For(DAY))).unwrap();
    assert_eq!(told.successor.record.expires_at, Some(later(DAY)));
}

#[test]
fn a_token_that_would_end_before_it_begins_is_refused() {
    let why = |policy: &Policy, new| kind_of(mint(&keyring(), policy, new, &actor(), now())).map(|_| ()).unwrap_err();
    let none = ErrorKind::Policy(PolicyBreach::NoLifetime);
    let least = least(DAY);
    assert_eq!(why(&Policy::default(), new_token().with_confirm_within(Duration::ZERO)), none);
    assert_eq!(
        why(&Policy::default(), new_token().with_lifetime(Lifetime::For(DAY)).with_not_before(later(DAY))),
        none
    );
    for policy in [Policy::default(), least] {
        assert_eq!(why(&policy, new_token().with_lifetime(Lifetime::For(Duration::ZERO))), none);
        assert_eq!(why(&policy, new_token().with_lifetime(Lifetime::Until(now()))), none);
    }
}

#[test]
fn each_change_raises_the_version_and_uses_and_notices_do_not() {
    let mut record = record();
    let mut version = record.version;
    let mut raised = |record: &TokenRecord| record.version == std::mem::replace(&mut version, record.version) + 1;
    record.apply(Change::Disable(Disabled { at: now(), by: actor() }));
    assert!(raised(&record));
    record.apply(Change::Enable);
    assert!(raised(&record));
    record.rotate_to(successor(), later(DAY));
    assert!(raised(&record));
    let before = record.version;
    record.claim_notice(later(DAY));
    record.acknowledge_notice(NoticeLead::WEEK);
    assert_eq!((record.version, record.notice_lead), (before, Some(NoticeLead::WEEK)));
    record.acknowledge_notice(NoticeLead::MONTH);
    assert_eq!((record.version, record.notice_lead), (before, Some(NoticeLead::WEEK)));
    assert!(record.revoke(&revocation()) && raised(&record));
    assert!(!record.revoke(&revocation()));
    let before = record.version;
    assert!(record.touch(now(), None) && !record.touch(now(), None) && !record.touch(now().saturating_sub(MS), None));
    assert!(record.touch(later(MS), None) && record.last_used_at == Some(later(MS)));
    assert_eq!(record.version, before);
}

#[test]
fn a_repeat_needs_the_same_request_and_a_pending_first_token() {
    let of = |id| made(&Policy::default(), new_token().with_request_id(request(id)).with_confirm_within(DAY));
    let plain = made(&Policy::default(), new_token().with_confirm_within(DAY));
    let mut first = of("a");
    assert!(first.is_repeated_by(&of("a")));
    assert!(!first.is_repeated_by(&of("b")) && !first.is_repeated_by(&plain));
    assert!(!plain.is_repeated_by(&plain), "without a request");
    let mut revoked = first.clone();
    revoked.revoke(&revocation());
    assert!(!revoked.is_repeated_by(&of("a")));
    first.apply(Change::Confirm);
    assert!(!first.is_repeated_by(&of("a")));
}

#[test]
fn a_notice_is_due_once_for_each_stage_while_the_token_is_live() {
    let mut record = made(&Policy::default(), new_token().with_lifetime(Lifetime::For(60 * DAY)));
    let due =
        |record: &TokenRecord, day: u64| record.due_notice(&NoticeLead::ALL, later(Duration::from_secs(day * 86_400)));
    let last = |record: &TokenRecord, day: u64| {
        record.due_notice(&NoticeLead::ALL, later(Duration::from_secs(day * 86_400)).saturating_sub(MS))
    };
    assert_eq!((last(&record, 30), due(&record, 30)), (None, Some(NoticeLead::MONTH)));
    assert_eq!((last(&record, 53), due(&record, 53)), (Some(NoticeLead::MONTH), Some(NoticeLead::WEEK)));
    assert_eq!((last(&record, 59), due(&record, 59)), (Some(NoticeLead::WEEK), Some(NoticeLead::DAY)));
    assert_eq!((last(&record, 60), due(&record, 60)), (Some(NoticeLead::DAY), None));
    let mut rotated = record.clone();
    rotated.rotate_to(successor(), later(90 * DAY));
    assert_eq!(due(&rotated, 59), None);
    let mut pending = record.clone();
    pending.confirm_by = Some(later(90 * DAY));
    assert_eq!(due(&pending, 59), None);
    record.acknowledge_notice(NoticeLead::WEEK);
    assert_eq!((due(&record, 30), due(&record, 53), due(&record, 59)), (None, None, Some(NoticeLead::DAY)));
}

#[test]
fn a_token_is_narrowed_and_never_widened() {
    let policy = Policy::default();
    let ranges = |text: &str| text.parse::<AddressRanges>().unwrap();
    let scopes = |text: &str| ScopeSet::new(text).unwrap();
    let old = made(
        &policy,
        new_token()
            .with_lifetime(Lifetime::For(9 * DAY))
            .with_scopes(scopes("repo:* user"))
            .with_addresses(ranges("10.0.0.0/8")),
    );
    let judge = |record: &TokenRecord, policy: &Policy, narrowing| {
        kind_of(record.judge(ChangeRequest::Narrow(narrowing), policy, &actor(), now()))
    };
    let less = || Narrowing {
        scopes: Some(scopes("repo:read")),
        addresses: Some(ranges("10.1.0.0/16")),
        expires_at: Some(later(2 * DAY)),
    };
    let all = Change::Narrow {
        scopes: scopes("repo:read"),
        addresses: ranges("10.1.0.0/16"),
        expires_at: Some(later(2 * DAY)),
    };
    assert_eq!(judge(&old, &policy, less()), Ok(Some(all)));
    assert_eq!(judge(&old, &policy, Narrowing::default()), Ok(None));
    let one = |scopes, addresses, expires_at| Narrowing { scopes, addresses, expires_at };
    // Narrows one of the three limits at a time.
    for (narrowing, left) in [
        (one(less().scopes, None, None), (scopes("repo:read"), ranges("10.0.0.0/8"), later(9 * DAY))),
        (one(None, less().addresses, None), (scopes("repo:* user"), ranges("10.1.0.0/16"), later(9 * DAY))),
        (one(None, None, less().expires_at), (scopes("repo:* user"), ranges("10.0.0.0/8"), later(2 * DAY))),
    ] {
        let (scopes, addresses, expires_at) = left;
        let expected = Change::Narrow { scopes, addresses, expires_at: Some(expires_at) };
        assert_eq!(judge(&old, &policy, narrowing), Ok(Some(expected)));
    }
    for wider in [
        one(Some(scopes("repo:* user admin")), None, None),
        one(None, Some(ranges("10.0.0.0/7")), None),
        one(None, Some(ranges("")), None),
        one(None, None, Some(later(9 * DAY + MS))),
    ] {
        assert_eq!(judge(&old, &policy, wider), Err(ErrorKind::Wider));
    }
    let past = one(None, None, Some(now()));
    assert_eq!(judge(&old, &policy, past), Err(ErrorKind::Ended(Status::Expired)));
    // A narrowing must not make the lifetime shorter than the policy's minimum. But a token whose
    // lifetime is already too short may be narrowed.
    let short = ErrorKind::Policy(PolicyBreach::TooShort);
    assert_eq!(judge(&old, &least(3 * DAY), less()), Err(short));
    assert!(matches!(judge(&old, &least(10 * DAY), less()), Ok(Some(_))));
}

#[test]
fn an_ended_token_accepts_no_change_except_the_end_of_its_grace_period() {
    let judge = |record: &TokenRecord, wish| kind_of(record.judge(wish, &Policy::default(), &actor(), now()));
    let mut record = record();
    assert_eq!(judge(&record, ChangeRequest::EndGrace), Err(ErrorKind::NotRotated));
    record.rotate_to(successor(), later(MS));
    assert_eq!(judge(&record, ChangeRequest::EndGrace), Ok(Some(Change::EndGrace(now()))));
    for over in [now(), now().saturating_sub(MS)] {
        record.grace_until = Some(over);
        assert_eq!(judge(&record, ChangeRequest::EndGrace), Ok(None));
        assert_eq!(judge(&record, ChangeRequest::Disable), Err(ErrorKind::Ended(Status::Rotated)));
    }
    record.revoke(&revocation());
    for wish in [ChangeRequest::EndGrace, ChangeRequest::Enable, ChangeRequest::Disable] {
        assert_eq!(judge(&record, wish), Err(ErrorKind::Ended(Status::Revoked)));
    }
}

/// A store may rotate a token only if the grace period of the token's predecessor has ended. The
/// test covers the times just before, at and just after the end of this period.
#[test]
fn a_chain_has_at_most_two_working_tokens() {
    let (first, mut second, mut third) = (record(), record(), record());
    second.rotated_from = Some(first.id);
    third.created_at = later(DAY);
    let may = |first: &TokenRecord| second.may_rotate(1, &third, Some(first), None);
    for (grace_until, works) in [(later(DAY + MS), true), (later(DAY), false), (later(DAY - MS), false)] {
        let mut first = first.clone();
        first.rotate_to(second.id, grace_until);
        assert_eq!(may(&first), !works, "{grace_until}");
        first.apply(Change::Disable(Disabled { at: now(), by: actor() }));
        assert_eq!(may(&first), !works, "a disabled predecessor may be enabled again");
        first.revoke(&revocation());
        assert!(may(&first));
    }
    let mut expired = changed(first.clone(), |record| record.expires_at = Some(later(DAY)));
    expired.rotate_to(second.id, later(2 * DAY));
    assert!(may(&expired));
    assert!(may(&first), "a token without a grace period was not rotated");
    assert!(second.may_rotate(1, &third, None, None), "a purged predecessor does not work");
    assert!(!second.may_rotate(2, &third, None, None), "the version does not match");
}

#[test]
fn a_repeat_is_refused_once_the_token_is_disabled_or_has_expired() {
    let policy = Policy::default();
    let how = || Rotation::with_grace(Duration::ZERO).with_retry(request("r"), DAY);
    let mut old = changed(record(), |record| record.expires_at = Some(later(10 * DAY)));
    let first = rotated(&policy, &old, how()).unwrap().successor.record;
    old.rotate_to(first.id, now());
    let at = |old: &TokenRecord, now: Timestamp| {
        let repeat = kind_of(rotate(&keyring(), &policy, old, how(), &actor(), now));
        // The store's condition for a successor that is created at the same time gives the same
        // result.
        let second = changed(record(), |record| {
            record.created_at = now;
            record.request_id = Some(request("r"));
        });
        let first = changed(first.clone(), |record| record.confirm_by = Some(now));
        assert_eq!(old.may_rotate(old.version, &second, None, Some(&first)), repeat.is_ok());
        repeat.map(|made| made.grace_until)
    };
    // The grace period of the token is over, and the successor may have lapsed.
    for elapsed in [Duration::ZERO, DAY, 10 * DAY - MS] {
        assert_eq!(at(&old, later(elapsed)), Ok(now()));
    }
    for elapsed in [10 * DAY, 100 * DAY] {
        assert_eq!(at(&old, later(elapsed)), Err(ErrorKind::Ended(Status::Expired)));
    }
    let mut disabled = old.clone();
    disabled.apply(Change::Disable(Disabled { at: now(), by: actor() }));
    assert_eq!(at(&disabled, now()), Err(ErrorKind::Inactive(Status::Disabled)));
    old.revoke(&revocation());
    assert_eq!(at(&old, now()), Err(ErrorKind::Ended(Status::Revoked)));
}

/// If the revocation of a group skips a token and its successor because both ended long ago, no
/// repeat of the rotation may create a working token.
#[test]
fn a_repeat_is_refused_once_its_group_may_have_been_revoked_without_it() {
    let (mut old, ended) = (record(), later(10 * DAY));
    let first = changed(record(), |record| {
        record.confirm_by = Some(ended);
        record.request_id = Some(request("r"));
    });
    old.rotate_to(first.id, now());
    let margin = TokenRecord::REPEAT_MARGIN;
    assert!(2 * margin <= TokenRecord::REVOCATION_MARGIN, "the clocks of two nodes may differ by the other half");
    let may = |first: &TokenRecord, after: Duration| {
        let created_at = ended.saturating_add(after);
        let again = changed(record(), |record| {
            record.created_at = created_at;
            record.request_id = Some(request("r"));
        });
        old.may_rotate(old.version, &again, None, Some(first))
    };
    assert!(may(&first, margin));
    assert!(!may(&first, margin + MS));
    let expired = changed(first.clone(), |record| {
        record.confirm_by = Some(later(20 * DAY));
        record.expires_at = Some(ended);
    });
    assert!(may(&expired, margin));
    assert!(!may(&expired, margin + MS));
    let mut seen = first.clone();
    seen.apply(Change::Disable(Disabled { at: now(), by: actor() }));
    seen.apply(Change::Enable);
    assert!(!may(&seen, Duration::ZERO), "a repeat must not undo a change of the successor");
}

#[test]
fn a_token_that_ended_within_a_day_can_still_work() {
    let ended = |by: Duration| later(DAY).saturating_sub(by);
    for (end, works) in [(ended(Duration::ZERO), true), (ended(DAY), true), (ended(DAY + MS), false)] {
        for record in [
            changed(record(), |record| record.expires_at = Some(end)),
            changed(record(), |record| record.confirm_by = Some(end)),
            changed(record(), |record| record.grace_until = Some(end)),
        ] {
            assert_eq!(record.can_still_work(later(DAY)), works, "{end}");
        }
    }
    let mut record = changed(record(), |record| {
        record.expires_at = None;
        record.not_before = Some(later(3 * DAY));
    });
    record.apply(Change::Disable(Disabled { at: now(), by: actor() }));
    assert!(record.can_still_work(later(DAY)));
    record.revoke(&revocation());
    assert!(!record.can_still_work(later(DAY)));
}
