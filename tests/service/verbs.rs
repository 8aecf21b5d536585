//! Tests of the operations of the service, from issue to revocation. The tests use a store in
//! memory, or a store that fails.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyfob::{
    Access, Actor, ErrorKind, Keyring, Lifetime, MemoryStore, Name, NewToken, OwnerId, Pepper, Policy, ProjectId,
    Rejection, Status, TokenKey, TokenStore, Tokens,
    clock::FixedClock,
    keys::KeyNumber,
    policy::PolicyBreach,
    record::{Revocation, RevocationReason},
    rotation::Rotation,
    store::{
        BatchResult, DynStore, ListOrder, ListQuery, PageSize, ProjectsQuery, RevokeBatch, RevokeGroup, StoreError,
        StoreErrorKind, StoreMaintenance,
    },
};

use crate::support::{CountingStore, actor, keyring, kind_of, new_token, now, pepper, prefix, project};

const HOUR: Duration = Duration::from_secs(3600);

fn named(name: &str) -> NewToken {
    NewToken::new(project("145"), OwnerId::new("ada").unwrap(), Name::new(name).unwrap())
}

#[tokio::test]
async fn a_token_lives_from_issue_to_revocation() {
    let clock = FixedClock::new(now());
    let tokens = Tokens::new(keyring(), MemoryStore::new()).with_clock(clock.clone());
    let issued = tokens.issue(&actor(), new_token().with_lifetime(Lifetime::For(HOUR))).await.unwrap();
    let (text, project) = (issued.token.expose_secret(), project("145"));
    let access = Access::to(&project, &[]);

    let verified = tokens.verify(text, &access).await.unwrap();
    assert_eq!(verified.owner().as_str(), "ada");
    assert_eq!(verified.key(), issued.record.key());
    assert_eq!(verified.expires_at(), now().checked_add(HOUR));
    assert_eq!(tokens.verify(text.as_bytes(), &Access::to_own_project(&[])).await.unwrap().project(), &project);

    let eve = Actor::new("eve").unwrap();
    let view = tokens.revoke(&eve, &verified.key(), RevocationReason::KeyCompromise).await.unwrap();
    assert_eq!(view.status, Status::Revoked);
    assert_eq!(tokens.verify(text, &access).await.unwrap_err().rejection(), Some(Rejection::Revoked));

    // A second revocation does not change the token.
    clock.advance(HOUR);
    let again = tokens.revoke(&actor(), &verified.key(), RevocationReason::Superseded).await.unwrap();
    assert_eq!(again.revoked, view.revoked);
    assert_eq!(again.revoked.unwrap().by, eve);
    assert_eq!(tokens.verify(text, &access).await.unwrap_err().rejection(), Some(Rejection::Revoked));
    let unknown = TokenKey { project: crate::support::project("146"), id: verified.key().id };
    let revoked = tokens.revoke(&eve, &unknown, RevocationReason::default()).await;
    assert_eq!(kind_of(revoked).unwrap_err(), ErrorKind::NotFound);
    assert!(tokens.get(&unknown).await.unwrap().is_none());
}

#[tokio::test]
async fn the_clock_ends_a_token() {
    let clock = FixedClock::new(now());
    let tokens = Tokens::new(keyring(), MemoryStore::new()).with_clock(clock.clone());
    let issued = tokens.issue(&actor(), new_token().with_lifetime(Lifetime::For(HOUR))).await.unwrap();
    let project = project("145");
    let outcome = async || tokens.verify(issued.token.expose_secret(), &Access::to(&project, &[])).await;
    clock.advance(HOUR - Duration::from_millis(1));
    assert!(outcome().await.is_ok());
    clock.advance(Duration::from_millis(1));
    let error = outcome().await.unwrap_err();
    assert_eq!(error.rejection(), Some(Rejection::Expired));
    assert_eq!((error.challenge().status(), error.challenge().reason()), (401, "expired"));
    assert_eq!(error.to_string(), "the token has expired");
}

#[tokio::test]
async fn an_issue_is_checked_against_the_policy() {
    let tokens = Tokens::new(keyring(), CountingStore::default());
    let error = tokens.issue(&actor(), new_token().with_lifetime(Lifetime::Never)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Policy(PolicyBreach::NeverExpires));
    assert_eq!(tokens.store().calls(), 0);
    let tokens = tokens.with_policy(Policy::default().with_never_expiring(true));
    let issued = tokens.issue(&actor(), new_token().with_lifetime(Lifetime::Never)).await.unwrap();
    assert_eq!(issued.record.expires_at, None);
}

