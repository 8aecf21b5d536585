//! The preconditions of writes. A store checks them in the same operation in which it writes. Each
//! rule is defined once, as a function in this module. A store that holds whole records calls this
//! function. A store that checks in its database repeats the rule in SQL or Lua, and tests compare
//! this copy with the function.

use core::time::Duration;

use super::record::TokenRecord;
use crate::words::ids::TokenId;
use crate::words::timestamp::Timestamp;

/// The state that the issuing token must have when the store writes a token that was issued or
/// rotated on its behalf. [`Delegation::condition`](crate::Delegation::condition) returns this
/// condition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IssuerCondition {
    /// The public id of the issuing token, which is in the same project as the token to be written.
    pub id: TokenId,
    /// The version that the issuing token had when the service checked it.
    pub version: u64,
}

impl IssuerCondition {
    /// Returns whether `issuer` is the issuing token, still has this version and is not revoked.
    /// Last uses and notices do not raise the version, so they do not affect the result.
    pub fn holds(&self, issuer: Option<&TokenRecord>) -> bool {
        issuer.is_some_and(|issuer| issuer.id == self.id && issuer.version == self.version && issuer.revoked.is_none())
    }
}

/// The limit on [live](crate::Status::is_live) tokens that the store must check when it inserts a
/// new token. If the new token is bound, only tokens bound to the same issuer count. Otherwise,
/// only unbound tokens of the same owner in the project count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LiveLimit {
    /// The maximum number of live tokens, including the new token.
    pub most: u64,
    /// The current time. Only tokens that are live at this time count for the limit.
    pub now: Timestamp,
}

impl LiveLimit {
    /// Returns whether the limit allows the new token `record` in addition to the live tokens in
    /// `others`. Ignores the records in `others` that do not count for this limit: tokens that are
    /// not [live](crate::Status::is_live), and tokens of another project, owner or issuer.
    pub fn has_room_for<'r>(&self, record: &TokenRecord, others: impl IntoIterator<Item = &'r TokenRecord>) -> bool {
        let counts = |other: &&TokenRecord| {
            let bound_to = record.bound_to();
            other.project == record.project
                && other.bound_to() == bound_to
                && (bound_to.is_some() || other.owner == record.owner)
                && other.status(self.now).is_live()
        };
        (others.into_iter().filter(counts).count() as u64) < self.most
    }
}

impl TokenRecord {
    /// The margin for revocations of all tokens of an owner or a family: 24 hours. Such a
    /// revocation also revokes each token that ended by itself during the last 24 hours. So these
    /// tokens do not work again if a clock is set back by less than 24 hours.
    pub const REVOCATION_MARGIN: Duration = Duration::from_secs(24 * 60 * 60);

    /// The margin for repeated rotations: 12 hours, half of
    /// [`REVOCATION_MARGIN`](Self::REVOCATION_MARGIN). After an unconfirmed successor has ended, a
    /// repeat of the rotation can still replace this successor for 12 hours.
    ///
    /// A repeat must fail after a revocation of all tokens of the owner or the family. Such a
    /// revocation also revokes the tokens that ended during the last 24 hours, and a repeat cannot
    /// replace a revoked successor. So the repeat fails, even if the clock of the process that
    /// rotates and the clock of the process that revokes differ by up to 12 hours.
    pub const REPEAT_MARGIN: Duration = Duration::from_secs(12 * 60 * 60);

    /// Returns whether a revocation of all tokens of an owner or a family at `now` must include
    /// this token. A family is a chain of tokens that replaced each other by rotation.
    ///
    /// The revocation must include every token, except a token that is already revoked or that
    /// ended by itself more than [`REVOCATION_MARGIN`](Self::REVOCATION_MARGIN) before `now`. So it
    /// includes disabled, pending and not yet valid tokens, and tokens in their grace period.
    pub fn can_still_work(&self, now: Timestamp) -> bool {
        let cut = now.saturating_sub(Self::REVOCATION_MARGIN);
        self.revoked.is_none() && self.ends_at().is_none_or(|end| end >= cut)
    }

    /// Returns whether the token was rotated and its grace period has not ended at `now`. A revoked
    /// or expired token is not in its grace period. A disabled token can be in its grace period,
    /// because it may be enabled again.
    pub fn is_in_grace(&self, now: Timestamp) -> bool {
        self.grace_until.is_some() && self.status(now).is_live()
    }

    /// Returns whether a store may rotate this token to `successor`, at the time
    /// `successor.created_at`. `predecessor` is the record of the token that this token replaced
    /// ([`rotated_from`](Self::rotated_from)). `earlier` is the record of the successor that this
    /// token already has ([`rotated_to`](Self::rotated_to)). Each of the two is `None` if there is
    /// no such record.
    ///
    /// The store may rotate this token if all of these conditions hold:
    /// - This token has the expected version, is not revoked, and is in the same project as
    ///   `successor`.
    /// - The predecessor is not [in its grace period](Self::is_in_grace). So at most two tokens of
    ///   a chain of rotations work at the same time.
    /// - This token has no successor yet, or the rotation [repeats](Self::is_repeated_by) the
    ///   request that issued the earlier successor.
    ///
    /// A repeat is allowed until [`REPEAT_MARGIN`](Self::REPEAT_MARGIN) after the earlier successor
    /// ended. For a repeat, this token must be neither disabled nor expired. A repeat is also
    /// allowed after the grace period of this token has ended, because a grace period of zero ends
    /// immediately.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::sample::{MS, at, disabled, id, record, revoked};

