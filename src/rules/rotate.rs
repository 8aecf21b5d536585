//! The creation of a token that replaces another token.

use rand_core::TryCryptoRng;

use super::delegation::Delegation;
use super::error::Error;
use super::error_kind::ErrorKind;
use super::lifetimes::Lifetime;
use super::mint::mint_with;
use super::new_token::NewToken;
use super::policy::Policy;
use super::record::TokenRecord;
use super::rotation::{PreparedRotation, Rotation};
use super::status::Status;
use crate::words::keyring::Keyring;
use crate::words::text::Actor;
use crate::words::timestamp::Timestamp;

/// Creates the successor of a token, under the current keyring and policy. The successor keeps the
/// project, owner, name, kind, scopes, addresses, metadata, issuer and family. **This function
/// stores nothing**: in one transaction, insert the successor and change the old record with
/// [`TokenRecord::rotate_to`]. Do so only if the version of the old record has not changed.
///
/// In the result, `grace_until` is `now` plus the grace period, but not later than the expiry of
/// the old token or the end of an earlier grace period.
///
/// The same transaction must check [`TokenRecord::may_rotate`], which needs the records of the old
/// token's predecessor and earlier successor. If the rotation has a [`Delegation`], the transaction
/// must also check its [condition](Delegation::condition) on the issuing token.
///
/// # Errors
/// Returns [`ErrorKind::Ended`] or [`ErrorKind::Inactive`] if the token is not active. Returns
/// [`ErrorKind::AlreadyRotated`] if the token has a successor and the rotation has no request id.
/// With [`Rotation::with_retry`], a token that has a successor is refused only if the token itself
/// is revoked, expired or disabled. Returns [`ErrorKind::Policy`] or [`ErrorKind::OutsideIssuer`]
/// if the policy or the issuing token does not allow the successor or the grace period. Returns
/// [`ErrorKind::Rng`] if the random number generator fails.
#[cfg(feature = "os-rng")]
pub fn rotate(
    keyring: &Keyring,
    policy: &Policy,
    old: &TokenRecord,
    rotation: Rotation,
    actor: &Actor,
    now: Timestamp,
) -> Result<PreparedRotation, Error> {
    rotate_with(&mut getrandom::SysRng, keyring, policy, old, rotation, actor, now)
}

/// Creates the successor of a token in the same way as [`rotate`], but with random numbers from
/// `rng`. The generator must be cryptographically secure.
///
/// # Errors
/// Returns the same errors as [`rotate`].
pub fn rotate_with<R: TryCryptoRng + ?Sized>(
    rng: &mut R,
    keyring: &Keyring,
    policy: &Policy,
    old: &TokenRecord,
    rotation: Rotation,
    actor: &Actor,
    now: Timestamp,
) -> Result<PreparedRotation, Error> {
    let Rotation { grace, lifetime, retry, delegation } = rotation;
    let delegation = delegation.map(|delegation| delegation.for_rotation_of(old));
    match (old.rotated_to, &retry, stopped(old, now)) {
        // This call may be a repeat. The store checks whether the successor belongs to the same
        // request and is not confirmed.
        (Some(_), Some(_), None) => {}
        (Some(_), Some(_), Some(status)) => return Err(inactive(status)),
        (Some(_), None, _) if old.revoked.is_none() => return Err(ErrorKind::AlreadyRotated.into()),
        _ => match old.status(now) {
            Status::Active => {}
            status => return Err(inactive(status)),
        },
    }
    let grace_until = policy.grace_until(grace, now)?;
    if let Some(delegation) = &delegation {
        delegation.admit_rotation(old)?;
    }
    let lifetime = lifetime.unwrap_or_else(|| as_before(policy, old, delegation.as_ref(), now));
    let mut new = NewToken::after(old).with_lifetime(lifetime);
    if let Some((request_id, confirm_within)) = retry {
        new = new.with_request_id(request_id).with_confirm_within(confirm_within);
    }
    if let Some(delegation) = &delegation {
        new = new.within(delegation);
    }
    let mut successor = mint_with(rng, keyring, policy, new, actor, now)?;
    successor.record.family = old.family;
    successor.record.rotated_from = Some(old.id);
    let ends = [old.grace_until, old.expires_at].into_iter().flatten();
    let grace_until = ends.fold(grace_until, Ord::min);
    Ok(PreparedRotation { successor, grace_until })
}

