//! What a record is at a given time.

use super::notice_stage::NoticeStage;
use super::record::TokenRecord;
use crate::words::timestamp::Timestamp;

/// What a token is at a given time. The last four are ends: no verb of the service leads back
/// from them. A store writes what it is told, so whoever calls one itself must not change a token that has ended.
///
/// The order of judgement is: revoked, rotated, lapsed, expired, disabled, pending, not yet valid. Ends come first,
/// so that nobody asks for a token to be enabled that has expired meanwhile. A time is reached when it is equal: at
/// `expires_at` a token is expired.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Status {
    /// It works.
    Active,
    /// Its `not_before` lies ahead.
    NotYetValid,
    /// Issued, and not confirmed yet.
    Pending,
    /// Disabled until somebody enables it.
    Disabled,
    /// Past `expires_at`.
    Expired,
    /// Never confirmed before `confirm_by`.
    Lapsed,
    /// Rotated, and `grace_until` is past.
    Rotated,
    /// Revoked.
    Revoked,
}

word_type!(Status {
    Active = "active",
    NotYetValid = "not_yet_valid",
    Pending = "pending",
    Disabled = "disabled",
    Expired = "expired",
    Lapsed = "lapsed",
    Rotated = "rotated",
    Revoked = "revoked",
});

impl Status {
    /// Whether the token works or may work again: the first four.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Active | Self::NotYetValid | Self::Pending | Self::Disabled)
    }
}

impl TokenRecord {
    /// What the token is at `now`.
    pub fn status(&self, now: Timestamp) -> Status {
        let reached = |time: Option<Timestamp>| time.is_some_and(|time| time <= now);
        if self.revoked.is_some() {
            Status::Revoked
        } else if reached(self.grace_until) {
            Status::Rotated
        } else if reached(self.confirm_by) {
            Status::Lapsed
        } else if reached(self.expires_at) {
            Status::Expired
        } else if self.disabled.is_some() {
            Status::Disabled
        } else if self.confirm_by.is_some() {
            Status::Pending
        } else if self.not_before.is_some_and(|time| now < time) {
            Status::NotYetValid
        } else {
            Status::Active
        }
    }

    /// When it ended or will end by itself: the first of revocation, grace, confirmation time and expiry.
    pub fn ends_at(&self) -> Option<Timestamp> {
        let revoked_at = self.revoked.as_ref().map(|revoked| revoked.at);
        [revoked_at, self.grace_until, self.confirm_by, self.expires_at].into_iter().flatten().min()
    }

    /// The notice that is due at `now`: a later stage than the one already sent, while the token lives, is confirmed
    /// and has no successor.
    pub fn due_notice(&self, now: Timestamp) -> Option<NoticeStage> {
        let expected = self.status(now).is_live() && self.confirm_by.is_none() && self.rotated_to.is_none();
        let stage = NoticeStage::of(self.expires_at, now);
        (expected && stage > self.notice_stage).then_some(stage)
    }
}
