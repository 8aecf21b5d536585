//! Tests of tokens that issue tokens. An issued token never has more permissions than its issuer.

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "cache")]
use keyfob::store::cache::Cached;
use keyfob::{
    Access, Delegation, ErrorKind, Issued, Lifetime, MemoryStore, Name, NewToken, OwnerId, Policy, ProjectId,
    Rejection, Scope, ScopeSet, TokenKind, TokenRecord, TokenStore, Tokens,
    clock::FixedClock,
    error::OutsideIssuer,
    owners::{OwnerState, Owners, OwnersError},
    policy::{Lifetimes, PolicyBreach},
    record::{Issuer, Metadata, Narrowing, RevocationReason},
    rotation::Rotation,
};

use crate::support::{actor, keyring, kind_of, new_token, now, project};

const MS: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

type Service = Tokens<MemoryStore>;
type Made = Issued<Arc<TokenRecord>>;

fn service() -> (FixedClock, Service) {
    let clock = FixedClock::new(now());
    (clock.clone(), Tokens::new(keyring(), MemoryStore::new()).with_clock(clock).with_policy(policy()))
}

/// Returns a policy with the same lifetimes for agents' tokens as for persons' tokens.
fn policy() -> Policy {
    Policy::default().with_lifetimes(TokenKind::Agent, Lifetimes::default())
}

fn scopes(text: &str) -> ScopeSet {
    ScopeSet::new(text).unwrap()
}

/// Issues a managing token. It lives for ten days, works only in the network 10.0.0.0/8, and has
/// the scopes `repo:*` and `tokens:manage`.
async fn managing(tokens: &Service) -> Made {
    let new = new_token()
        .with_scopes(scopes("tokens:manage repo:*"))
        .with_addresses("10.0.0.0/8".parse().unwrap())
        .with_lifetime(Lifetime::For(10 * DAY));
    tokens.issue(&actor(), new).await.unwrap()
}

/// Presents a managing token from a client address that the token allows. Returns the delegation,
/// or the reason why the token may not issue tokens.
async fn manager(tokens: &Service, made: &Made) -> Result<Delegation, Rejection> {
    let access = Access::to(&made.record.project, &[]).from_address([10, 0, 0, 1].into());
    let verified = tokens.verify(made.token.expose_secret(), &access).await.unwrap();
    verified.delegate(&Scope::new("tokens:manage").unwrap())
}

/// Issues a token with the permissions of the delegation `manager`, or returns why the service
/// refuses.
async fn child(tokens: &Service, manager: &Delegation, new: NewToken) -> Result<Made, ErrorKind> {
    kind_of(tokens.issue(&manager.actor(), new.within(manager)).await)
}

#[tokio::test]
async fn without_the_scope_a_token_manages_none() {
    let (_, tokens) = service();
    let new = new_token().with_addresses("10.0.0.0/8".parse().unwrap());
    for plain in ["", "repo:*", "tokens:managers", "tokens"] {
        let made = tokens.issue(&actor(), new.clone().with_scopes(scopes(plain))).await.unwrap();
        assert_eq!(manager(&tokens, &made).await.unwrap_err(), Rejection::Scope, "{plain}");
    }
    let made = managing(&tokens).await;
    let manager = manager(&tokens, &made).await.unwrap();
    assert_eq!((manager.owner().as_str(), manager.project().as_str()), ("ada", "145"));
    assert_eq!(manager.actor().as_str(), format!("token {}", made.token.public_part()));
}