/// Returns the status that prevents a repeated rotation of `old`, or `None` if no status prevents
/// it. An ended grace period does not prevent it, because a grace period of zero ends immediately.
fn stopped(old: &TokenRecord, now: Timestamp) -> Option<Status> {
    if old.revoked.is_some() {
        Some(Status::Revoked)
    } else if old.expires_at.is_some_and(|expires_at| expires_at <= now) {
        Some(Status::Expired)
    } else if old.disabled.is_some() {
        Some(Status::Disabled)
    } else {
        None
    }
}

/// Returns the lifetime that the old token was issued with, limited by the current policy and by
/// the issuing token.
fn as_before(policy: &Policy, old: &TokenRecord, delegation: Option<&Delegation>, now: Timestamp) -> Lifetime {
    let lifetimes = policy.lifetimes(old.kind);
    let given = match old.expires_at {
        Some(expires_at) => expires_at.saturating_since(old.created_at),
        None if lifetimes.never_expiring
            && old.bound_to().is_none()
            && delegation.is_none_or(|delegation| delegation.admit_expiry(None).is_ok()) =>
        {
            return Lifetime::Never;
        }
        None => lifetimes.default,
    };
    let given = lifetimes.nearest(given);
    Lifetime::For(delegation.map_or(given, |delegation| delegation.shorten(given, now)))
}

