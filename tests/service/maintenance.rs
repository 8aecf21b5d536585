//! Tests of operations that change many tokens, across pages and projects.

use std::sync::Arc;
use std::time::Duration;

use keyfob::{
    Error, ErrorKind, Keyring, Lifetime, MemoryStore, Name, NewToken, OwnerId, Pepper, Policy, ProjectId, Status,
    Timestamp, TokenId, TokenKey, TokenRecord, TokenStore, Tokens,
    clock::FixedClock,
    error::PartialFailure,
    keys::KeyNumber,
    mint,
    notices::NoticeLead,
    record::{Revocation, RevocationReason},
    rotation::Rotation,
    store::{
        BatchResult, ListQuery, PageSize, ProjectsQuery, RevokeBatch, RevokeGroup, StatusGroup, StoreError,
        StoreErrorKind, StoreMaintenance,
    },
};

use crate::support::{actor, keyring, new_token, now, pepper, prefix, project};

const DAY: Duration = Duration::from_secs(86_400);
const MS: Duration = Duration::from_millis(1);
const REASON: RevocationReason = RevocationReason::AffiliationChanged;

type Service = Tokens<MemoryStore>;

fn ada() -> OwnerId {
    OwnerId::new("ada").unwrap()
}

fn service() -> (FixedClock, Service) {
    let clock = FixedClock::new(now());
    (clock.clone(), Tokens::new(keyring(), MemoryStore::new()).with_clock(clock))
}

/// Inserts `count` tokens of the owner `ada` in a project. Each token lives for ten days.
async fn fill<S: TokenStore>(tokens: &Tokens<S>, place: &str, count: usize) {
    let new = NewToken::new(project(place), ada(), Name::new("CI").unwrap()).with_lifetime(Lifetime::For(10 * DAY));
    for _ in 0..count {
        let made = mint(tokens.keyring(), &Policy::default(), new.clone(), &actor(), now()).unwrap();
        tokens.store().insert(made.record, None, None).await.unwrap();
    }
}

/// The revocation of a group includes all its tokens, even if there are more than a thousand. A
/// purge then deletes all these tokens.
#[tokio::test]
async fn a_whole_group_is_revoked_and_purged() {
    let (clock, tokens) = service();
    fill(&tokens, "a", 1001).await;
    fill(&tokens, "b", 2).await;
    let by_time = RevokeGroup::CreatedBefore(now().checked_add(MS).unwrap());
    assert_eq!(tokens.revoke_group(&actor(), &project("a"), &by_time, REASON).await.unwrap(), 1001);
    assert_eq!(tokens.revoke_group(&actor(), &project("a"), &by_time, REASON).await.unwrap(), 0);
    clock.advance(DAY);
    assert_eq!(tokens.purge(DAY).await.unwrap(), 0, "a token is purged only after the day has passed");
    clock.advance(MS);
    assert_eq!(tokens.purge(DAY).await.unwrap(), 1001);
    assert_eq!(tokens.list(&ListQuery::new(project("b"))).await.unwrap().items.len(), 2);
}

#[tokio::test]
async fn a_revocation_covers_all_projects_or_those_after_one() {
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

/// A store in memory that fails in the given projects. If `unlisted_after` is set, the store also
/// fails to list the projects after that project.
struct Failing {
    store: MemoryStore,
    projects: &'static [&'static str],
    unlisted_after: Option<&'static str>,
}

impl Failing {
    fn in_project(&self, project: &ProjectId) -> Result<(), StoreError> {
        match self.projects.contains(&project.as_str()) {
            true => Err(StoreError::with_source(StoreErrorKind::Unavailable, format!("{project} is away"))),
            false => Ok(()),
        }
    }
}

impl TokenStore for Failing {
    handed_on!(store: insert, find, find_recent, list, count, update, revoke, rotate, touch_many);

    async fn revoke_owner(
        &self,
        project: &ProjectId,
        owner: &OwnerId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        self.in_project(project)?;
        self.store.revoke_owner(project, owner, revocation).await
    }

    async fn revoke_family(
        &self,
        project: &ProjectId,
        family: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        self.in_project(project)?;
        self.store.revoke_family(project, family, revocation).await
    }

    async fn revoke_issued_by(
        &self,
        project: &ProjectId,
        issuer: &keyfob::TokenId,
        revocation: &keyfob::record::Revocation,
    ) -> Result<u64, StoreError> {
        self.store.revoke_issued_by(project, issuer, revocation).await
    }
    async fn revoke_batch(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        batch: RevokeBatch,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        self.in_project(project)?;
        self.store.revoke_batch(project, revocation, batch, most).await
    }
}

