//! What an operator calls for many tokens at once, beyond one page of them and over several projects.

mod support;

use std::time::Duration;

use keyfob::{
    FixedClock, Life, Lifetime, ListQuery, MemoryStore, Name, NewToken, OwnerId, PageSize, Policy, RevocationReason,
    RevokeGroup, Rotation, Status, TokenStore, Tokens, mint,
};
use support::{actor, keyring, new_token, now, project};

const DAY: Duration = Duration::from_secs(86_400);
const MS: Duration = Duration::from_millis(1);
const REASON: RevocationReason = RevocationReason::AffiliationChanged;

type Service = Tokens<MemoryStore, FixedClock>;

fn ada() -> OwnerId {
    OwnerId::new("ada").unwrap()
}

fn service() -> (FixedClock, Service) {
    let clock = FixedClock::new(now());
    (clock.clone(), Tokens::new(keyring(), MemoryStore::new()).with_clock(clock))
}

/// So many of ada's, which live for ten days.
async fn fill(tokens: &Service, place: &str, count: usize) {
    let new = NewToken::new(project(place), ada(), Name::new("CI").unwrap()).with_lifetime(Lifetime::For(10 * DAY));
    for _ in 0..count {
        let made = mint(tokens.keyring(), &Policy::default(), new.clone(), &actor(), now()).unwrap();
        tokens.store().insert(made.record, None, None).await.unwrap();
    }
}

/// Neither ends with its first thousand.
#[tokio::test]
async fn a_group_is_revoked_and_purged_whole() {
    let (clock, tokens) = service();
    fill(&tokens, "a", 1001).await;
    fill(&tokens, "b", 2).await;
    let by_time = RevokeGroup::CreatedBefore(now().checked_add(MS).unwrap());
    assert_eq!(tokens.revoke_group(&actor(), &project("a"), &by_time, REASON).await.unwrap(), 1001);
    assert_eq!(tokens.revoke_group(&actor(), &project("a"), &by_time, REASON).await.unwrap(), 0);
    clock.advance(DAY);
    assert_eq!(tokens.purge(DAY).await.unwrap(), 0, "not before a day is over");
    clock.advance(MS);
    assert_eq!(tokens.purge(DAY).await.unwrap(), 1001);
    assert_eq!(tokens.list(&ListQuery::new(project("b"))).await.unwrap().items.len(), 2);
}

#[tokio::test]
async fn all_projects_are_walked_and_those_behind_a_place() {
    let (_, tokens) = service();
    for (place, count) in [("a", 1), ("b", 2), ("c", 4)] {
        fill(&tokens, place, count).await;
    }
    let group = RevokeGroup::Owner(ada());
    assert_eq!(tokens.revoke_everywhere(&actor(), &group, REASON, Some(project("b"))).await.unwrap(), 4);
    assert_eq!(tokens.revoke_everywhere(&actor(), &group, REASON, None).await.unwrap(), 3);
}

#[tokio::test]
async fn no_more_notices_are_claimed_than_asked_for() {
    let (clock, tokens) = service();
    fill(&tokens, "a", 2).await;
    fill(&tokens, "b", 2).await;
    clock.advance(4 * DAY);
    let claim = async |most| tokens.claim_notices(DAY, PageSize::clamped(most)).await.unwrap().len();
    assert_eq!((claim(3).await, claim(3).await, claim(3).await), (3, 1, 0));
}

#[tokio::test]
async fn a_query_keeps_its_bounds() {
    let (_, tokens) = service();
    let issued = tokens.issue(&actor(), new_token().with_lifetime(Lifetime::For(DAY))).await.unwrap();
    let mut record = (*issued.record).clone();
    let all = || ListQuery::new(record.project);
    let (before, after) = (now().saturating_sub(MS), now().checked_add(MS).unwrap());
    let used = |time| ListQuery { last_used_before: Some(time), ..all() };
    let ends = |time| ListQuery { expires_before: Some(time), ..all() };
    let expires_at = record.expires_at.unwrap();
    assert!(all().matches(&record));
    // One that was never used counts as used when it was made.
    assert!(used(after).matches(&record) && !used(now()).matches(&record) && !used(before).matches(&record));
    assert!(ends(expires_at.checked_add(MS).unwrap()).matches(&record) && !ends(expires_at).matches(&record));
    let both = [used(after), ends(expires_at.checked_add(MS).unwrap())];
    record.expires_at = None;
    assert!(both[0].matches(&record) && !both[1].matches(&record));

    for status in Status::ALL {
        let is_revoked = *status == Status::Revoked;
        assert_eq!(Life::Only(Status::Revoked).contains(*status), is_revoked, "{status}");
        assert_eq!(Life::Except(Status::Revoked).contains(*status), !is_revoked, "{status}");
        assert_ne!(Life::Live.contains(*status), Life::Dead.contains(*status), "{status}");
    }
    let sizes = [0, 1, 999, 1000, 1001, usize::MAX].map(|rows| PageSize::clamped(rows).get());
    assert_eq!(sizes, [1, 1, 999, 1000, 1000, 1000]);
}

#[tokio::test]
async fn a_predecessor_is_still_used_where_it_was_used_later() {
    let (clock, tokens) = service();
    let old = tokens.issue(&actor(), new_token()).await.unwrap();
    let touched = |at| [keyfob::Touch { key: old.record.key(), used_at: at }];
    tokens.store().touch_many(&touched(now())).await.unwrap();
    let rotated = tokens.rotate(&actor(), &old.record.key(), Rotation::with_grace(DAY)).await.unwrap().unwrap();
    let view = rotated.issued.record.view(now());
    assert!(!tokens.predecessor(&view).await.unwrap().unwrap().still_used);
    clock.advance(MS);
    tokens.store().touch_many(&touched(tokens.now())).await.unwrap();
    assert!(tokens.predecessor(&view).await.unwrap().unwrap().still_used);
}
