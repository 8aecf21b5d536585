//! Traps around tokens that issue other tokens. If an issuer ends or is disabled, the tokens that
//! are bound to the issuer stop working. If an issuer loses scopes or addresses, the tokens that
//! are bound to the issuer cannot use them either.

use std::sync::Arc;
use std::time::Duration;

use keyfob::{
    Delegation, ErrorKind, Lifetime, NewToken, OwnerId, Policy, Rejection, Scope, Status, TokenKind, TokenRecord,
    TokenStore,
    error::OutsideIssuer,
    policy::PolicyBreach,
    record::{Issuer, Narrowing, RevocationReason},
    rotation::Rotation,
    store::{ListQuery, PageSize, RevokeGroup, StatusFilter, StatusGroup, StoreMaintenance},
};

use crate::support::{actor, kind_of};
use crate::traps::world::{DAY, HOUR, MS, Made, World};

const LEAK: RevocationReason = RevocationReason::KeyCompromise;

fn manage() -> Scope {
    Scope::new("tokens:manage").unwrap()
}

impl World {
    /// Issues a token that lives for thirty days and may issue other tokens.
    async fn parent(&self) -> Made {
        self.make(self.new_token().with_scopes("repo:* tokens:manage".parse().unwrap())).await
    }

    /// Verifies the token for a request from this address, and returns the delegation that the
    /// token gives.
    async fn delegation_from(&self, made: &Made, address: &str) -> Delegation {
        let access = keyfob::Access::to(&self.project, &[]).from_address(address.parse().unwrap());
        self.tokens.verify(made.token.expose_secret(), &access).await.unwrap().delegate(&manage()).unwrap()
    }

    async fn delegation(&self, made: &Made) -> Delegation {
        self.delegation_from(made, "10.1.2.3").await
    }

    async fn issue_within(&self, by: &Delegation, new: NewToken) -> Result<Made, ErrorKind> {
        kind_of(self.tokens.issue(&actor(), new.within(by)).await)
    }

    fn new_child(&self) -> NewToken {
        self.new_token().with_scopes("repo:write".parse().unwrap())
    }

    /// Issues a token that is bound to `parent`, and checks that the new token works.
    async fn child_of(&self, parent: &Made) -> Made {
        let child = self.issue_within(&self.delegation(parent).await, self.new_child()).await.unwrap();
        assert_eq!(child.record.issuer, Some(Issuer { id: parent.record.id, bound: true }));
        assert_eq!(self.may(&child, "repo:write").await, "ok");
        child
    }

    /// Issues a token and a second token that is bound to the first, and checks that the second
    /// works.
    async fn family(&self) -> (Made, Made) {
        let parent = self.parent().await;
        let child = self.child_of(&parent).await;
        (parent, child)
    }

    async fn status(&self, made: &Made) -> Status {
        self.tokens.get(&made.record.key()).await.unwrap().unwrap().status
    }

    /// Returns the token's own record. The record does not change when an issuer of the token ends.
    async fn row(&self, made: &Made) -> Arc<TokenRecord> {
        self.tokens.store().find(&made.record.key()).await.unwrap().unwrap()
    }

    /// Checks that verification rejects the child because its issuer has ended, that the child's
    /// status reports the ended issuer, and that the child's record is unchanged.
    async fn assert_ended_with_its_issuer(&self, child: &Made) {
        assert_eq!(self.outcome(child).await, "issuer_ended");
        assert_eq!(self.status(child).await, Status::IssuerEnded);
        let row = self.row(child).await;
        assert_eq!((row.version, &row.revoked, &row.disabled), (child.record.version, &None, &None));
    }

    /// Checks that the child is revoked. The call that revokes the tokens of ended issuers does not
    /// invalidate the cache. So the first verification may read the child from the cache, and may
    /// reject it because of its issuer.
    async fn assert_revoked_after_its_issuer(&self, child: &Made) {
        assert!(["revoked", "issuer_ended"].contains(&self.outcome(child).await));
        assert_eq!(self.status(child).await, Status::Revoked);
        assert_eq!(self.outcome(child).await, "revoked", "the cache has the record that was just read");
    }

