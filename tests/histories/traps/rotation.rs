//! Traps of rotation: calls that could revive, extend or lose a token.

use std::time::Duration;

use keyfob::{
    ErrorKind, Lifetime, Policy, Status,
    notices::NoticeLead,
    policy::PolicyBreach,
    record::{Narrowing, RequestId, RevocationReason},
    rotation::{Rotated, Rotation},
    store::{PageSize, RevokeGroup},
};

use crate::support::{actor, kind_of};
use crate::traps::world::{DAY, HOUR, MS, Made, World};

async fn rotate(world: &World, made: &Made, rotation: Rotation) -> Result<Rotated, ErrorKind> {
    kind_of(world.tokens.rotate(&actor(), &made.record.key(), rotation).await)
}

fn request(id: &str) -> RequestId {
    RequestId::new(id).unwrap()
}

pub async fn grace_longer_than_the_remaining_life(world: World) {
    let old = world.make(world.new_token().with_lifetime(Lifetime::For(DAY))).await;
    world.clock.advance(DAY - HOUR);
    let rotated = rotate(&world, &old, Rotation::with_grace(30 * DAY)).await.unwrap();
    assert_eq!(rotated.old.grace_until, old.record.expires_at);
    // The lifetime of the successor begins at the rotation, and is as long as the old token's
    // lifetime.
    assert_eq!(rotated.issued.record.expires_at, world.tokens.now().checked_add(DAY));
    world.clock.advance(HOUR - MS);
    assert_eq!(world.outcome(&old).await, "ok");
    world.clock.advance(MS);
    assert_eq!(world.outcome(&old).await, "rotated");
    assert_eq!(world.outcome(&rotated.issued).await, "ok");
}

pub async fn rotate_an_expired_token(world: World) {
    let old = world.make(world.new_token().with_lifetime(Lifetime::For(DAY))).await;
    world.clock.advance(DAY);
    let refused = rotate(&world, &old, Rotation::with_grace(HOUR)).await.unwrap_err();
    assert_eq!(refused, ErrorKind::Ended(Status::Expired));
    assert_eq!(world.outcome(&old).await, "expired");
}

pub async fn rotate_a_disabled_token(world: World) {
    let old = world.issue().await;
    world.tokens.disable(&actor(), &old.record.key()).await.unwrap();
    let refused = rotate(&world, &old, Rotation::with_grace(HOUR)).await.unwrap_err();
    assert_eq!(refused, ErrorKind::Inactive(Status::Disabled));
    assert_eq!(world.outcome(&old).await, "disabled");
}

pub async fn rotate_a_revoked_token(world: World) {
    let old = world.issue().await;
    world.tokens.revoke(&actor(), &old.record.key(), RevocationReason::KeyCompromise).await.unwrap();
    let refused = rotate(&world, &old, Rotation::with_grace(HOUR)).await.unwrap_err();
    assert_eq!(refused, ErrorKind::Ended(Status::Revoked));
    assert_eq!(world.outcome(&old).await, "revoked");
}

pub async fn rotate_a_pending_token(world: World) {
    let old = world.make(world.new_token().with_confirm_within(HOUR)).await;
    let refused = rotate(&world, &old, Rotation::with_grace(HOUR)).await.unwrap_err();
    assert_eq!(refused, ErrorKind::Inactive(Status::Pending));
    world.clock.advance(HOUR);
    let refused = rotate(&world, &old, Rotation::with_grace(HOUR)).await.unwrap_err();
    assert_eq!(refused, ErrorKind::Ended(Status::Lapsed));
}