impl StoreMaintenance for Failing {
    async fn projects(&self, query: &ProjectsQuery) -> Result<Vec<ProjectId>, StoreError> {
        match self.unlisted_after.map(project) {
            // The list returns only one project per call, so that the service makes a further call
            // after each project.
            Some(last) if query.after >= Some(last) => Err(StoreErrorKind::Other.into()),
            Some(_) => self.store.projects(&ProjectsQuery { most: PageSize::clamped(1), ..query.clone() }).await,
            None => self.store.projects(query).await,
        }
    }

    async fn purge(
        &self,
        project: &ProjectId,
        ended_before: Timestamp,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        self.in_project(project)?;
        self.store.purge(project, ended_before, most).await
    }

    async fn ended_issuers(
        &self,
        project: &keyfob::ProjectId,
        now: keyfob::Timestamp,
        most: keyfob::store::PageSize,
    ) -> Result<Vec<keyfob::TokenId>, keyfob::store::StoreError> {
        self.store.ended_issuers(project, now, most).await
    }

    async fn claim_notices(
        &self,
        project: &ProjectId,
        leads: &[NoticeLead],
        now: Timestamp,
        lease_until: Timestamp,
        most: PageSize,
    ) -> Result<Vec<Arc<TokenRecord>>, StoreError> {
        self.in_project(project)?;
        self.store.claim_notices(project, leads, now, lease_until, most).await
    }

    async fn acknowledge_notice(
        &self,
        key: &TokenKey,
        lead: NoticeLead,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.store.acknowledge_notice(key, lead).await
    }
}

/// Creates a service with one token in each of the projects a, b, c and d. The store fails in the
/// projects a and c.
async fn failing(unlisted_after: Option<&'static str>) -> (FixedClock, Tokens<Failing>) {
    let store = Failing { store: MemoryStore::new(), projects: &["a", "c"], unlisted_after };
    let clock = FixedClock::new(now());
    let tokens = Tokens::new(keyring(), store).with_clock(clock.clone());
    for place in ["a", "b", "c", "d"] {
        fill(&tokens, place, 1).await;
    }
    (clock, tokens)
}

/// Returns the state of the token in each of the four projects: whether it is revoked, or `None` if
/// it is purged.
async fn revoked(tokens: &Tokens<Failing>) -> Vec<Option<bool>> {
    let mut revoked = Vec::new();
    for place in ["a", "b", "c", "d"] {
        let items = tokens.list(&ListQuery::new(project(place))).await.unwrap().items;
        revoked.push(items.first().map(|view| view.revoked.is_some()));
    }
    revoked
}

fn is_of_a_and_c(error: &Error, count: u64, after: &str) {
    assert_eq!(error.kind(), ErrorKind::Partial);
    let failed = vec![project("a"), project("c")];
    assert_eq!(*error.partial().unwrap(), PartialFailure { failed, after: Some(project(after)), count });
    assert_eq!(error.store().unwrap().kind(), StoreErrorKind::Unavailable);
    assert_eq!(std::error::Error::source(error).unwrap().to_string(), "a is away", "the first error");
}

#[tokio::test]
async fn a_project_that_fails_keeps_no_token_of_another_from_being_revoked() {
    for group in [RevokeGroup::Owner(ada()), RevokeGroup::CreatedBefore(now().checked_add(MS).unwrap())] {
        let (_, tokens) = failing(None).await;
        let interrupted = tokens.revoke_everywhere(&actor(), &group, REASON, None).await.unwrap_err();
        assert_eq!(revoked(&tokens).await, [Some(false), Some(true), Some(false), Some(true)], "{group:?}");
        is_of_a_and_c(&interrupted, 2, "d");
    }
}

#[tokio::test]
async fn an_interrupted_list_of_projects_reports_where_it_stopped() {
    let (_, tokens) = failing(Some("c")).await;
    let group = RevokeGroup::Owner(ada());
    let interrupted = tokens.revoke_everywhere(&actor(), &group, REASON, None).await.unwrap_err();
    is_of_a_and_c(&interrupted, 1, "c");
    let after = interrupted.partial().unwrap().after;
    let interrupted = tokens.revoke_everywhere(&actor(), &group, REASON, after).await.unwrap_err();
    let nothing = PartialFailure { failed: Vec::new(), after: Some(project("c")), count: 0 };
    assert_eq!(interrupted.partial(), Some(&nothing));
    assert_eq!(interrupted.store().unwrap().kind(), StoreErrorKind::Other);
}