    async fn narrow(&self, made: &Made, narrowing: Narrowing) {
        self.tokens.narrow(&actor(), &made.record.key(), narrowing).await.unwrap();
    }

    async fn revoke(&self, made: &Made) {
        self.tokens.revoke(&actor(), &made.record.key(), LEAK).await.unwrap();
    }

    fn set_policy(self, policy: Policy) -> Self {
        Self { tokens: self.tokens.with_policy(policy), ..self }
    }
}

pub async fn parent_narrowed_afterwards(world: World) {
    let (parent, child) = world.family().await;
    let narrowing = Narrowing { scopes: Some("repo:read tokens:manage".parse().unwrap()), ..Narrowing::default() };
    world.narrow(&parent, narrowing).await;
    assert_eq!(world.may(&child, "repo:write").await, "scope");
    assert_eq!(world.may(&child, "repo:read").await, "scope", "the child's own scopes still apply");
    // The child still passes verification, but it grants no scopes.
    let access = keyfob::Access::to(&world.project, &[]);
    let verified = world.tokens.verify(child.token.expose_secret(), &access).await.unwrap();
    assert_eq!(verified.scopes().as_str(), "");
    assert!(!verified.allows(&Scope::new("repo:write").unwrap()));
    assert_eq!(world.row(&child).await.scopes.as_str(), "repo:write");
}

pub async fn parent_narrowed_so_that_it_may_not_issue(world: World) {
    let world = world.set_policy(Policy::default().with_max_depth(2));
    let parent = world.parent().await;
    let by = world.delegation(&parent).await.allow_manage();
    let new = world.new_token().with_scopes("repo:write tokens:manage".parse().unwrap());
    let child = world.issue_within(&by, new).await.unwrap();
    let by_child = world.delegation(&child).await;
    let grandchild = world.issue_within(&by_child, world.new_child()).await.unwrap();
    assert_eq!(world.may(&grandchild, "repo:write").await, "ok");

    let narrowing = Narrowing { scopes: Some("repo:read".parse().unwrap()), ..Narrowing::default() };
    world.narrow(&parent, narrowing).await;
    let access = keyfob::Access::to(&world.project, &[]);
    let verified = world.tokens.verify(child.token.expose_secret(), &access).await.unwrap();
    assert_eq!(verified.delegate(&manage()).unwrap_err(), Rejection::Scope);
    assert_eq!(world.may(&grandchild, "repo:write").await, "scope");
    // Delegations that were obtained before the narrowing cannot issue a token either.
    for by in [&by, &by_child] {
        let refused = world.issue_within(by, world.new_child()).await.unwrap_err();
        assert_eq!(refused, ErrorKind::IssuerEnded(Rejection::Scope));
    }
}

pub async fn parent_disabled_and_enabled(world: World) {
    let (parent, child) = world.family().await;
    let (key, by) = (parent.record.key(), world.delegation(&parent).await);
    for _ in 0..2 {
        world.tokens.disable(&actor(), &key).await.unwrap();
        world.assert_ended_with_its_issuer(&child).await;
        let refused = world.issue_within(&by, world.new_child()).await.unwrap_err();
        assert_eq!(refused, ErrorKind::IssuerEnded(Rejection::Disabled));
        // The issuer may be enabled again, so no maintenance may revoke the tokens that are bound
        // to it.
        assert_eq!(world.tokens.revoke_orphans().await.unwrap(), 0);
        world.tokens.enable(&actor(), &key).await.unwrap();
        assert_eq!(world.may(&child, "repo:write").await, "ok");
        assert_eq!(world.status(&child).await, Status::Active);
    }
    assert_eq!(world.row(&child).await.version, child.record.version);
}

pub async fn parent_revoked(world: World) {
    let (parent, child) = world.family().await;
    let by = world.delegation(&parent).await;
    world.revoke(&parent).await;
    world.assert_ended_with_its_issuer(&child).await;
    let refused = world.issue_within(&by, world.new_child()).await.unwrap_err();
    assert_eq!(refused, ErrorKind::IssuerEnded(Rejection::Revoked));
    assert_eq!(world.tokens.revoke_orphans().await.unwrap(), 1);
    world.assert_revoked_after_its_issuer(&child).await;
    let revoked = world.row(&child).await.revoked.clone().unwrap();
    assert_eq!((revoked.by, revoked.reason), (actor(), LEAK), "the actor and the reason are those of its issuer");
    assert_eq!(world.tokens.revoke_orphans().await.unwrap(), 0);
}

