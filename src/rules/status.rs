//! What a record is at a given time.

use super::notice_lead::NoticeLead;
use super::record::TokenRecord;
use crate::words::timestamp::Timestamp;

/// What a token is at a given time. The last four are ends: no verb of the service leads back
/// from them; from the one before, only through the issuer. A store writes what it is told, so whoever calls one itself must not change a token that has ended.
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
    /// The token that it is bound to, or one further up, has ended, is disabled or is outside the policy. No record tells that by
    /// itself: views have it, whose service looks at the issuers, and no filter of a list finds it. A token whose issuer is
    /// enabled again works again.
    IssuerEnded,
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
    IssuerEnded = "issuer_ended",
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

    /// Returns which of these notices is due at `now`: the latest that has begun, if it is later than the one already sent, while
    /// the token lives, is confirmed and has no successor.
    pub fn due_notice(&self, leads: &[NoticeLead], now: Timestamp) -> Option<NoticeLead> {
        let expected = self.status(now).is_live() && self.confirm_by.is_none() && self.rotated_to.is_none();
        let due = NoticeLead::begun(leads, self.expires_at, now).filter(|_| expected)?;
        self.notice_lead.is_none_or(|sent| due < sent).then_some(due)
    }
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
    fn ends_are_judged_before_states_that_may_be_left() {
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
        assert_eq!(record.ends_at(), Some(at(-11)), "the earliest, whichever it is");
    }

    #[test]
    fn a_notice_is_due_from_its_time_on_until_it_was_sent() {
        let [month, week, day] = NoticeLead::ALL;
        for (days, lead, earlier) in [(30, month, None), (7, week, Some(month)), (1, day, Some(week))] {
            let begins = at(0).saturating_sub(days * DAY);
            let mut record = TokenRecord { expires_at: Some(at(0)), notice_lead: earlier, ..record() };
            assert_eq!(record.due_notice(&NoticeLead::ALL, begins.saturating_sub(MS)), None, "{lead}");
            assert_eq!(record.due_notice(&NoticeLead::ALL, begins), Some(lead));
            assert_eq!(record.due_notice(&[], begins), None, "nobody asks for one");
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
