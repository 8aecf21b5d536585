//! The status of a token at a given time.

use super::notice_lead::NoticeLead;
use super::record::{Revocation, TokenRecord};
use crate::words::timestamp::Timestamp;

/// The status of a token at a given time. If the status is `Expired`, `Lapsed`, `Rotated` or
/// `Revoked`, the token has ended, and no operation makes it work again. If the status is
/// `IssuerEnded`, the token works again only after a change of its issuers or of the policy.
///
/// If several statuses apply, the token has the first in this order: revoked, rotated, lapsed,
/// expired, issuer ended, disabled, pending, not yet valid. The statuses of ended tokens come
/// first, so that no user tries to enable a token that has already expired. A status begins exactly
/// at its time: at `expires_at`, the token is already expired.
///
/// A store does not check the status before a change. If your code calls a store directly, it must
/// not change a token that has ended.
///
/// [`as_str`](Self::as_str) and Display return the name of the status in lower case, with `_`
/// between words. [`parse`](Self::parse) accepts these names:
///
/// ```
/// use keyfob::Status;
///
/// assert_eq!(Status::Active.as_str(), "active");
/// assert_eq!(Status::NotYetValid.to_string(), "not_yet_valid");
/// assert_eq!(Status::parse("issuer_ended")?, Status::IssuerEnded);
/// # Ok::<(), keyfob::Invalid>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Status {
    /// The token works.
    Active,
    /// The token will work from `not_before` on.
    NotYetValid,
    /// The token was issued, but it is not confirmed yet.
    Pending,
    /// The token is disabled until it is enabled again.
    Disabled,
    /// An issuer of the token does not work, or the chain of issuers is longer than the policy
    /// allows. The issuers are all tokens to which this token is bound, directly or through other
    /// tokens. If the issuer works again, for example because it is enabled, this token works again
    /// too.
    ///
    /// [`TokenRecord::status`] never returns this status, because it reads only the token's own
    /// record. The service sets this status in views, for which it also reads the issuers. A filter
    /// of a list by this status finds no token.
    IssuerEnded,
    /// The token has reached `expires_at`.
    Expired,
    /// The token was not confirmed before `confirm_by`.
    Lapsed,
    /// The token was rotated, and `grace_until` has been reached.
    Rotated,
    /// The token was revoked.
    Revoked,
}

word_type!(Status {
    Active = "active",
    NotYetValid = "not_yet_valid",
    Pending = "pending",
    Disabled = "disabled",
    IssuerEnded = "issuer_ended",
    Expired = "expired",
    Lapsed = "lapsed",
    Rotated = "rotated",
    Revoked = "revoked",
});

impl Status {
    /// Returns whether the token works or may work again: it is active, not yet valid, pending or
    /// disabled.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Active | Self::NotYetValid | Self::Pending | Self::Disabled)
    }
}

impl TokenRecord {
    /// Returns the status of the token at `now` according to its own record. Does not check the
    /// issuers.
    #[inline]
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

    /// Returns the time at which the token ended or will end. This is the earliest of its
    /// revocation, the end of its grace period, `confirm_by` and its expiry. Returns `None` if none
    /// of these times is set.
    pub fn ends_at(&self) -> Option<Timestamp> {
        first_end(self.revoked.as_ref(), [self.grace_until, self.confirm_by, self.expires_at])
    }

    /// Returns the lead time of the notice of expiry that is due at `now`, or `None` if no notice
    /// is due. If the due times of several notices have been reached, only the notice with the
    /// shortest lead time is due. A notice is due only if its lead time is shorter than the lead
    /// time of the last notice that was sent. No notice is due for a token that has ended, is not
    /// confirmed, or has a successor.
    pub fn due_notice(&self, leads: &[NoticeLead], now: Timestamp) -> Option<NoticeLead> {
        let expected = self.status(now).is_live() && self.confirm_by.is_none() && self.rotated_to.is_none();
        let due = NoticeLead::begun(leads, self.expires_at, now).filter(|_| expected)?;
        self.notice_lead.is_none_or(|sent| due < sent).then_some(due)
    }
}