pub async fn parent_expired(world: World) {
    let (parent, child) = world.family().await;
    // The child was issued before its parent is narrowed, so its own expiry is later than `end`.
    let end = world.tokens.now().saturating_add(HOUR);
    assert!(child.record.expires_at > Some(end));
    world.narrow(&parent, Narrowing { expires_at: Some(end), ..Narrowing::default() }).await;
    world.clock.set(end.saturating_sub(MS));
    assert_eq!(world.outcome(&child).await, "ok");
    assert_eq!(world.tokens.revoke_orphans().await.unwrap(), 0);
    world.clock.set(end);
    world.assert_ended_with_its_issuer(&child).await;
    world.clock.set(end.saturating_add(MS));
    world.assert_ended_with_its_issuer(&child).await;
    assert_eq!(world.tokens.revoke_orphans().await.unwrap(), 1);
    world.assert_revoked_after_its_issuer(&child).await;
    assert_eq!(world.outcome(&parent).await, "expired");
}

pub async fn parent_rotated_and_past_its_grace(world: World) {
    let (parent, child) = world.family().await;
    let grace = Rotation::with_grace(HOUR);
    let successor = world.tokens.rotate(&actor(), &parent.record.key(), grace).await.unwrap().issued;
    world.clock.advance(HOUR - MS);
    assert_eq!(world.outcome(&child).await, "ok");
    world.clock.advance(MS);
    world.assert_ended_with_its_issuer(&child).await;
    // The child stays bound to the old parent. The successor of the parent can neither rotate the
    // child nor make the child work.
    assert_eq!(world.outcome(&successor).await, "ok");
    let by = world.delegation(&successor).await;
    let rotation = Rotation::with_grace(Duration::ZERO).within(&by);
    assert!(world.tokens.rotate(&actor(), &child.record.key(), rotation).await.is_err());
    assert_eq!(world.row(&child).await.issuer, Some(Issuer { id: parent.record.id, bound: true }));
    assert_eq!(world.outcome(&child).await, "issuer_ended");
    // The successor can issue a token of its own.
    let new = world.child_of(&successor).await;
    assert_eq!(world.tokens.revoke_orphans().await.unwrap(), 1);
    world.assert_revoked_after_its_issuer(&child).await;
    assert_eq!(world.outcome(&new).await, "ok");
}

pub async fn parent_purged(world: World) {
    let (parent, child) = world.family().await;
    world.revoke(&parent).await;
    assert_eq!(world.outcome(&child).await, "issuer_ended");
    world.clock.advance(HOUR);
    // The purge first revokes the child. So the child ended just now, and its record is kept.
    assert_eq!(world.tokens.purge(HOUR / 2).await.unwrap(), 1);
    assert!(world.tokens.get(&parent.record.key()).await.unwrap().is_none());
    assert_eq!((world.outcome(&parent).await, world.outcome(&child).await), ("unknown", "revoked"));

    // If a host purges the store directly, or with another version of keyfob, a child can be left
    // without its parent.
    let (parent, child) = world.family().await;
    world.revoke(&parent).await;
    world.clock.advance(HOUR);
    let purged = world.tokens.store().purge(&world.project, world.tokens.now(), PageSize::MAX).await.unwrap();
    assert_eq!(purged.count, 2, "the purge includes the earlier child");
    world.assert_ended_with_its_issuer(&child).await;
    assert_eq!(world.tokens.revoke_orphans().await.unwrap(), 1);
    world.assert_revoked_after_its_issuer(&child).await;
    let by = world.row(&child).await.revoked.clone().unwrap().by;
    assert!(by.as_str().contains(parent.record.id.as_str()), "{by}");
}