#[tokio::test]
async fn what_a_token_issues_is_within_it() {
    let (_, tokens) = service();
    let manager = manager(&tokens, &managing(&tokens).await).await.unwrap();
    let new = |place, owner| NewToken::new(project(place), OwnerId::new(owner).unwrap(), Name::new("CI").unwrap());
    let within = ErrorKind::OutsideIssuer;
    for (new, expected) in [
        (new("146", "ada"), within(OutsideIssuer::Project)),
        (new("145", "eve"), within(OutsideIssuer::Owner)),
        (new_token().with_scopes(scopes("repo:read user")), within(OutsideIssuer::Scopes)),
        (new_token().with_scopes(scopes("*")), within(OutsideIssuer::Scopes)),
        (new_token().with_addresses("10.0.0.0/7".parse().unwrap()), within(OutsideIssuer::Addresses)),
        (new_token().with_addresses("10.0.0.1 11.0.0.1".parse().unwrap()), within(OutsideIssuer::Addresses)),
        (new_token().with_lifetime(Lifetime::For(10 * DAY + MS)), within(OutsideIssuer::Expiry)),
        (new_token().with_lifetime(Lifetime::For(367 * DAY)), ErrorKind::Policy(PolicyBreach::TooLong)),
    ] {
        assert_eq!(child(&tokens, &manager, new).await.unwrap_err(), expected);
    }
    // A token may pass on all of its permissions. Only the permission to issue tokens must be
    // allowed explicitly.
    let all = || {
        new_token()
            .with_scopes(scopes("tokens:manage repo:*"))
            .with_addresses("10.0.0.0/8".parse().unwrap())
            .with_lifetime(Lifetime::For(10 * DAY))
    };
    assert_eq!(child(&tokens, &manager, all()).await.unwrap_err(), within(OutsideIssuer::Manage));
    let made = child(&tokens, &manager.clone().allow_manage(), all()).await.unwrap();
    assert_eq!(made.record.created_by, manager.actor());
    assert_eq!(made.record.issuer, Some(Issuer { id: manager.key().id, bound: true }));
}

/// A token that expires cannot issue a token that never expires, even if the policy allows tokens
/// that never expire.
#[tokio::test]
async fn a_token_that_expires_issues_none_that_never_expires() {
    let (_, tokens) = service();
    let agents = Lifetimes { never_expiring: true, ..Lifetimes::default() };
    let tokens = tokens.with_policy(policy().with_never_expiring(true).with_lifetimes(TokenKind::Agent, agents));
    let never = || new_token().with_lifetime(Lifetime::Never);
    let ends = manager(&tokens, &managing(&tokens).await).await.unwrap();
    assert_eq!(child(&tokens, &ends, never()).await.unwrap_err(), ErrorKind::OutsideIssuer(OutsideIssuer::Expiry));
    let stays = never().with_scopes(scopes("tokens:manage")).with_addresses("10.0.0.0/8".parse().unwrap());
    let stays = tokens.issue(&actor(), stays).await.unwrap();
    let stays = manager(&tokens, &stays).await.unwrap();
    // A bound token must have an expiry, even if its issuer never expires.
    let bound = child(&tokens, &stays, never()).await.unwrap_err();
    assert_eq!(bound, ErrorKind::Policy(PolicyBreach::NeverExpires));
    assert_eq!(child(&tokens, &stays.independent(), never()).await.unwrap().record.expires_at, None);
}

/// If the caller does not set an expiry or addresses, the new token gets the expiry and the
/// addresses of the managing token.
#[tokio::test]
async fn defaults_are_shortened_to_the_managing_token() {
    let (clock, tokens) = service();
    let parent = managing(&tokens).await;
    let manager = manager(&tokens, &parent).await.unwrap();
    clock.advance(DAY);
    let made = child(&tokens, &manager, new_token()).await.unwrap();
    assert_eq!(
        made.record.expires_at, parent.record.expires_at,
        "the token must not live for the default of thirty days"
    );
    assert_eq!(made.record.addresses, parent.record.addresses);
    assert_eq!(made.record.scopes, ScopeSet::default());
    // If the policy's default lifetime ends earlier than the managing token, the new token gets the
    // default.
    let agents = Lifetimes { default: DAY, ..Lifetimes::default() };
    let tokens = tokens.with_policy(policy().with_lifetimes(TokenKind::Agent, agents));
    let made = child(&tokens, &manager, new_token()).await.unwrap();
    assert_eq!(made.record.expires_at, tokens.now().checked_add(DAY));
}

/// While a managing token is in its grace period, it cannot issue a token that lives longer than
/// the grace period.
#[tokio::test]
async fn a_managing_token_in_its_grace_period_issues_only_within_it() {
    let (_, tokens) = service();
    let parent = managing(&tokens).await;
    tokens.rotate(&actor(), &parent.record.key(), Rotation::with_grace(DAY)).await.unwrap();
    let manager = manager(&tokens, &parent).await.unwrap();
    let made = child(&tokens, &manager, new_token()).await.unwrap();
    assert_eq!(made.record.expires_at, now().checked_add(DAY));
    let longer = new_token().with_lifetime(Lifetime::For(DAY + MS));
    assert_eq!(child(&tokens, &manager, longer).await.unwrap_err(), ErrorKind::OutsideIssuer(OutsideIssuer::Expiry));
}

