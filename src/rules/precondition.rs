//! What a store decides in the same operation as it writes. Each rule is written here once: stores that hold whole records
//! call it, and stores whose engine decides (SQL, Lua) restate it and are tested against it.

use core::time::Duration;

use super::record::TokenRecord;
use crate::words::ids::TokenId;
use crate::words::timestamp::Timestamp;

/// The token that issues or rotates another, as it has to be when the store decides. From
/// [`Delegation::condition`](crate::Delegation::condition).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IssuerCondition {
    /// Its public id, in the project of the token that it issues.
    pub id: TokenId,
    /// The version that was judged.
    pub version: u64,
}

impl IssuerCondition {
    /// Returns whether the issuer is there, not revoked and of the version that was judged. Last uses and notices do not
    /// raise the version, so they do not make it fail.
    pub fn holds(&self, issuer: Option<&TokenRecord>) -> bool {
        issuer.is_some_and(|issuer| issuer.id == self.id && issuer.version == self.version && issuer.revoked.is_none())
    }
}

/// The most live tokens that an owner may have in the project, the new one among them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwnerLimit {
    /// That many.
    pub most: u64,
    /// The time at which the others are judged as live.
    pub now: Timestamp,
}

impl OwnerLimit {
    /// Returns whether the owner of `record` may have it too. `others` are records of its project; those of other owners or
    /// projects do not count, nor do those that are not [live](crate::Status::is_live).
    pub fn has_room_for<'r>(&self, record: &TokenRecord, others: impl IntoIterator<Item = &'r TokenRecord>) -> bool {
        let counts = |other: &&TokenRecord| {
            other.project == record.project && other.owner == record.owner && other.status(self.now).is_live()
        };
        (others.into_iter().filter(counts).count() as u64) < self.most
    }
}

impl TokenRecord {
    /// How long ago a token may have ended and still be revoked with its group: clocks may go back by less.
    pub const REVOCATION_MARGIN: Duration = Duration::from_secs(24 * 60 * 60);

    /// How long ago an unconfirmed successor may have ended and still be replaced by a repeat of its rotation: half of
    /// [`REVOCATION_MARGIN`](Self::REVOCATION_MARGIN). A group that was revoked before the repeat then had this successor in
    /// it, though the clocks of the two may differ by the other half.
    pub const REPEAT_MARGIN: Duration = Duration::from_secs(12 * 60 * 60);

    /// Returns whether the revocation of its owner or family at `now` has to reach the token: it is not revoked, and did
    /// not end by itself more than [24 hours](Self::REVOCATION_MARGIN) before `now`. So a disabled, pending or not yet
    /// valid token can still work, and one in its grace period.
    pub fn can_still_work(&self, now: Timestamp) -> bool {
        let cut = now.saturating_sub(Self::REVOCATION_MARGIN);
        self.revoked.is_none() && self.ends_at().is_none_or(|end| end >= cut)
    }

    /// Returns whether the token was rotated and its grace period still runs at `now`. Revoked and expired tokens are not in
    /// grace; a disabled one is, because it may be enabled again.
    pub fn is_in_grace(&self, now: Timestamp) -> bool {
        self.grace_until.is_some() && self.status(now).is_live()
    }

    /// Returns whether a store may rotate this token to `successor`. `predecessor` is the token that
    /// [`rotated_from`](Self::rotated_from) names, `earlier` the one that [`rotated_to`](Self::rotated_to) names, each
    /// `None` if there is no such row. The time is the successor's `created_at`.
    ///
    /// It may if the version is the expected one, this token is not revoked, the successor is of the same project and the
    /// predecessor is not [in grace](Self::is_in_grace), so that a chain has at most two working tokens. A token that has
    /// a successor may be rotated again only by a [repeat](Self::is_repeated_by) of the same request, only if it is neither
    /// disabled nor past its own expiry, and only until [12 hours](Self::REPEAT_MARGIN) after the earlier successor ended.
    /// That its own grace has ended does not matter then: with a grace of zero it always has.
    pub fn may_rotate(
        &self,
        expected_version: u64,
        successor: &Self,
        predecessor: Option<&Self>,
        earlier: Option<&Self>,
    ) -> bool {
        let now = successor.created_at;
        if self.version != expected_version || self.revoked.is_some() || self.project != successor.project {
            return false;
        }
        if predecessor.is_some_and(|predecessor| predecessor.is_in_grace(now)) {
            return false;
        }
        if self.rotated_to.is_none() {
            return true;
        }
        let may_be_repeated = self.disabled.is_none() && self.expires_at.is_none_or(|expires_at| now < expires_at);
        let cut = now.saturating_sub(Self::REPEAT_MARGIN);
        let is_repeated =
            |earlier: &Self| earlier.is_repeated_by(successor) && earlier.ends_at().is_none_or(|end| end >= cut);
        may_be_repeated && earlier.is_some_and(is_repeated)
    }
}