    #[test]
    fn an_issuer_condition_holds_for_the_judged_version_of_a_token_that_is_not_revoked() {
        let issuer = TokenRecord { version: 4, ..record() };
        let condition = IssuerCondition { id: issuer.id, version: 4 };
        assert!(condition.holds(Some(&issuer)));
        assert!(
            condition.holds(Some(&TokenRecord { expires_at: Some(at(-1)), ..issuer.clone() })),
            "expiry is not judged"
        );
        assert!(!condition.holds(None));
        assert!(!condition.holds(Some(&TokenRecord { version: 3, ..issuer.clone() })));
        assert!(!condition.holds(Some(&TokenRecord { version: 5, ..issuer.clone() })));
        assert!(!condition.holds(Some(&TokenRecord { id: id('2'), ..issuer.clone() })));
        assert!(!condition.holds(Some(&TokenRecord { revoked: revoked(), ..issuer })));
    }

    #[test]
    fn an_owner_has_room_while_fewer_tokens_are_live_than_allowed() {
        let new = record();
        let other = |owner: &str, project: &str, expires: i64| TokenRecord {
            owner: owner.parse().unwrap(),
            project: project.parse().unwrap(),
            expires_at: Some(at(expires)),
            ..record()
        };
        let others = [other("ada", "145", 1), other("ada", "145", 2), other("ada", "145", 0)];
        let elsewhere = [other("bob", "145", 1), other("ada", "146", 1)];
        let room = |most| LiveLimit { most, now: at(0) }.has_room_for(&new, others.iter().chain(&elsewhere));
        assert_eq!([0, 1, 2, 3, 4].map(room), [false, false, false, true, true]);
        assert!(!LiveLimit { most: 0, now: at(0) }.has_room_for(&new, []));
        assert!(LiveLimit { most: 1, now: at(0) }.has_room_for(&new, &elsewhere));
    }

    #[test]
    fn a_token_can_still_work_until_a_day_after_its_end() {
        assert_eq!(TokenRecord::REVOCATION_MARGIN.as_secs(), 24 * 60 * 60);
        let record = TokenRecord { expires_at: Some(at(0)), ..record() };
        let cut = at(0).saturating_add(TokenRecord::REVOCATION_MARGIN);
        assert!(record.can_still_work(at(-1)));
        assert!(record.can_still_work(cut.saturating_sub(MS)));
        assert!(record.can_still_work(cut));
        assert!(!record.can_still_work(cut.saturating_add(MS)));
        assert!(TokenRecord { expires_at: None, ..record.clone() }.can_still_work(Timestamp::MAX));
        assert!(!TokenRecord { revoked: revoked(), ..record }.can_still_work(at(-1)));
    }

    #[test]
    fn a_grace_runs_until_its_time_unless_the_token_ends_sooner() {
        let record = TokenRecord { grace_until: Some(at(0)), ..record() };
        assert!(record.is_in_grace(at(-1)));
        assert!(!record.is_in_grace(at(0)));
        assert!(!record.is_in_grace(at(1)));
        assert!(TokenRecord { disabled: disabled(), ..record.clone() }.is_in_grace(at(-1)));
        assert!(!TokenRecord { revoked: revoked(), ..record.clone() }.is_in_grace(at(-1)));
        assert!(!TokenRecord { expires_at: Some(at(-1)), ..record.clone() }.is_in_grace(at(-1)));
        assert!(!TokenRecord { grace_until: None, ..record }.is_in_grace(at(-1)));
    }

    /// Checks some of the cases of `may_rotate`. The conformance kit has a table of all cases, and
    /// runs every case through every store.
    #[test]
    fn a_token_is_rotated_once_and_again_only_by_a_repeat() {
        assert_eq!(2 * TokenRecord::REPEAT_MARGIN, TokenRecord::REVOCATION_MARGIN);
        let old = TokenRecord { version: 2, ..record() };
        let request_id = Some("one".parse().unwrap());
        let new = TokenRecord { id: id('2'), created_at: at(0), request_id, ..record() };
        assert!(old.may_rotate(2, &new, None, None));
        assert!(!old.may_rotate(1, &new, None, None));
        assert!(!old.may_rotate(3, &new, None, None));
        let earlier = TokenRecord { id: id('3'), confirm_by: Some(at(9)), ..new.clone() };
        let rotated = TokenRecord { rotated_to: Some(earlier.id), ..old.clone() };
        assert!(rotated.may_rotate(2, &new, None, Some(&earlier)));
        assert!(!rotated.may_rotate(2, &new, None, None));
        assert!(!rotated.may_rotate(2, &TokenRecord { request_id: None, ..new.clone() }, None, Some(&earlier)));
        let in_grace = TokenRecord { id: id('4'), grace_until: Some(at(1)), ..record() };
        assert!(!old.may_rotate(2, &new, Some(&in_grace), None));
        assert!(old.may_rotate(2, &TokenRecord { created_at: at(1), ..new }, Some(&in_grace), None));
    }
}
