//! The parameters and the result of a rotation. A new token replaces an old token, which works
//! until its grace period ends.

use core::time::Duration;

use super::delegation::Delegation;
use super::lifetimes::Lifetime;
use super::mint::Issued;
use crate::words::text::RequestId;
use crate::words::timestamp::Timestamp;

/// The parameters of a rotation, which replaces a token with a new one.
#[derive(Clone, Debug)]
pub struct Rotation {
    pub(super) grace: Duration,
    pub(super) lifetime: Option<Lifetime>,
    pub(super) retry: Option<(RequestId, Duration)>,
    pub(super) delegation: Option<Delegation>,
}

impl Rotation {
    /// Creates a rotation with this grace period. The old token keeps working during the grace
    /// period, but not beyond its own expiry. With a grace period of zero, it stops working
    /// immediately. A grace period longer than
    /// [`Policy::max_grace`](crate::Policy::max_grace) is refused.
    ///
    /// By default, the new token gets the same lifetime as the old token, counted from the
    /// rotation. If the current policy does not allow this lifetime, the nearest allowed lifetime
    /// applies.
    pub fn with_grace(grace: Duration) -> Self {
        Self { grace, lifetime: None, retry: None, delegation: None }
    }

    /// Sets the lifetime of the new token.
    #[must_use]
    pub fn with_lifetime(self, lifetime: Lifetime) -> Self {
        Self { lifetime: Some(lifetime), ..self }
    }

    /// Makes the rotation safe to repeat if the response with the new token is lost. The new token
    /// does not work until it is [confirmed](crate::Tokens::confirm). It lapses if it is not
    /// confirmed within the time `confirm_within`.
    ///
    /// A repeat is a rotation of the same old token with the same request id. It revokes the first
    /// new token and issues another one. A repeat is possible until the first new token is
    /// confirmed. If the first new token lapses, a repeat is possible for another 12 hours, even if
    /// the grace period of the old token has ended. A repeat does not extend this grace period. A
    /// repeat is refused if the old token is revoked, disabled or expired, or if the first new
    /// token was revoked or changed.
    #[must_use]
    pub fn with_retry(self, request_id: RequestId, confirm_within: Duration) -> Self {
        Self { retry: Some((request_id, confirm_within)), ..self }
    }

    /// Sets the delegation of the token that performs the rotation. That token can rotate itself
    /// and tokens that it issued. The new token stays within the limits of that token. A token that
    /// rotates itself can repeat the rotation only until its grace period ends, because the token
    /// does not work afterwards.
    #[must_use]
    pub fn within(self, delegation: &Delegation) -> Self {
        Self { delegation: Some(delegation.clone()), ..self }
    }

    /// Returns the delegation under which the token is rotated, if there is one. The store must
    /// check the [condition](Delegation::condition) of the delegation when it writes the rotation.
    pub fn delegation(&self) -> Option<&Delegation> {
        self.delegation.as_ref()
    }
}

/// The new token of a rotation and the end of the old token's grace period, to be passed to
/// [`TokenStore::rotate`](crate::TokenStore::rotate).
#[derive(Debug)]
pub struct PreparedRotation {
    /// The new token: the text to show once, and the record to insert.
    pub successor: Issued,
    /// The time at which the old token stops working.
    pub grace_until: Timestamp,
}