#[tokio::test]
async fn an_owner_has_at_most_so_many_live_tokens() {
    let clock = FixedClock::new(now());
    let tokens = Tokens::new(keyring(), MemoryStore::new())
        .with_clock(clock.clone())
        .with_policy(Policy::default().with_most_live_per_owner(2));
    let short = || new_token().with_lifetime(Lifetime::For(HOUR));
    for _ in 0..2 {
        tokens.issue(&actor(), short()).await.unwrap();
    }
    assert_eq!(kind_of(tokens.issue(&actor(), short()).await).unwrap_err(), ErrorKind::Limit);
    clock.advance(HOUR);
    assert!(tokens.issue(&actor(), short()).await.is_ok());
}

#[tokio::test]
async fn a_list_shows_views_by_page() {
    let clock = FixedClock::new(now());
    let tokens = Tokens::new(keyring(), MemoryStore::new()).with_clock(clock.clone());
    for name in ["gamma", "Beta", "alpha"] {
        tokens.issue(&actor(), named(name)).await.unwrap();
        clock.advance(HOUR);
    }
    let mut query = ListQuery::new(project("145"));
    query.order = ListOrder::Name;
    query.descending = false;
    query.most = keyfob::store::PageSize::clamped(2);
    let first = tokens.list(&query).await.unwrap();
    query.after = first.next.clone();
    let second = tokens.list(&query).await.unwrap();
    let names = first.items.iter().chain(&second.items).map(|view| view.name.as_str()).collect::<Vec<_>>();
    assert_eq!(names, ["alpha", "Beta", "gamma"]);
    assert_eq!(second.next, None);
    assert!(first.items[0].public_part.starts_with("acme_pat_145_1"));
    query.project = project("146");
    query.after = None;
    assert!(tokens.list(&query).await.unwrap().items.is_empty());
}

/// A store whose calls fail as if its database were down.
pub struct Away;

impl Away {
    fn error() -> keyfob::store::StoreError {
        keyfob::store::StoreError::with_source(StoreErrorKind::Unavailable, "connection refused")
    }
}

impl TokenStore for Away {
    async fn insert(
        &self,
        _: keyfob::TokenRecord,
        _: Option<keyfob::store::LiveLimit>,
        _: Option<keyfob::store::IssuerCondition>,
    ) -> Result<Arc<keyfob::TokenRecord>, keyfob::store::StoreError> {
        Err(Self::error())
    }
    async fn find(&self, _: &TokenKey) -> Result<Option<Arc<keyfob::TokenRecord>>, keyfob::store::StoreError> {
        Err(Self::error())
    }
    async fn find_recent(&self, _: &TokenKey) -> Result<keyfob::store::ReadResult, keyfob::store::StoreError> {
        Err(Self::error())
    }
    async fn list(
        &self,
        _: &ListQuery,
    ) -> Result<keyfob::store::Page<Arc<keyfob::TokenRecord>>, keyfob::store::StoreError> {
        Err(Self::error())
    }
    async fn count(&self, _: &keyfob::store::CountQuery) -> Result<u64, keyfob::store::StoreError> {
        Err(Self::error())
    }
    async fn update(
        &self,
        _: &TokenKey,
        _: u64,
        _: keyfob::record::Change,
    ) -> Result<Option<Arc<keyfob::TokenRecord>>, keyfob::store::StoreError> {
        Err(Self::error())
    }
    async fn revoke(
        &self,
        _: &TokenKey,
        _: &keyfob::record::Revocation,
    ) -> Result<Option<Arc<keyfob::TokenRecord>>, keyfob::store::StoreError> {
        Err(Self::error())
    }
    async fn revoke_owner(
        &self,
        _: &keyfob::ProjectId,
        _: &OwnerId,
        _: &keyfob::record::Revocation,
    ) -> Result<u64, keyfob::store::StoreError> {
        Err(Self::error())
    }
    async fn revoke_family(
        &self,
        _: &keyfob::ProjectId,
        _: &keyfob::TokenId,
        _: &keyfob::record::Revocation,
    ) -> Result<u64, keyfob::store::StoreError> {
        Err(Self::error())
    }
    async fn revoke_issued_by(
        &self,
        _: &ProjectId,
        _: &keyfob::TokenId,
        _: &keyfob::record::Revocation,
    ) -> Result<u64, StoreError> {
        Err(Self::error())
    }
    async fn revoke_batch(
        &self,
        _: &keyfob::ProjectId,
        _: &keyfob::record::Revocation,
        _: keyfob::store::RevokeBatch,
        _: keyfob::store::PageSize,
    ) -> Result<keyfob::store::BatchResult, keyfob::store::StoreError> {
        Err(Self::error())
    }
    async fn rotate(
        &self,
        _: &TokenKey,
        _: u64,
        _: keyfob::TokenRecord,
        _: keyfob::Timestamp,
        _: Option<keyfob::store::IssuerCondition>,
    ) -> Result<Option<Arc<keyfob::TokenRecord>>, keyfob::store::StoreError> {
        Err(Self::error())
    }
    async fn touch_many(&self, _: &[keyfob::store::LastUse]) -> Result<u64, keyfob::store::StoreError> {
        Err(Self::error())
    }
}