fn inactive(status: Status) -> Error {
    if status.is_live() { ErrorKind::Inactive(status).into() } else { ErrorKind::Ended(status).into() }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::rules::breach::PolicyBreach;
    use crate::rules::issuer::Issuer;
    use crate::rules::lifetimes::Lifetimes;
    use crate::rules::outside_issuer::OutsideIssuer;
    use crate::rules::sample::{DAY, MS, ada, at, disabled, id, keyring, record, revoked};
    use crate::rules::scope::{Scope, ScopeSet};
    use crate::rules::token_kind::TokenKind;

    fn rotated(policy: &Policy, old: &TokenRecord, rotation: Rotation) -> Result<PreparedRotation, ErrorKind> {
        rotate(&keyring(), policy, old, rotation, &ada(), at(0)).map_err(|error| error.kind())
    }

    fn plain(old: &TokenRecord) -> Result<PreparedRotation, ErrorKind> {
        rotated(&Policy::default(), old, Rotation::with_grace(DAY))
    }

    fn repeated(old: &TokenRecord) -> Result<PreparedRotation, ErrorKind> {
        rotated(&Policy::default(), old, Rotation::with_grace(DAY).with_retry("one".parse().unwrap(), 9 * MS))
    }

    /// Rotates `old` and returns the lifetime of the new token, or `None` if it never expires.
    fn lifetime(policy: &Policy, old: &TokenRecord, rotation: Rotation) -> Option<Duration> {
        let new = rotated(policy, old, rotation).unwrap().successor.record;
        new.expires_at.map(|end| end.saturating_since(at(0)))
    }

    #[test]
    fn a_successor_takes_over_what_the_old_token_is_for() {
        let old = TokenRecord { family: id('9'), kind: TokenKind::Service, ..record() };
        let new = plain(&old).unwrap().successor.record;
        assert_eq!((new.family, new.rotated_from, new.rotated_to), (id('9'), Some(id('1')), None));
        assert_eq!((new.kind, &new.owner, &new.name, &new.scopes), (old.kind, &old.owner, &old.name, &old.scopes));
        assert_eq!((new.request_id, new.confirm_by), (None, None));
        assert_ne!(new.id, old.id);
        let new = repeated(&old).unwrap().successor.record;
        assert_eq!((new.request_id, new.confirm_by), (Some("one".parse().unwrap()), Some(at(9))));
    }

    #[test]
    fn only_an_active_token_is_rotated() {
        for (old, refused) in [
            (TokenRecord { revoked: revoked(), ..record() }, ErrorKind::Ended(Status::Revoked)),
            (TokenRecord { expires_at: Some(at(0)), ..record() }, ErrorKind::Ended(Status::Expired)),
            (TokenRecord { confirm_by: Some(at(0)), ..record() }, ErrorKind::Ended(Status::Lapsed)),
            (TokenRecord { grace_until: Some(at(0)), ..record() }, ErrorKind::Ended(Status::Rotated)),
            (TokenRecord { disabled: disabled(), ..record() }, ErrorKind::Inactive(Status::Disabled)),
            (TokenRecord { confirm_by: Some(at(1)), ..record() }, ErrorKind::Inactive(Status::Pending)),
            (TokenRecord { not_before: Some(at(1)), ..record() }, ErrorKind::Inactive(Status::NotYetValid)),
        ] {
            assert_eq!(plain(&old).err(), Some(refused));
            assert_eq!(repeated(&old).err(), Some(refused), "a repeat is refused too");
        }
        assert!(plain(&TokenRecord { expires_at: Some(at(1)), ..record() }).is_ok());
        assert!(plain(&TokenRecord { not_before: Some(at(0)), ..record() }).is_ok());
    }

    #[test]
    fn a_token_with_a_successor_is_rotated_again_only_by_a_repeat() {
        let old = TokenRecord { rotated_to: Some(id('2')), grace_until: Some(at(-1)), ..record() };
        assert_eq!(plain(&old).err(), Some(ErrorKind::AlreadyRotated));
        assert!(repeated(&old).is_ok(), "its grace period may have ended");
        let ended = TokenRecord { revoked: revoked(), ..old.clone() };
        assert_eq!(plain(&ended).err(), Some(ErrorKind::Ended(Status::Revoked)));
        assert_eq!(repeated(&ended).err(), Some(ErrorKind::Ended(Status::Revoked)));
        for (expires, refused) in [(-1, true), (0, true), (1, false)] {
            let expiring = TokenRecord { expires_at: Some(at(expires)), ..old.clone() };
            let expected = refused.then_some(ErrorKind::Ended(Status::Expired));
            assert_eq!(repeated(&expiring).err(), expected, "{expires}");
        }
        let off = TokenRecord { disabled: disabled(), ..old };
        assert_eq!(repeated(&off).err(), Some(ErrorKind::Inactive(Status::Disabled)));
    }

    #[test]
    fn a_grace_ends_with_the_token_and_is_never_lengthened() {
        let ends = |old: &TokenRecord| repeated(old).unwrap().grace_until;
        let day = at(0).saturating_add(DAY);
        assert_eq!(ends(&record()), day);
        for (end, expected) in
            [(day.saturating_sub(MS), day.saturating_sub(MS)), (day, day), (day.saturating_add(MS), day)]
        {
            assert_eq!(ends(&TokenRecord { expires_at: Some(end), ..record() }), expected);
            let again = TokenRecord { rotated_to: Some(id('2')), grace_until: Some(end), ..record() };
            assert_eq!(ends(&again), expected);
        }
        assert_eq!(
            rotated(&Policy::default(), &record(), Rotation::with_grace(Duration::ZERO)).unwrap().grace_until,
            at(0)
        );
    }

    #[test]
    fn a_grace_beyond_the_policy_is_refused() {
        let grace = |grace| rotated(&Policy::default().with_max_grace(DAY), &record(), Rotation::with_grace(grace));
        assert!(grace(DAY).is_ok());
        assert_eq!(grace(DAY + MS).err(), Some(ErrorKind::Policy(PolicyBreach::GraceTooLong)));
    }

    #[test]
    fn a_successor_lives_as_long_as_the_old_token_was_given() {
        let rotation = || Rotation::with_grace(DAY);
        let given = |days: u32| TokenRecord { expires_at: Some(at(-1000).saturating_add(days * DAY)), ..record() };
        let policy = Policy::default();
        assert_eq!(lifetime(&policy, &given(90), rotation()), Some(90 * DAY));
        assert_eq!(lifetime(&policy, &given(400), rotation()), Some(366 * DAY), "within today's policy");
        assert_eq!(lifetime(&policy, &given(90), rotation().with_lifetime(Lifetime::For(DAY))), Some(DAY));
    }

    #[test]
    fn a_token_without_expiry_has_a_successor_without_expiry_only_if_allowed() {
        let never = TokenRecord { expires_at: None, ..record() };
        let policy = Policy::default().with_default_lifetime(3 * DAY);
        assert_eq!(lifetime(&policy, &never, Rotation::with_grace(DAY)), Some(3 * DAY));
        let allowing = policy.clone().with_never_expiring(true);
        assert_eq!(lifetime(&allowing, &never, Rotation::with_grace(DAY)), None);
        let service = Lifetimes { never_expiring: true, ..*policy.lifetimes(TokenKind::Service) };
        let allowing = policy.with_lifetimes(TokenKind::Service, service);
        assert_eq!(lifetime(&allowing, &never, Rotation::with_grace(DAY)), Some(3 * DAY), "only its own kind counts");
    }

    /// Returns the delegation of a token that belongs to ada and expires in five days.
    fn delegation() -> Delegation {
        let scopes = ScopeSet::new("repo:* user tokens:manage").unwrap();
        let end = Some(at(0).saturating_add(5 * DAY));
        let issuer = TokenRecord { id: id('7'), scopes, expires_at: end, ..record() };
        Delegation::new(crate::rules::proof::Held::alone(issuer), Scope::new("tokens:manage").unwrap())
    }

    #[test]
    fn a_successor_is_bound_as_the_old_token_is_and_always_expires() {
        let policy = Policy::default().with_never_expiring(true);
        for bound in [true, false] {
            let issuer = Some(Issuer { id: id('7'), bound });
            let old = TokenRecord { issuer, ..record() };
            assert_eq!(plain(&old).unwrap().successor.record.issuer, issuer);
            let never = rotated(&policy, &old, Rotation::with_grace(DAY).with_lifetime(Lifetime::Never));
            let expected = bound.then_some(ErrorKind::Policy(PolicyBreach::NeverExpires));
            assert_eq!(never.err(), expected);
        }
    }

    #[test]
    fn a_rotation_by_a_token_stays_within_it() {
        let by = delegation();
        let within = || Rotation::with_grace(DAY).within(&by);
        assert_eq!(within().delegation().map(Delegation::key), Some(by.key()));
        assert!(Rotation::with_grace(DAY).delegation().is_none());
        let foreign = rotated(&Policy::default(), &record(), within());
        assert_eq!(foreign.err(), Some(ErrorKind::OutsideIssuer(OutsideIssuer::NotIssued)));
        let issuer = Some(Issuer { id: by.key().id, bound: false });
        let issued = TokenRecord { issuer, ..record() };
        assert_eq!(lifetime(&Policy::default(), &issued, within()), Some(5 * DAY));
        let never = TokenRecord { expires_at: None, ..issued.clone() };
        let policy = Policy::default().with_never_expiring(true);
        assert_eq!(lifetime(&policy, &never, within()), Some(5 * DAY), "it does not outlive the issuing token");
        let new = rotated(&policy, &issued, within()).unwrap().successor.record;
        assert_eq!((new.created_by, new.issuer), (by.actor(), issuer));
        let longer = rotated(&policy, &issued, within().with_lifetime(Lifetime::For(5 * DAY + MS)));
        assert_eq!(longer.err(), Some(ErrorKind::OutsideIssuer(OutsideIssuer::Expiry)));
    }
}