pub async fn rotate_twice_at_once(world: World) {
    let old = world.issue().await;
    let grace = || Rotation::with_grace(HOUR);
    let both = tokio::join!(rotate(&world, &old, grace()), rotate(&world, &old, grace()));
    let (won, lost) = match both {
        (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => (won, lost),
        both => panic!("{both:?}"),
    };
    assert_eq!(lost, ErrorKind::AlreadyRotated);
    assert_eq!(world.tokens.get(&old.record.key()).await.unwrap().unwrap().rotated_to, Some(won.issued.record.id));
    let family = RevokeGroup::Family(old.record.family);
    let reason = RevocationReason::Superseded;
    assert_eq!(world.tokens.revoke_group(&actor(), &world.project, &family, reason).await.unwrap(), 2);
}

pub async fn retry_after_a_lost_response(world: World) {
    let old = world.issue().await;
    let asked = |id, grace| Rotation::with_grace(grace).with_retry(request(id), HOUR);
    let lost = rotate(&world, &old, asked("r1", 2 * HOUR)).await.unwrap();
    assert_eq!(world.outcome(&lost.issued).await, "pending");
    world.clock.advance(HOUR / 2);
    assert_eq!(rotate(&world, &old, asked("r2", HOUR)).await.unwrap_err(), ErrorKind::AlreadyRotated);
    assert_eq!(rotate(&world, &old, Rotation::with_grace(HOUR)).await.unwrap_err(), ErrorKind::AlreadyRotated);

    let again = rotate(&world, &old, asked("r1", 2 * HOUR)).await.unwrap();
    assert_eq!(again.old.grace_until, lost.old.grace_until, "a repeat must not extend the grace period");
    assert_eq!(world.outcome(&lost.issued).await, "revoked");
    let key = again.issued.record.key();
    world.tokens.confirm_presented(&actor(), again.issued.token.expose_secret()).await.unwrap();
    assert_eq!(world.outcome(&again.issued).await, "ok");
    assert_eq!(rotate(&world, &old, asked("r1", HOUR)).await.unwrap_err(), ErrorKind::AlreadyRotated);
    assert_eq!(world.tokens.get(&key).await.unwrap().unwrap().family, old.record.family);
}

pub async fn retry_after_a_lost_response_without_grace(world: World) {
    let old = world.issue().await;
    let asked = || Rotation::with_grace(Duration::ZERO).with_retry(request("r1"), HOUR);
    rotate(&world, &old, asked()).await.unwrap();
    assert_eq!(world.outcome(&old).await, "rotated");
    // A repeat of the rotation also succeeds after the first successor has lapsed. Otherwise the
    // holder would have no token.
    world.clock.advance(HOUR);
    let again = rotate(&world, &old, asked()).await.unwrap();
    assert_eq!(world.outcome(&old).await, "rotated", "the repeat must not revive the old token");
    world.tokens.confirm(&actor(), &again.issued.record.key()).await.unwrap();
    assert_eq!(world.outcome(&again.issued).await, "ok");
}

pub async fn a_never_expiring_token_rotated(mut world: World) {
    world.tokens = world.tokens.with_policy(Policy::default().with_never_expiring(true));
    let never = world.new_token().with_lifetime(Lifetime::Never);
    let (first, second) = (world.make(never.clone()).await, world.make(never).await);
    let rotated = rotate(&world, &first, Rotation::with_grace(HOUR)).await.unwrap();
    assert_eq!(rotated.issued.record.expires_at, None);
    assert_eq!(rotated.old.grace_until, world.tokens.now().checked_add(HOUR));
    // If the policy no longer allows tokens that never expire, the successor expires.
    world.tokens = world.tokens.with_policy(Policy::default());
    let rotated = rotate(&world, &second, Rotation::with_grace(HOUR)).await.unwrap();
    assert_eq!(rotated.issued.record.expires_at, world.tokens.now().checked_add(30 * DAY));
    assert_eq!(world.outcome(&rotated.issued).await, "ok");
    world.clock.advance(HOUR);
    assert_eq!((world.outcome(&first).await, world.outcome(&second).await), ("rotated", "rotated"));
}

pub async fn notices_after_rotation(world: World) {
    let old = world.make(world.new_token().with_lifetime(Lifetime::For(60 * DAY))).await;
    world.clock.advance(53 * DAY);
    let rotated = rotate(&world, &old, Rotation::with_grace(7 * DAY)).await.unwrap();
    let claim = || world.tokens.claim_notices(HOUR, PageSize::default());
    assert!(claim().await.unwrap().is_empty(), "a rotated token gets no notice");
    world.clock.advance(30 * DAY);
    let notices = claim().await.unwrap();
    assert_eq!(notices.len(), 1);
    assert_eq!((notices[0].id.key, notices[0].id.lead), (rotated.issued.record.key(), NoticeLead::MONTH));
}

pub async fn a_revoked_family_has_no_successor(world: World) {
    let first = world.issue().await;
    let second = rotate(&world, &first, Rotation::with_grace(HOUR)).await.unwrap().issued;
    world.clock.advance(HOUR);
    let third = rotate(&world, &second, Rotation::with_grace(HOUR)).await.unwrap().issued;
    let family = RevokeGroup::Family(first.record.id);
    let reason = RevocationReason::KeyCompromise;
    assert_eq!(world.tokens.revoke_group(&actor(), &world.project, &family, reason).await.unwrap(), 3);
    for made in [&first, &second, &third] {
        assert_eq!(world.outcome(made).await, "revoked");
        assert!(rotate(&world, made, Rotation::with_grace(HOUR)).await.is_err());
    }
}

/// The response to the first rotation was lost, and the client repeats the call after the token has
/// expired.
pub async fn repeat_a_rotation_of_an_expired_token(world: World) {
    let old = world.make(world.new_token().with_lifetime(Lifetime::For(DAY))).await;
    let repeat = || Rotation::with_grace(HOUR).with_retry(request("r"), HOUR);
    let first = rotate(&world, &old, repeat()).await.unwrap();
    // The grace period is over, and the first successor has lapsed. The call still counts as a
    // repeat.
    world.clock.advance(13 * HOUR);
    let second = rotate(&world, &old, Rotation::with_grace(HOUR).with_retry(request("r"), 11 * HOUR)).await.unwrap();
    world.clock.advance(11 * HOUR - MS);
    let third = rotate(&world, &old, repeat()).await.unwrap();
    world.clock.advance(MS);
    let refused = rotate(&world, &old, repeat()).await.unwrap_err();
    assert_eq!(refused, ErrorKind::Ended(Status::Expired));
    assert_eq!(world.outcome(&old).await, "rotated");
    assert_eq!(world.outcome(&first.issued).await, "revoked");
    assert_eq!(world.outcome(&second.issued).await, "revoked");
    assert_eq!(world.outcome(&third.issued).await, "pending", "a refused repeat must not end the successor");
}

/// An administrator disables a rotated token within its grace period. A repeat of the rotation must
/// not give the holder a new token.
pub async fn repeat_a_rotation_of_a_disabled_token(world: World) {
    let old = world.issue().await;
    let repeat = || Rotation::with_grace(HOUR).with_retry(request("r"), DAY);
    rotate(&world, &old, repeat()).await.unwrap();
    world.tokens.disable(&actor(), &old.record.key()).await.unwrap();
    for elapsed in [Duration::ZERO, HOUR] {
        world.clock.advance(elapsed);
        let refused = rotate(&world, &old, repeat()).await.unwrap_err();
        assert_eq!(refused, ErrorKind::Inactive(Status::Disabled));
    }
}

/// With a limit of one live token per owner, a rotation may still leave two working tokens of a
/// family during the grace period. The owner cannot get a third token.
pub async fn owners_limit_by_rotation(world: World) {
    let World { clock, tokens, project } = world;
    let world = World { clock, tokens: tokens.with_policy(Policy::default().with_most_live_per_owner(1)), project };
    let first = world.issue().await;
    let second = rotate(&world, &first, Rotation::with_grace(DAY)).await.unwrap().issued;
    let until = world.tokens.now().checked_add(DAY).unwrap();
    for grace in [Duration::ZERO, DAY] {
        let refused = rotate(&world, &second, Rotation::with_grace(grace)).await.unwrap_err();
        assert_eq!(refused, ErrorKind::PredecessorInGrace(until));
    }
    assert_eq!(kind_of(world.tokens.issue(&actor(), world.new_token()).await).unwrap_err(), ErrorKind::Limit);
    world.clock.advance(DAY - MS);
    assert!(rotate(&world, &second, Rotation::with_grace(DAY)).await.is_err());
    world.clock.advance(MS);
    let third = rotate(&world, &second, Rotation::with_grace(DAY)).await.unwrap().issued;
    // A caller that cannot wait can end the grace period early.
    world.tokens.end_grace(&actor(), &second.record.key()).await.unwrap();
    rotate(&world, &third, Rotation::with_grace(DAY)).await.unwrap();
}

pub async fn grace_longer_than_the_policy_allows(world: World) {
    let old = world.issue().await;
    for grace in [30 * DAY + MS, Duration::MAX] {
        let refused = rotate(&world, &old, Rotation::with_grace(grace)).await.unwrap_err();
        assert_eq!(refused, ErrorKind::Policy(PolicyBreach::GraceTooLong));
    }
    rotate(&world, &old, Rotation::with_grace(30 * DAY)).await.unwrap();
}

/// The client lost the response to the rotation, and did not confirm the successor in time. Both
/// tokens ended long before their group was revoked, so the revocation does not change their
/// records. If the client then repeats the rotation, it must not get a working token.
pub async fn repeat_a_rotation_of_a_revoked_group(world: World) {
    for of_family in [false, true] {
        let old = world.issue().await;
        let asked = || Rotation::with_grace(Duration::ZERO).with_retry(request("r1"), HOUR);
        rotate(&world, &old, asked()).await.unwrap();
        world.clock.advance(2 * DAY);
        let group = match of_family {
            true => RevokeGroup::Family(old.record.family),
            false => RevokeGroup::Owner(old.record.owner.clone()),
        };
        let reason = RevocationReason::KeyCompromise;
        world.tokens.revoke_group(&actor(), &world.project, &group, reason).await.unwrap();
        if let Ok(again) = rotate(&world, &old, asked()).await {
            world.tokens.confirm(&actor(), &again.issued.record.key()).await.unwrap();
            let outcome = world.outcome(&again.issued).await;
            assert_ne!(outcome, "ok", "a successor in a revoked group works (family: {of_family})");
        }
    }
}

/// An administrator disables the successor of an ended token before the successor is confirmed. A
/// repeat of the rotation must not replace the disabled token by a working one.
pub async fn repeat_a_rotation_whose_successor_was_disabled(world: World) {
    let old = world.issue().await;
    let asked = || Rotation::with_grace(Duration::ZERO).with_retry(request("r1"), HOUR);
    let first = rotate(&world, &old, asked()).await.unwrap().issued;
    world.tokens.disable(&actor(), &first.record.key()).await.unwrap();
    if let Ok(again) = rotate(&world, &old, asked()).await {
        world.tokens.confirm(&actor(), &again.issued.record.key()).await.unwrap();
        assert_ne!(world.outcome(&again.issued).await, "ok", "the repeat undid an administrator's disable");
    }
}

/// An administrator narrows the first successor. A repeat of the rotation must not give back the
/// removed scopes.
pub async fn repeat_a_rotation_whose_successor_was_narrowed(world: World) {
    let old = world.make(world.new_token().with_scopes("repo:*".parse().unwrap())).await;
    let asked = || Rotation::with_grace(Duration::ZERO).with_retry(request("r1"), HOUR);
    let first = rotate(&world, &old, asked()).await.unwrap().issued;
    let narrowing = Narrowing { scopes: Some("repo:read".parse().unwrap()), ..Narrowing::default() };
    world.tokens.narrow(&actor(), &first.record.key(), narrowing).await.unwrap();
    if let Ok(again) = rotate(&world, &old, asked()).await {
        assert_eq!(again.issued.record.scopes.as_str(), "repo:read", "the repeat undid a narrowing");
    }
}