#[tokio::test]
async fn a_token_rotates_only_within_its_own_permissions() {
    let (_, tokens) = service();
    let parent = managing(&tokens).await;
    let manager = manager(&tokens, &parent).await.unwrap();
    let rotate = async |made: &Made, rotation: Rotation| {
        let rotated = tokens.rotate(&manager.actor(), &made.record.key(), rotation.within(&manager)).await;
        match kind_of(rotated) {
            Ok(rotated) => Ok(rotated.issued),
            Err(ErrorKind::OutsideIssuer(outside)) => Err(outside),
            Err(other) => panic!("{other:?}"),
        }
    };
    let other = |place, owner| NewToken::new(project(place), OwnerId::new(owner).unwrap(), Name::new("CI").unwrap());
    let narrow = || Narrowing { addresses: Some("10.2.0.0/16".parse().unwrap()), ..Narrowing::default() };
    let inside = || new_token().with_addresses("10.1.0.0/16".parse().unwrap());
    let grace = || Rotation::with_grace(Duration::ZERO);
    for (new, expected) in [
        (other("146", "ada"), OutsideIssuer::Project),
        (other("145", "eve"), OutsideIssuer::Owner),
        // A manager may rotate only itself and tokens that it issued. It may not rotate any other
        // token.
        (inside().with_scopes(scopes("repo:read user")), OutsideIssuer::NotIssued),
        (new_token(), OutsideIssuer::NotIssued),
    ] {
        let old = tokens.issue(&actor(), new).await.unwrap();
        assert_eq!(rotate(&old, grace()).await.unwrap_err(), expected);
        let view = tokens.get(&old.record.key()).await.unwrap().unwrap();
        assert_eq!((view.rotated_to, view.version), (None, 1), "nothing was changed");
    }
    // The manager did not issue this token of the same owner, so it may not rotate the token,
    // although the token has no more permissions than the manager.
    let old = tokens.issue(&actor(), inside().with_scopes(scopes("repo:read"))).await.unwrap();
    assert_eq!(rotate(&old, grace()).await.unwrap_err(), OutsideIssuer::NotIssued);
    let old = child(&tokens, &manager, inside().with_scopes(scopes("repo:read"))).await.unwrap();
    let longer = grace().with_lifetime(Lifetime::For(10 * DAY + MS));
    assert_eq!(rotate(&old, longer).await.unwrap_err(), OutsideIssuer::Expiry);
    let new = rotate(&old, grace()).await.unwrap();
    assert_eq!(new.record.expires_at, parent.record.expires_at);
    assert_eq!((&new.record.scopes, &new.record.addresses), (&old.record.scopes, &old.record.addresses));
    // A manager may rotate itself, but the successor has the same expiry.
    let itself = rotate(&parent, grace()).await.unwrap();
    assert_eq!(itself.record.expires_at, parent.record.expires_at);
    // The operator narrows the manager after it has issued the token.
    let parent = managing(&tokens).await;
    let manager = self::manager(&tokens, &parent).await.unwrap();
    let old = child(&tokens, &manager, inside()).await.unwrap();
    tokens.narrow(&actor(), &parent.record.key(), narrow()).await.unwrap();
    let rotation = grace().within(&manager);
    let wider = kind_of(tokens.rotate(&manager.actor(), &old.record.key(), rotation).await).unwrap_err();
    assert_eq!(wider, ErrorKind::OutsideIssuer(OutsideIssuer::Addresses));
}