pub async fn parent_missing(world: World) {
    let mint = || {
        let (ring, policy) = (world.tokens.keyring(), world.tokens.policy());
        keyfob::mint(ring, policy, world.new_child(), &actor(), world.tokens.now()).unwrap()
    };
    let (parent, mut child) = (mint(), mint());
    child.record.issuer = Some(Issuer { id: parent.record.id, bound: true });
    let record = world.tokens.store().insert(child.record, None, None).await.unwrap();
    let child = Made { token: child.token, record };
    world.assert_ended_with_its_issuer(&child).await;
    // No cache remembers that the parent was missing.
    world.tokens.store().insert(parent.record, None, None).await.unwrap();
    assert_eq!(world.outcome(&child).await, "ok");

    // A token that is its own issuer does not work. Nor do two tokens that are each other's
    // issuers.
    let mut own = mint();
    own.record.issuer = Some(Issuer { id: own.record.id, bound: true });
    let [mut one, mut two] = [mint(), mint()];
    one.record.issuer = Some(Issuer { id: two.record.id, bound: true });
    two.record.issuer = Some(Issuer { id: one.record.id, bound: true });
    let world = world.set_policy(Policy::default().with_max_depth(4));
    for circular in [own, one, two] {
        let record = world.tokens.store().insert(circular.record, None, None).await.unwrap();
        world.assert_ended_with_its_issuer(&Made { token: circular.token, record }).await;
    }
}

pub async fn parent_outside_the_current_policy(world: World) {
    let (parent, child) = world.family().await;
    let world = world.set_policy(Policy::default().with_max_lifetime(30 * DAY - MS));
    assert_eq!(world.outcome(&parent).await, "policy");
    world.assert_ended_with_its_issuer(&child).await;
    assert_eq!(world.tokens.revoke_orphans().await.unwrap(), 0, "the policy may allow it again");
    let world = world.set_policy(Policy::default().with_max_lifetime(30 * DAY));
    assert_eq!((world.outcome(&parent).await, world.outcome(&child).await), ("ok", "ok"));
}

/// The policy's limit on unused tokens does not apply to issuers. A person's token may stay unused
/// while an agent uses a token that the person's token issued.
pub async fn parent_unused_for_longer_than_the_policy_allows(world: World) {
    let world = world.set_policy(Policy::default().with_max_unused(2 * HOUR));
    let (parent, child) = world.family().await;
    for _ in 0..3 {
        world.clock.advance(HOUR);
        assert_eq!(world.outcome(&child).await, "ok");
        world.tokens.flush_usage().await.unwrap();
    }
    assert_eq!((world.outcome(&parent).await, world.outcome(&child).await), ("policy", "ok"));
    assert_eq!(world.status(&child).await, Status::Active);
    // The limit on unused tokens does apply to the child.
    world.clock.advance(3 * HOUR);
    assert_eq!(world.outcome(&child).await, "policy");
}

pub async fn disjoint_addresses_of_child_and_issuer(world: World) {
    let new = world.new_token().with_scopes("tokens:manage".parse().unwrap());
    let parent = world.make(new.with_addresses("10.0.0.0/8".parse().unwrap())).await;
    let by = world.delegation(&parent).await;
    let new = world.new_token().with_addresses("10.1.0.0/16".parse().unwrap());
    let child = world.issue_within(&by, new).await.unwrap();
    assert_eq!(world.outcome_from(&child, "10.1.2.3").await, "ok");
    let narrowing = Narrowing { addresses: Some("10.2.0.0/16".parse().unwrap()), ..Narrowing::default() };
    world.narrow(&parent, narrowing).await;
    // The child accepts only addresses that both address sets contain. keyfob does not store this
    // intersection. Here it is empty, and a stored empty set would allow every address.
    for address in ["10.1.2.3", "10.2.0.1", "10.3.0.1", "192.0.2.1", "::1", "::ffff:10.1.2.3", "0.0.0.0"] {
        assert_eq!(world.outcome_from(&child, address).await, "address", "{address}");
    }
    assert_eq!(world.outcome(&child).await, "address", "a request without an address");
    assert_eq!(world.outcome_from(&parent, "10.2.0.1").await, "ok");
}

