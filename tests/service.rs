//! The service over a store in memory: from issue to revocation, and what it does when the store does not answer.

mod support;

use std::sync::Arc;
use std::time::Duration;

use keyfob::{
    Access, Actor, ErasedStore, FixedClock, IssueError, Lifetime, ListOrder, ListQuery, MemoryStore, MintError, Name,
    NewToken, OwnerId, Policy, PolicyError, Rejection, RevocationReason, Status, StoreErrorKind, TokenKey, TokenStore,
    Tokens,
};
use support::{CountingStore, actor, keyring, new_token, now, prefix, project};

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
    let view = tokens.revoke(&eve, &verified.key(), RevocationReason::KeyCompromise).await.unwrap().unwrap();
    assert_eq!(view.status, Status::Revoked);
    assert_eq!(tokens.verify(text, &access).await.unwrap_err().rejection(), Some(Rejection::Revoked));

    // The second to revoke it changes nothing.
    clock.advance(HOUR);
    let again = tokens.revoke(&actor(), &verified.key(), RevocationReason::Superseded).await.unwrap().unwrap();
    assert_eq!(again.revoked, view.revoked);
    assert_eq!(again.revoked.unwrap().by, eve);
    assert_eq!(tokens.verify(text, &access).await.unwrap_err().rejection(), Some(Rejection::Revoked));
    let unknown = TokenKey { project: support::project("146"), id: verified.key().id };
    assert!(tokens.revoke(&eve, &unknown, RevocationReason::default()).await.unwrap().is_none());
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
async fn the_policy_is_asked_at_issue() {
    let tokens = Tokens::new(keyring(), CountingStore::default());
    let error = tokens.issue(&actor(), new_token().with_lifetime(Lifetime::Never)).await.unwrap_err();
    assert!(matches!(error, IssueError::Mint(MintError::Policy(PolicyError::NeverExpires))));
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
    assert!(matches!(tokens.issue(&actor(), short()).await, Err(IssueError::Limit)));
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
    query.most = keyfob::PageSize::clamped(2);
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

/// A store whose engine is away.
struct Away;

impl Away {
    fn error() -> keyfob::StoreError {
        keyfob::StoreError::with_source(StoreErrorKind::Unavailable, "connection refused")
    }
}

impl TokenStore for Away {
    async fn insert(
        &self,
        _: keyfob::TokenRecord,
        _: Option<keyfob::OwnerLimit>,
        _: Option<keyfob::IssuerCondition>,
    ) -> Result<Arc<keyfob::TokenRecord>, keyfob::StoreError> {
        Err(Self::error())
    }
    async fn find(&self, _: &TokenKey) -> Result<Option<Arc<keyfob::TokenRecord>>, keyfob::StoreError> {
        Err(Self::error())
    }
    async fn find_recent(&self, _: &TokenKey) -> Result<keyfob::Recent, keyfob::StoreError> {
        Err(Self::error())
    }
    async fn list(&self, _: &ListQuery) -> Result<keyfob::Page<Arc<keyfob::TokenRecord>>, keyfob::StoreError> {
        Err(Self::error())
    }
    async fn count(&self, _: &keyfob::CountQuery) -> Result<u64, keyfob::StoreError> {
        Err(Self::error())
    }
    async fn update(
        &self,
        _: &TokenKey,
        _: u64,
        _: keyfob::Change,
    ) -> Result<Option<Arc<keyfob::TokenRecord>>, keyfob::StoreError> {
        Err(Self::error())
    }
    async fn revoke(
        &self,
        _: &TokenKey,
        _: &keyfob::Revocation,
    ) -> Result<Option<Arc<keyfob::TokenRecord>>, keyfob::StoreError> {
        Err(Self::error())
    }
    async fn revoke_owner(
        &self,
        _: &keyfob::ProjectId,
        _: &OwnerId,
        _: &keyfob::Revocation,
    ) -> Result<u64, keyfob::StoreError> {
        Err(Self::error())
    }
    async fn revoke_family(
        &self,
        _: &keyfob::ProjectId,
        _: &keyfob::TokenId,
        _: &keyfob::Revocation,
    ) -> Result<u64, keyfob::StoreError> {
        Err(Self::error())
    }
    async fn revoke_batch(
        &self,
        _: &keyfob::ProjectId,
        _: &keyfob::Revocation,
        _: keyfob::RevokeBatch,
        _: keyfob::PageSize,
    ) -> Result<keyfob::Batch, keyfob::StoreError> {
        Err(Self::error())
    }
    async fn rotate(
        &self,
        _: &TokenKey,
        _: u64,
        _: keyfob::TokenRecord,
        _: keyfob::Timestamp,
        _: Option<keyfob::IssuerCondition>,
    ) -> Result<Option<Arc<keyfob::TokenRecord>>, keyfob::StoreError> {
        Err(Self::error())
    }
    async fn touch_many(&self, _: &[keyfob::Touch]) -> Result<u64, keyfob::StoreError> {
        Err(Self::error())
    }
}

/// A failed store is neither a pass nor a rejection, also behind the erased form.
#[tokio::test]
async fn a_store_that_is_away_is_a_503() {
    let tokens = Tokens::new(keyring(), ErasedStore::new(Away));
    let made = keyfob::mint(&keyring(), &Policy::default(), new_token(), &actor(), now()).unwrap();
    let project = project("145");
    let error = tokens.verify(made.token.expose_secret(), &Access::to(&project, &[])).await.unwrap_err();
    assert_eq!(error.rejection(), None);
    assert_eq!(error.challenge().status(), 503);
    assert_eq!(error.challenge().www_authenticate("acme"), None);
    // What needs no store is still refused.
    let error = tokens.verify("nonsense", &Access::to(&project, &[])).await.unwrap_err();
    assert_eq!(error.rejection(), Some(Rejection::Length));
    assert!(matches!(tokens.issue(&actor(), new_token()).await, Err(IssueError::Store(_))));
}

/// The project stands in the token, but only the stored one counts.
#[tokio::test]
async fn the_same_id_under_two_projects_is_two_tokens() {
    let store = MemoryStore::new();
    let ring = keyfob::Keyring::unkeyed(prefix());
    let mut made = Vec::new();
    for name in ["145", "146"] {
        let new = NewToken::new(project(name), OwnerId::new(name).unwrap(), Name::new(name).unwrap());
        let mut drawn = support::Script::of(&format!("{:0>15}{}", 7, name.repeat(11)));
        let issued = keyfob::mint_with(&mut drawn, &ring, &Policy::default(), new, &actor(), now()).unwrap();
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