/// A managing token rotates a token that never expires. If the managing token has an expiry
/// time, the successor gets the same expiry time.
#[tokio::test]
async fn a_successor_that_an_expiring_token_rotates_expires_too() {
    let (_, tokens) = service();
    let tokens = tokens.with_policy(policy().with_never_expiring(true));
    let never = || new_token().with_lifetime(Lifetime::Never).with_addresses("10.0.0.0/8".parse().unwrap());
    let narrowed = tokens.issue(&actor(), never().with_scopes(scopes("tokens:manage"))).await.unwrap();
    let stays = tokens.issue(&actor(), never().with_scopes(scopes("tokens:manage"))).await.unwrap();
    let end = now().checked_add(10 * DAY);
    for (parent, expected) in [(&narrowed, end), (&stays, None)] {
        let manager = manager(&tokens, parent).await.unwrap();
        let independent = manager.clone().independent().allow_kind(TokenKind::Human);
        let old = child(&tokens, &independent, never().with_kind(TokenKind::Human)).await.unwrap();
        if let Some(expires_at) = expected {
            let narrowing = Narrowing { expires_at: Some(expires_at), ..Narrowing::default() };
            tokens.narrow(&actor(), &parent.record.key(), narrowing).await.unwrap();
        }
        let rotation = Rotation::with_grace(Duration::ZERO).within(&manager);
        let rotated = tokens.rotate(&manager.actor(), &old.record.key(), rotation).await.unwrap();
        assert_eq!(rotated.issued.record.expires_at, expected);
    }
}

/// Checks that the service refuses two operations with this delegation, for the same reason:
/// issuing a token, and rotating the issuing token. Returns the reason.
async fn refused<S: TokenStore>(tokens: &Tokens<S>, manager: &Delegation) -> Rejection {
    let issued = tokens.issue(&manager.actor(), new_token().within(manager)).await.unwrap_err();
    let ErrorKind::IssuerEnded(rejection) = issued.kind() else { panic!("{issued}") };
    let rotation = Rotation::with_grace(Duration::ZERO).within(manager);
    let rotated = tokens.rotate(&manager.actor(), &manager.key(), rotation).await.unwrap_err();
    let ErrorKind::IssuerEnded(other) = rotated.kind() else { panic!("{rotated}") };
    assert_eq!(rejection, other);
    rejection
}

#[tokio::test]
async fn a_manager_kept_over_what_it_proves_issues_nothing() {
    let (clock, tokens) = service();
    let managed = async || {
        let made = managing(&tokens).await;
        (made.record.key(), manager(&tokens, &made).await.unwrap())
    };
    let (key, kept) = managed().await;
    tokens.revoke(&actor(), &key, RevocationReason::KeyCompromise).await.unwrap();
    assert_eq!(refused(&tokens, &kept).await, Rejection::Revoked);

    let (key, kept) = managed().await;
    tokens.disable(&actor(), &key).await.unwrap();
    assert_eq!(refused(&tokens, &kept).await, Rejection::Disabled);

    let (key, kept) = managed().await;
    let narrowed = Narrowing { scopes: Some(scopes("repo:*")), ..Narrowing::default() };
    tokens.narrow(&actor(), &key, narrowed).await.unwrap();
    assert_eq!(refused(&tokens, &kept).await, Rejection::Scope);

    let (key, kept) = managed().await;
    let narrowed = Narrowing { scopes: Some(scopes("tokens:manage")), ..Narrowing::default() };
    tokens.narrow(&actor(), &key, narrowed).await.unwrap();
    // The manager may still issue tokens, but only with the permissions that it has after the
    // change.
    let wide = child(&tokens, &kept, new_token().with_scopes(scopes("repo:read"))).await.unwrap_err();
    assert_eq!(wide, ErrorKind::OutsideIssuer(OutsideIssuer::Scopes));
    child(&tokens, &kept, new_token()).await.unwrap();

    let (_, kept) = managed().await;
    clock.advance(10 * DAY);
    assert_eq!(refused(&tokens, &kept).await, Rejection::Expired);
}