pub async fn owner_revoked_while_a_delegation_is_kept(world: World) {
    let (parent, child) = world.family().await;
    let by = world.delegation(&parent).await;
    let ada = OwnerId::new("ada").unwrap();
    let swept = world.tokens.revoke_everywhere(&actor(), &RevokeGroup::Owner(ada), LEAK, None).await.unwrap();
    assert_eq!(swept, 2);
    for by in [by.clone(), by.clone().independent()] {
        let refused = world.issue_within(&by, world.new_child()).await.unwrap_err();
        assert_eq!(refused, ErrorKind::IssuerEnded(Rejection::Revoked));
    }
    for key in [parent.record.key(), child.record.key()] {
        let rotation = Rotation::with_grace(HOUR).within(&by);
        assert!(world.tokens.rotate(&actor(), &key, rotation).await.is_err());
    }
    assert_eq!(world.outcome(&child).await, "revoked");
    let mut query = ListQuery::new(world.project);
    query.status = Some(StatusFilter { group: StatusGroup::Live, at: world.tokens.now() });
    assert!(world.tokens.list(&query).await.unwrap().items.is_empty());
}

pub async fn manage_scope_through_a_wildcard(world: World) {
    let parent = world.make(world.new_token().with_scopes("tokens:* repo:*".parse().unwrap())).await;
    let by = world.delegation(&parent).await;
    let asked = |scopes: &str| world.new_token().with_scopes(scopes.parse().unwrap());
    for scopes in ["tokens:*", "tokens:manage", "repo:read tokens:*"] {
        let refused = world.issue_within(&by, asked(scopes)).await.unwrap_err();
        assert_eq!(refused, ErrorKind::OutsideIssuer(OutsideIssuer::Manage), "{scopes}");
    }
    let child = world.issue_within(&by, asked("tokens:read repo:*")).await.unwrap();
    assert_eq!(world.may(&child, "tokens:manage").await, "scope");
    // A delegation can rotate a token that has the managing scope only if the host calls
    // `allow_manage` on the delegation.
    let managing = world.issue_within(&by.clone().allow_manage(), asked("tokens:*")).await.unwrap();
    let rotate = async |by: &Delegation| {
        let rotation = Rotation::with_grace(HOUR).within(by);
        kind_of(world.tokens.rotate(&actor(), &managing.record.key(), rotation).await)
    };
    assert_eq!(rotate(&by).await.unwrap_err(), ErrorKind::OutsideIssuer(OutsideIssuer::Manage));
    assert!(rotate(&by.allow_manage()).await.is_ok());
}

pub async fn a_delegation_that_rotates_its_owners_unrelated_token(world: World) {
    let (parent, child) = world.family().await;
    let by = world.delegation(&parent).await;
    let sibling = world.parent().await;
    let nephew = world.child_of(&sibling).await;
    for unrelated in [&world.make(world.new_child()).await, &sibling, &nephew] {
        let key = unrelated.record.key();
        let refused = kind_of(world.tokens.rotate(&actor(), &key, Rotation::with_grace(HOUR).within(&by)).await);
        assert_eq!(refused.unwrap_err(), ErrorKind::OutsideIssuer(OutsideIssuer::NotIssued));
        assert_eq!(world.row(unrelated).await.version, unrelated.record.version);
        assert_eq!(world.outcome(unrelated).await, "ok");
    }
    for own in [&child, &parent] {
        let rotation = Rotation::with_grace(HOUR).within(&by);
        assert!(world.tokens.rotate(&actor(), &own.record.key(), rotation).await.is_ok());
    }
}