#[tokio::test]
async fn a_project_that_fails_keeps_no_key_of_another_from_being_revoked_by_force() {
    let (_, tokens) = failing(None).await;
    let (second, new) = (KeyNumber::new(2).unwrap(), Pepper::new((32..64).collect()).unwrap());
    let ring = Keyring::builder(prefix()).mint_with(second, new).verify_with(KeyNumber::FIRST, pepper());
    let promoted = Tokens::new(ring.build().unwrap(), tokens.store()).with_clock(FixedClock::new(now()));
    let retired = promoted.retire_key_by_force(&actor(), KeyNumber::FIRST, REASON).await;
    assert_eq!(revoked(&tokens).await, [Some(false), Some(true), Some(false), Some(true)]);
    is_of_a_and_c(&retired.unwrap_err(), 2, "d");
}

#[tokio::test]
async fn a_project_that_fails_keeps_no_record_of_another_from_being_purged() {
    let (clock, tokens) = failing(None).await;
    clock.advance(11 * DAY);
    let interrupted = tokens.purge(DAY - MS).await.unwrap_err();
    assert_eq!(revoked(&tokens).await, [Some(false), None, Some(false), None]);
    is_of_a_and_c(&interrupted, 2, "d");
}

#[tokio::test]
async fn a_project_that_fails_keeps_no_notice_of_another_from_being_claimed() {
    let (clock, tokens) = failing(None).await;
    clock.advance(4 * DAY);
    let claimed = tokens.claim_notices(DAY, PageSize::MAX).await.unwrap();
    let projects: Vec<_> = claimed.iter().map(|notice| notice.id.key.project).collect();
    assert_eq!(projects, [project("b"), project("d")]);
    // No further notice is due in the other projects, so the call reports the projects that failed.
    let error = tokens.claim_notices(DAY, PageSize::MAX).await.unwrap_err();
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "a is away");
}

#[tokio::test]
async fn a_query_applies_its_filters_and_bounds() {
    let (_, tokens) = service();
    let issued = tokens.issue(&actor(), new_token().with_lifetime(Lifetime::For(DAY))).await.unwrap();
    let mut record = (*issued.record).clone();
    let all = || ListQuery::new(record.project);
    let (before, after) = (now().saturating_sub(MS), now().checked_add(MS).unwrap());
    let used = |time| ListQuery { last_used_before: Some(time), ..all() };
    let ends = |time| ListQuery { expires_before: Some(time), ..all() };
    let expires_at = record.expires_at.unwrap();
    assert!(all().matches(&record));
    // If a token was never used, the filter takes its time of creation as its last use.
    assert!(used(after).matches(&record) && !used(now()).matches(&record) && !used(before).matches(&record));
    assert!(ends(expires_at.checked_add(MS).unwrap()).matches(&record) && !ends(expires_at).matches(&record));
    let both = [used(after), ends(expires_at.checked_add(MS).unwrap())];
    record.expires_at = None;
    assert!(both[0].matches(&record) && !both[1].matches(&record));

    for status in Status::ALL {
        let is_revoked = *status == Status::Revoked;
        assert_eq!(StatusGroup::Only(Status::Revoked).contains(*status), is_revoked, "{status}");
        assert_eq!(StatusGroup::Except(Status::Revoked).contains(*status), !is_revoked, "{status}");
        assert_ne!(StatusGroup::Live.contains(*status), StatusGroup::Ended.contains(*status), "{status}");
    }
    let sizes = [0, 1, 999, 1000, 1001, usize::MAX].map(|rows| PageSize::clamped(rows).get());
    assert_eq!(sizes, [1, 1, 999, 1000, 1000, 1000]);
}

#[tokio::test]
async fn a_predecessor_is_still_used_if_it_was_used_after_the_rotation() {
    let (clock, tokens) = service();
    let old = tokens.issue(&actor(), new_token()).await.unwrap();
    let touched = |at| [keyfob::store::LastUse { key: old.record.key(), used_at: at, from: None }];
    tokens.store().touch_many(&touched(now())).await.unwrap();
    let rotated = tokens.rotate(&actor(), &old.record.key(), Rotation::with_grace(DAY)).await.unwrap();
    let view = rotated.issued.record.view(now());
    assert!(!tokens.predecessor(&view).await.unwrap().unwrap().still_used);
    clock.advance(MS);
    tokens.store().touch_many(&touched(tokens.now())).await.unwrap();
    assert!(tokens.predecessor(&view).await.unwrap().unwrap().still_used);
}
