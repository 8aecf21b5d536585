//! Rotation: another token takes over, and the old one has some time left.

use core::time::Duration;

use super::delegation::Delegation;
use super::error::{Error, ErrorKind};
use super::lifetimes::Lifetime;
use super::mint::{Issued, NewToken, mint};
use super::policy::Policy;
use super::record::TokenRecord;
use super::status::Status;
use crate::words::keyring::Keyring;
use crate::words::text::{Actor, RequestId};
use crate::words::timestamp::Timestamp;

/// How a token is to be rotated.
#[derive(Clone, Debug)]
pub struct Rotation {
    grace: Duration,
    lifetime: Option<Lifetime>,
    retry: Option<(RequestId, Duration)>,
    delegation: Option<Delegation>,
}

impl Rotation {
    /// Lets the old token work for this much longer, but never beyond its own expiry. With zero it ends immediately. A grace
    /// beyond [`Policy::max_grace`] is refused.
    ///
    /// The new one lives as long as the old one was given, from now on and within today's policy.
    pub fn with_grace(grace: Duration) -> Self {
        Self { grace, lifetime: None, retry: None, delegation: None }
    }

    /// How long the new token shall live.
    #[must_use]
    pub fn with_lifetime(self, lifetime: Lifetime) -> Self {
        Self { lifetime: Some(lifetime), ..self }
    }

    /// Safe to repeat where the answer may be lost. The new token does not work until it is
    /// [confirmed](crate::Tokens::confirm), and lapses if that takes longer than `confirm_within`. Until it is confirmed, and for
    /// 12 hours after it lapsed, the same call with the same request id ends it and makes another one, also after the old
    /// token's grace has ended, but not after the old token was revoked or disabled or has expired, nor after the new one was
    /// revoked or changed. The old token's grace is not lengthened by that.
    #[must_use]
    pub fn with_retry(self, request_id: RequestId, confirm_within: Duration) -> Self {
        Self { retry: Some((request_id, confirm_within)), ..self }
    }

    /// Rotates at the request of a token, which may rotate itself and tokens that it issued. The new token stays within it. A
    /// token can repeat its own rotation only until its grace is over, as it works no longer.
    #[must_use]
    pub fn within(self, delegation: &Delegation) -> Self {
        Self { delegation: Some(delegation.clone()), ..self }
    }

    /// Returns the token at whose request it is done, for a store's [condition](Delegation::condition).
    pub fn delegation(&self) -> Option<&Delegation> {
        self.delegation.as_ref()
    }
}

/// A successor that was made, for [`TokenStore::rotate`](crate::TokenStore::rotate).
#[derive(Debug)]
pub struct PreparedRotation {
    /// The new token: to insert and to show once.
    pub successor: Issued,
    /// When the old one stops working.
    pub grace_until: Timestamp,
}

/// Makes the successor of a token: of the same project, owner, name, scopes, addresses and family, under today's keyring and policy.
/// **Nothing is stored**: insert the successor and change the old record by [`TokenRecord::rotate_to`] in one transaction,
/// under the condition that the old one has the same version still.
///
/// `grace_until` is the first of `now` and the grace, the old token's expiry, and an earlier grace of it.
///
/// The host must decide in that transaction what needs other rows, with [`TokenRecord::may_rotate`]: a token is not rotated
/// while its own predecessor is in grace. Within a [`Delegation`], also the manager's [condition](Delegation::condition).
///
/// # Errors
/// Returns [`ErrorKind::Ended`] or [`ErrorKind::Inactive`] if the token is not active, and [`ErrorKind::AlreadyRotated`] if it
/// has a successor, unless the rotation repeats an earlier one as [`Rotation::with_retry`] says. Returns
/// [`ErrorKind::Policy`] or [`ErrorKind::OutsideIssuer`] if the policy or the issuing token does not allow it.
pub fn rotate(
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
        // It may be a repeat: the store compares whether the successor is of the same request and not confirmed.
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
    let mut successor = mint(keyring, policy, new, actor, now)?;
    successor.record.family = old.family;
    successor.record.rotated_from = Some(old.id);
    let ends = [old.grace_until, old.expires_at].into_iter().flatten();
    let grace_until = ends.fold(grace_until, Ord::min);
    Ok(PreparedRotation { successor, grace_until })
}

/// What keeps a rotated token from being rotated again by a repeat. Its own grace does not: with a grace of zero it always
/// has ended by then.
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

/// As long as the old token was given, within today's policy and the issuing token.
fn as_before(policy: &Policy, old: &TokenRecord, delegation: Option<&Delegation>, now: Timestamp) -> Lifetime {
    let lifetimes = policy.lifetimes(old.kind);
    let given = match old.expires_at {
        Some(expires_at) => expires_at.saturating_since(old.created_at),
        None if lifetimes.never_expiring
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