pub async fn a_chain_longer_than_the_policy_allows(world: World) {
    const SCOPES: &str = "repo:* tokens:manage";
    let depth = |depth| Policy::default().with_max_depth(depth);
    let mut world = world.set_policy(depth(4));
    let mut chain = vec![world.parent().await];
    while chain.len() < 5 {
        let by = world.delegation(&chain[chain.len() - 1]).await.allow_manage();
        let new = world.new_token().with_scopes(SCOPES.parse().unwrap());
        chain.push(world.issue_within(&by, new).await.unwrap());
    }
    let too_long = ErrorKind::Policy(PolicyBreach::ChainTooLong);
    let last = world.delegation(&chain[4]).await;
    assert_eq!(world.issue_within(&last, world.new_child()).await.unwrap_err(), too_long);
    assert_eq!(
        world.issue_within(&last.independent(), world.new_child()).await.unwrap_err(),
        ErrorKind::OutsideIssuer(OutsideIssuer::Independent)
    );
    // A token may have at most four issuers above it. A policy that allows five has no effect, even
    // on a record that is inserted directly into the store.
    world = world.set_policy(depth(5));
    let minted =
        keyfob::mint(world.tokens.keyring(), world.tokens.policy(), world.new_child(), &actor(), world.tokens.now());
    let mut sixth = minted.unwrap();
    sixth.record.issuer = Some(Issuer { id: chain[4].record.id, bound: true });
    let record = world.tokens.store().insert(sixth.record, None, None).await.unwrap();
    let sixth = Made { token: sixth.token, record };
    assert_eq!(world.outcome(&sixth).await, "policy");
    for most in [3, 1, 0, 2, 4] {
        world = world.set_policy(depth(most));
        for (bound, made) in chain.iter().enumerate() {
            let expected = if bound <= usize::from(most) { "ok" } else { "policy" };
            assert_eq!(world.outcome(made).await, expected, "{bound} of {most}");
        }
    }
    // Disabling one token of the chain stops every token below it, and no token above it.
    for (place, ended) in chain.iter().enumerate().rev() {
        world.tokens.disable(&actor(), &ended.record.key()).await.unwrap();
        for (bound, made) in chain.iter().enumerate() {
            let expected = match bound.cmp(&place) {
                std::cmp::Ordering::Less => "ok",
                std::cmp::Ordering::Equal => "disabled",
                std::cmp::Ordering::Greater => "issuer_ended",
            };
            assert_eq!(world.outcome(made).await, expected, "{bound} below {place}");
        }
        world.tokens.enable(&actor(), &ended.record.key()).await.unwrap();
    }
    assert_eq!(world.outcome(&chain[4]).await, "ok");
}

pub async fn a_bound_token_rotated_keeps_its_issuer(world: World) {
    let (parent, child) = world.family().await;
    let by = world.delegation(&parent).await;
    let rotate = async |made: &Made, rotation: Rotation| {
        kind_of(world.tokens.rotate(&actor(), &made.record.key(), rotation).await)
    };
    // The host rotates the token first. Then the issuer rotates it.
    let second = rotate(&child, Rotation::with_grace(Duration::ZERO)).await.unwrap().issued;
    let third = rotate(&second, Rotation::with_grace(HOUR).within(&by)).await.unwrap().issued;
    for made in [&second, &third] {
        assert_eq!(made.record.issuer, Some(Issuer { id: parent.record.id, bound: true }));
        assert_eq!(world.outcome(made).await, "ok");
    }
    assert!(third.record.expires_at <= parent.record.expires_at);
    world.revoke(&parent).await;
    assert_eq!(world.outcome(&second).await, "issuer_ended", "within its grace period");
    world.assert_ended_with_its_issuer(&third).await;
    // A token of an ended issuer cannot be rotated.
    let refused = rotate(&third, Rotation::with_grace(HOUR)).await.unwrap_err();
    assert_eq!(refused, ErrorKind::Ended(Status::IssuerEnded));
    assert_eq!(
        world.tokens.revoke_orphans().await.unwrap(),
        3,
        "the first one is revoked too, because it ended less than a day ago"
    );
    world.assert_revoked_after_its_issuer(&third).await;
}