/// Returns the earliest of the time of a revocation and other times.
pub(super) fn first_end(revoked: Option<&Revocation>, others: [Option<Timestamp>; 3]) -> Option<Timestamp> {
    others.into_iter().chain([revoked.map(|revoked| revoked.at)]).flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::sample::{DAY, MS, at, disabled, id, record, revoked};

    #[test]
    fn an_end_is_reached_at_its_time() {
        type Set = fn(&mut TokenRecord, Option<Timestamp>);
        let ends: [(Set, Status, Status); 3] = [
            (|record, time| record.expires_at = time, Status::Active, Status::Expired),
            (|record, time| record.grace_until = time, Status::Active, Status::Rotated),
            (|record, time| record.confirm_by = time, Status::Pending, Status::Lapsed),
        ];
        for (set, before, after) in ends {
            let mut record = record();
            set(&mut record, Some(at(0)));
            assert_eq!(record.status(at(-1)), before, "just before {after}");
            assert_eq!(record.status(at(0)), after, "at {after}");
            assert_eq!(record.status(at(1)), after, "just after {after}");
        }
    }

    #[test]
    fn a_token_is_valid_from_its_first_time_on() {
        let record = TokenRecord { not_before: Some(at(0)), ..record() };
        assert_eq!(record.status(at(-1)), Status::NotYetValid);
        assert_eq!(record.status(at(0)), Status::Active);
        assert_eq!(record.status(at(1)), Status::Active);
    }

    #[test]
    fn ends_take_precedence_over_other_states() {
        let mut record = record();
        record.not_before = Some(at(1));
        assert_eq!(record.status(at(0)), Status::NotYetValid);
        record.confirm_by = Some(at(1));
        assert_eq!(record.status(at(0)), Status::Pending);
        record.disabled = disabled();
        assert_eq!(record.status(at(0)), Status::Disabled);
        record.expires_at = Some(at(0));
        assert_eq!(record.status(at(0)), Status::Expired);
        record.confirm_by = Some(at(0));
        assert_eq!(record.status(at(0)), Status::Lapsed);
        record.grace_until = Some(at(0));
        assert_eq!(record.status(at(0)), Status::Rotated);
        record.revoked = revoked();
        assert_eq!(record.status(at(0)), Status::Revoked);
    }

    #[test]
    fn a_revocation_counts_whatever_its_time() {
        let mut record = TokenRecord { revoked: revoked(), ..record() };
        record.revoked.as_mut().unwrap().at = at(1);
        assert_eq!(record.status(at(0)), Status::Revoked);
    }

    #[test]
    fn four_of_nine_states_are_live() {
        let live = [Status::Active, Status::NotYetValid, Status::Pending, Status::Disabled];
        assert_eq!(Status::ALL.len(), 9);
        for status in Status::ALL {
            assert_eq!(status.is_live(), live.contains(status), "{status}");
        }
    }

    #[test]
    fn a_token_ends_at_the_first_of_its_ends() {
        assert_eq!(TokenRecord { expires_at: None, ..record() }.ends_at(), None);
        let mut record = TokenRecord { expires_at: Some(at(4)), ..record() };
        assert_eq!(record.ends_at(), Some(at(4)));
        record.confirm_by = Some(at(3));
        assert_eq!(record.ends_at(), Some(at(3)));
        record.grace_until = Some(at(2));
        assert_eq!(record.ends_at(), Some(at(2)));
        record.revoked = revoked();
        assert_eq!(record.ends_at(), Some(at(-10)));
        record.expires_at = Some(at(-11));
        assert_eq!(record.ends_at(), Some(at(-11)), "the earliest one counts");
        assert_eq!(record.view(at(0)).ends_at(), record.ends_at());
    }

    #[test]
    fn a_notice_is_due_from_its_time_on_until_it_was_sent() {
        let [month, week, day] = NoticeLead::ALL;
        for (days, lead, earlier) in [(30, month, None), (7, week, Some(month)), (1, day, Some(week))] {
            let begins = at(0).saturating_sub(days * DAY);
            let mut record = TokenRecord { expires_at: Some(at(0)), notice_lead: earlier, ..record() };
            assert_eq!(record.due_notice(&NoticeLead::ALL, begins.saturating_sub(MS)), None, "{lead}");
            assert_eq!(record.due_notice(&NoticeLead::ALL, begins), Some(lead));
            assert_eq!(record.due_notice(&[], begins), None, "no notice is asked for");
            record.notice_lead = Some(lead);
            assert_eq!(record.due_notice(&NoticeLead::ALL, begins), None, "{lead} was sent");
        }
    }

    #[test]
    fn no_notice_is_due_for_a_token_that_ended_or_waits_or_was_replaced() {
        let due = |change: fn(&mut TokenRecord)| {
            let mut record = TokenRecord { expires_at: Some(at(1)), ..record() };
            change(&mut record);
            record.due_notice(&NoticeLead::ALL, at(0))
        };
        assert_eq!(due(|_| {}), Some(NoticeLead::DAY));
        assert_eq!(due(|record| record.disabled = disabled()), Some(NoticeLead::DAY), "it may be enabled again");
        assert_eq!(due(|record| record.expires_at = None), None);
        assert_eq!(due(|record| record.expires_at = Some(at(0))), None);
        assert_eq!(due(|record| record.revoked = revoked()), None);
        assert_eq!(due(|record| record.confirm_by = Some(at(1))), None);
        assert_eq!(due(|record| record.rotated_to = Some(id('2'))), None);
    }
}