impl StoreMaintenance for Away {
    async fn projects(&self, _: &ProjectsQuery) -> Result<Vec<ProjectId>, StoreError> {
        Err(Self::error())
    }
    async fn purge(&self, _: &ProjectId, _: keyfob::Timestamp, _: PageSize) -> Result<BatchResult, StoreError> {
        Err(Self::error())
    }
    async fn ended_issuers(
        &self,
        _: &ProjectId,
        _: keyfob::Timestamp,
        _: PageSize,
    ) -> Result<Vec<keyfob::TokenId>, StoreError> {
        Err(Self::error())
    }
    async fn claim_notices(
        &self,
        _: &ProjectId,
        _: &[keyfob::notices::NoticeLead],
        _: keyfob::Timestamp,
        _: keyfob::Timestamp,
        _: PageSize,
    ) -> Result<Vec<Arc<keyfob::TokenRecord>>, StoreError> {
        Err(Self::error())
    }
    async fn acknowledge_notice(
        &self,
        _: &TokenKey,
        _: keyfob::notices::NoticeLead,
    ) -> Result<Option<Arc<keyfob::TokenRecord>>, StoreError> {
        Err(Self::error())
    }
}

/// If the store fails, the service neither accepts nor rejects a token, but returns an error. This
/// is also true of a `DynStore`.
#[tokio::test]
async fn a_store_that_is_away_is_a_503() {
    let tokens = Tokens::new(keyring(), DynStore::new(Away));
    let made = keyfob::mint(&keyring(), &Policy::default(), new_token(), &actor(), now()).unwrap();
    let project = project("145");
    let error = tokens.verify(made.token.expose_secret(), &Access::to(&project, &[])).await.unwrap_err();
    assert_eq!(error.rejection(), None);
    assert_eq!(error.challenge().status(), 503);
    assert_eq!(error.challenge().www_authenticate("acme"), None);
    // A text that cannot be a token is rejected without a call to the store.
    let error = tokens.verify("nonsense", &Access::to(&project, &[])).await.unwrap_err();
    assert_eq!(error.rejection(), Some(Rejection::Length));
    assert_eq!(kind_of(tokens.issue(&actor(), new_token()).await).unwrap_err(), ErrorKind::Unavailable);
}

/// The text of a token contains a project, but the service uses only the project of the stored
/// record.
#[tokio::test]
async fn the_same_id_under_two_projects_is_two_tokens() {
    let store = MemoryStore::new();
    let ring = keyfob::Keyring::unkeyed(prefix());
    let mut made = Vec::new();
    for name in ["145", "146"] {
        let new = NewToken::new(project(name), OwnerId::new(name).unwrap(), Name::new(name).unwrap());
        let mut drawn = crate::support::Script::of(&format!("{:0>15}{}", 7, name.repeat(11)));
        let issued = keyfob::record::mint_with(&mut drawn, &ring, &Policy::default(), new, &actor(), now()).unwrap();
        store.insert(issued.record.clone(), None, None).await.unwrap();
        made.push(issued);
    }
    assert_eq!(made[0].record.id, made[1].record.id);
    let tokens = Tokens::new(ring, store).with_clock(FixedClock::new(now()));
    for issued in &made {
        let own = issued.record.project;
        let verified = tokens.verify(issued.token.expose_secret(), &Access::to(&own, &[])).await.unwrap();
        assert_eq!(verified.owner().as_str(), own.as_str());
    }
    tokens.revoke(&actor(), &made[0].record.key(), RevocationReason::default()).await.unwrap();
    let other = made[1].record.project;
    assert!(tokens.verify(made[1].token.expose_secret(), &Access::to(&other, &[])).await.is_ok());
}