pub async fn an_independent_token_survives_its_issuer(world: World) {
    let parent = world.parent().await;
    let by = world.delegation(&parent).await;
    let bound = world.issue_within(&by, world.new_child()).await.unwrap();
    let by = by.independent().allow_kind(TokenKind::Service);
    let new = world.new_child().with_kind(TokenKind::Service).with_lifetime(Lifetime::For(20 * DAY));
    let independent = world.issue_within(&by, new).await.unwrap();
    assert_eq!(independent.record.issuer, Some(Issuer { id: parent.record.id, bound: false }));
    let narrowing = Narrowing { scopes: Some("repo:read tokens:manage".parse().unwrap()), ..Narrowing::default() };
    world.narrow(&parent, narrowing).await;
    assert_eq!(world.may(&bound, "repo:write").await, "scope");
    assert_eq!(world.may(&independent, "repo:write").await, "ok");
    world.revoke(&parent).await;
    assert_eq!((world.outcome(&bound).await, world.outcome(&independent).await), ("issuer_ended", "ok"));
    assert_eq!(world.tokens.revoke_orphans().await.unwrap(), 1);
    world.clock.advance(HOUR);
    assert_eq!(world.tokens.purge(Duration::ZERO).await.unwrap(), 2);
    assert_eq!(world.may(&independent, "repo:write").await, "ok");
    assert_eq!(world.status(&independent).await, Status::Active);
}

/// A token id is not secret. A caller that has only the id must not learn whether the token's
/// issuer has ended.
pub async fn issuer_ended_is_reported_only_after_the_digest_matched(world: World) {
    let parent = world.parent().await;
    let by = world.delegation(&parent).await;
    let mint = || {
        let (ring, policy) = (world.tokens.keyring(), world.tokens.policy());
        let new = world.new_child().within(&by);
        keyfob::mint(ring, policy, new, &actor(), world.tokens.now()).unwrap()
    };
    let (mut child, other) = (mint(), mint());
    child.record.digest = other.record.digest;
    let record = world.tokens.store().insert(child.record, None, None).await.unwrap();
    let wrong = Made { token: child.token, record };
    let unknown = Made { token: other.token, record: Arc::new(other.record) };
    let right = world.issue_within(&by, world.new_child()).await.unwrap();
    let told = async || (world.outcome(&wrong).await, world.outcome(&unknown).await, world.outcome(&right).await);
    assert_eq!(told().await, ("digest", "unknown", "ok"));
    world.revoke(&parent).await;
    assert_eq!(told().await, ("digest", "unknown", "issuer_ended"));
    // A wrong secret and an unknown token give the same error message.
    let access = keyfob::Access::to(&world.project, &[]);
    for made in [&wrong, &unknown] {
        let error = world.tokens.verify(made.token.expose_secret(), &access).await.unwrap_err();
        assert_eq!(error.to_string(), "the token is not valid");
    }
}

/// A verification that read the child before the parent's revocation still succeeds. The next
/// verification fails.
pub async fn parent_revoked_during_a_verification_of_its_child(world: World) {
    let (parent, child) = world.family().await;
    assert_eq!(world.outcome_with(&child, world.revoke(&parent)).await, "ok");
    assert_eq!(world.outcome(&child).await, "issuer_ended");
    world.tokens.flush_usage().await.unwrap();
    assert_eq!(world.outcome(&child).await, "issuer_ended");
}

/// A bound token whose issuer has ended gets no notice of expiry. The notice would ask the owner to
/// renew a token that does not work.
pub async fn no_notice_for_a_bound_token_whose_issuer_ended(world: World) {
    let agents = keyfob::policy::Lifetimes::default();
    let world = world.set_policy(Policy::default().with_lifetimes(TokenKind::Agent, agents));
    let parent = world.parent().await;
    let new = world.new_child().with_lifetime(Lifetime::For(20 * DAY));
    let child = world.issue_within(&world.delegation(&parent).await, new).await.unwrap();
    world.revoke(&parent).await;
    world.clock.advance(14 * DAY);
    assert_eq!(world.outcome(&child).await, "issuer_ended");
    assert!(world.tokens.claim_notices(HOUR, PageSize::MAX).await.unwrap().is_empty());
}

/// A key may be retired if no working token uses the key. A bound token whose issuer has ended does
/// not work, so it does not prevent the retirement of its key.
pub async fn no_key_is_held_by_a_bound_token_whose_issuer_ended(world: World) {
    let (parent, child) = world.family().await;
    let number = child.record.id.key_number();
    assert_eq!(world.tokens.key_use(number).await.unwrap().live, 2);
    world.revoke(&parent).await;
    assert_eq!(world.tokens.key_use(number).await.unwrap().live, 0);
}