/// A process reads the managing token from its cache. The token was revoked, but the cache has not
/// received the revocation yet.
#[cfg(feature = "cache")]
#[tokio::test]
async fn a_manager_from_another_nodes_cache_issues_nothing_after_its_revocation() {
    let (clock, store) = (FixedClock::new(now()), Arc::new(MemoryStore::new()));
    let first = Tokens::new(keyring(), Arc::clone(&store)).with_clock(clock.clone());
    let second = Tokens::new(keyring(), Cached::new(store, DAY)).with_clock(clock.clone());
    let new = new_token().with_scopes(scopes("tokens:manage"));
    let made = first.issue(&actor(), new).await.unwrap();
    let access = Access::to(&made.record.project, &[]);
    let verify = async || second.verify(made.token.expose_secret(), &access).await;
    verify().await.unwrap();
    first.revoke(&actor(), &made.record.key(), RevocationReason::KeyCompromise).await.unwrap();
    let kept = verify().await.expect("still in the cache").delegate(&Scope::new("tokens:manage").unwrap()).unwrap();
    assert_eq!(refused(&second, &kept).await, Rejection::Revoked);
}

#[tokio::test]
async fn a_suspended_owners_manager_issues_nothing() {
    struct Suspended;
    impl Owners for Suspended {
        async fn state(&self, _: &OwnerId, _: &ProjectId) -> Result<OwnerState, OwnersError> {
            Ok(OwnerState::Suspended)
        }
    }
    let (_, tokens) = service();
    let kept = manager(&tokens, &managing(&tokens).await).await.unwrap();
    let tokens = tokens.with_owners(Suspended);
    let issued = tokens.issue(&kept.actor(), new_token().within(&kept)).await.unwrap_err();
    assert_eq!(issued.kind(), ErrorKind::IssuerEnded(Rejection::OwnerSuspended));
}

/// In an earlier version, a person's token could issue a service's token that never expires and has
/// a role in its metadata.
#[tokio::test]
async fn what_a_token_issues_is_for_an_agent_and_without_metadata() {
    let (_, tokens) = service();
    let kept = manager(&tokens, &managing(&tokens).await).await.unwrap();
    let role = || Metadata::new(r#"{"role": "admin"}"#).unwrap();
    let service = child(&tokens, &kept, new_token().with_kind(TokenKind::Service)).await.unwrap_err();
    assert_eq!(service, ErrorKind::OutsideIssuer(OutsideIssuer::Kind));
    let admin = child(&tokens, &kept, new_token().with_metadata(role())).await.unwrap_err();
    assert_eq!(admin, ErrorKind::OutsideIssuer(OutsideIssuer::Metadata));
    let made = child(&tokens, &kept, new_token()).await.unwrap();
    assert_eq!(made.record.kind, TokenKind::Agent);

    // The host can allow both another kind and metadata.
    let allowed = kept.allow_kind(TokenKind::Service).allow_metadata();
    let new = new_token().with_kind(TokenKind::Service).with_metadata(role());
    let made = child(&tokens, &allowed, new).await.unwrap();
    assert_eq!((made.record.kind, &made.record.metadata), (TokenKind::Service, &role()));
    // The successor keeps the metadata of the old token, because the host allowed it when the old
    // token was issued.
    let kept = manager(&tokens, &managing(&tokens).await).await.unwrap();
    let made = child(&tokens, &kept.clone().allow_metadata(), new_token().with_metadata(role())).await.unwrap();
    let rotation = Rotation::with_grace(Duration::ZERO).within(&kept);
    let rotated = tokens.rotate(&kept.actor(), &made.record.key(), rotation).await.unwrap();
    assert_eq!(rotated.issued.record.metadata, role());
}

/// An agent rotates its own token and does not receive the response. The agent repeats the rotation
/// with the same request id.
#[tokio::test]
async fn a_repeat_of_its_own_rotation_lives_as_long_as_the_first_would_have() {
    let (_, tokens) = service();
    let made = managing(&tokens).await;
    let itself = manager(&tokens, &made).await.unwrap();
    let hour = Duration::from_secs(3600);
    let asked = || {
        let rotation = Rotation::with_grace(hour).with_retry("r1".parse().unwrap(), hour);
        rotation.within(&itself)
    };
    let lost = tokens.rotate(&itself.actor(), &made.record.key(), asked()).await.unwrap().issued;
    let again = tokens.rotate(&itself.actor(), &made.record.key(), asked()).await.unwrap().issued;
    assert_eq!(again.record.expires_at, lost.record.expires_at);
    let ten = asked().with_lifetime(Lifetime::For(10 * DAY));
    assert!(tokens.rotate(&itself.actor(), &made.record.key(), ten).await.is_ok());
}