/// A store in which another process rotates a token twice between two calls of `revoke_batch`.
struct Between {
    store: Arc<MemoryStore>,
    others: Tokens<Arc<MemoryStore>>,
    keys: Mutex<Vec<TokenKey>>,
    successors: Mutex<Vec<String>>,
}

impl TokenStore for Between {
    handed_on!(store: insert, find, find_recent, list, count, update, revoke, revoke_owner, revoke_family, revoke_issued_by, rotate, touch_many);

    async fn revoke_batch(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        batch: RevokeBatch,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        let keys = std::mem::take(&mut *self.keys.lock().unwrap());
        let step = self.store.revoke_batch(project, revocation, batch, most).await?;
        for key in keys {
            let rotation = || Rotation::with_grace(Duration::ZERO);
            let Ok(first) = self.others.rotate(&actor(), &key, rotation()).await else { continue };
            let second = self.others.rotate(&actor(), &first.issued.record.key(), rotation()).await.unwrap();
            let texts = [first, second].map(|rotated| rotated.issued.token.expose_secret().to_owned());
            self.successors.lock().unwrap().extend(texts);
            break;
        }
        Ok(step)
    }
}

#[tokio::test]
async fn no_successor_that_a_token_of_a_batch_got_meanwhile_works() {
    let first = KeyNumber::FIRST;
    let another = || Pepper::new((100..132).collect()).unwrap();
    let ring = || {
        let second = KeyNumber::new(2).unwrap();
        Keyring::builder(prefix()).mint_with(first, pepper()).verify_with(second, another()).build().unwrap()
    };
    let promoted = || ring().promoted(KeyNumber::new(2).unwrap()).unwrap();
    let hour_later = now().checked_add(HOUR).unwrap();
    for group in [RevokeGroup::KeyNumber(first), RevokeGroup::CreatedBefore(hour_later)] {
        let (store, clock) = (Arc::new(MemoryStore::new()), FixedClock::new(now()));
        let before = Tokens::new(ring(), Arc::clone(&store)).with_clock(clock.clone());
        let mut keys = Vec::new();
        // Issues more tokens than one call of `revoke_batch` covers.
        for _ in 0..1_200 {
            keys.push(before.issue(&actor(), new_token()).await.unwrap().record.key());
        }
        let others = Tokens::new(promoted(), Arc::clone(&store)).with_clock(clock.clone());
        // This token has a successor from before the revocation, and the successor is not in the
        // group.
        clock.advance(HOUR / 2);
        let rotated = before.issue(&actor(), new_token()).await.unwrap().record.key();
        clock.advance(HOUR / 2);
        let kept = others.rotate(&actor(), &rotated, Rotation::with_grace(Duration::ZERO)).await.unwrap();
        clock.advance(HOUR);
        let successors = Mutex::default();
        let between = Between { store, others, keys: Mutex::new(keys), successors };
        let tokens = Tokens::new(promoted(), Arc::new(between)).with_clock(clock.clone());
        let revoke =
            async || tokens.revoke_group(&actor(), &project("145"), &group, RevocationReason::KeyCompromise).await;
        let count = revoke().await.unwrap();
        assert_eq!(count, 1_203);
        let successors = tokens.store().successors.lock().unwrap().clone();
        assert_eq!(successors.len(), 2, "one was rotated between two steps");
        let access = Access::to_own_project(&[]);
        for successor in successors {
            let outcome = tokens.verify(&successor, &access).await;
            assert_eq!(outcome.unwrap_err().rejection(), Some(Rejection::Revoked), "{group:?}");
        }
        assert!(tokens.verify(kept.issued.token.expose_secret(), &access).await.is_ok(), "{group:?}");
    }
}

/// `DynStore::new` does not pass on import calls: each import call returns an error.
/// `DynStore::with_imports` passes them on.
#[tokio::test]
async fn an_erased_store_takes_imports_only_if_it_was_told() {
    use keyfob::import::ImportStore;

    let store = Arc::new(MemoryStore::new());
    let key = keyfob::import::ImportKey::from_bytes([7; 32]);
    let without = DynStore::new(Arc::clone(&store));
    let error = without.find_imported(&key).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Other);
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the store does not support imports");
    assert_eq!(without.import(Vec::new()).await.unwrap_err().kind(), StoreErrorKind::Other);
    let with = DynStore::with_imports(store);
    assert_eq!(with.find_imported(&key).await.unwrap(), None);
}
