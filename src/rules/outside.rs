//! The rules that decide whether an existing token is outside the policy.

use core::time::Duration;

use super::breach::PolicyBreach;
use super::chain::Chain;
use super::policy::Policy;
use super::record::TokenRecord;
use super::token_kind::TokenKind;
use super::view::TokenView;
use crate::words::timestamp::Timestamp;

/// Uses of a token that its record may not show yet.
#[derive(Default)]
pub(crate) struct LaterUses {
    /// The time of the latest use that this process has noted, or `None` if it has noted no use.
    /// The use may not be in the store yet.
    pub(crate) noted: Option<Timestamp>,
    /// The maximum time until a use in another process appears in the record.
    pub(crate) lag: Duration,
}

impl Policy {
    /// Returns the time at which an existing token begins to break this policy, and how the token
    /// breaks it. Returns `None` if the token never breaks the policy as long as its record does
    /// not change.
    ///
    /// If the policy does not allow the lifetime of the token, the time is the creation of the
    /// token. Otherwise, it is the time at which the token will have been unused for too long.
    pub fn outside_from(&self, record: &TokenRecord) -> Option<(Timestamp, PolicyBreach)> {
        match self.lifetime_breach(record) {
            Some(breach) => Some((record.created_at, breach)),
            None => Some((self.unused_from(record)?, PolicyBreach::Unused)),
        }
    }

    /// Returns the time at which a token begins to break this policy, and how the token breaks it.
    /// Unlike [`outside_from`](Self::outside_from), this method also checks the lifetimes of the
    /// token's issuers and the length of the chain. If the policy does not allow these, the time is
    /// the creation of the token.
    pub(crate) fn chain_outside_from(&self, chain: &Chain) -> Option<(Timestamp, PolicyBreach)> {
        let record = chain.record()?;
        let own = self.outside_from(record);
        let too_long = || {
            let is_too_long = chain.issuers().count() > self.max_depth();
            is_too_long.then_some(PolicyBreach::ChainTooLong)
        };
        let of_issuers = || chain.issuers().find_map(|issuer| self.lifetime_breach(issuer)).or_else(too_long);
        match own {
            Some((from, _)) if from <= record.created_at => own,
            _ => of_issuers().map(|breach| (record.created_at, breach)).or(own),
        }
    }

    /// Returns how an existing token breaks this policy at `now`, or `None` if it does not.
    #[inline]
    pub fn breach(&self, record: &TokenRecord, now: Timestamp) -> Option<PolicyBreach> {
        let unused = || self.unused_from(record).filter(|from| *from <= now).map(|_| PolicyBreach::Unused);
        self.lifetime_breach(record).or_else(unused)
    }

    /// Returns how an existing token breaks this policy at `now`, or `None` if it does not. This
    /// method also counts uses that the record does not show yet. It calls `later` to get these
    /// uses, but only if the token has been unused for too long according to its record.
    #[inline]
    pub(crate) fn breach_with(
        &self,
        record: &TokenRecord,
        now: Timestamp,
        later: impl FnOnce(&TokenRecord) -> LaterUses,
    ) -> Option<PolicyBreach> {
        let breach = self.breach(record, now)?;
        if let (PolicyBreach::Unused, Some(most)) = (breach, self.max_unused()) {
            let LaterUses { noted, lag } = later(record);
            let last = noted.map_or(Self::counted_from(record), |noted| noted.max(Self::counted_from(record)));
            if now.saturating_since(last) < most.saturating_add(lag) {
                return None;
            }
        }
        Some(breach)
    }

    #[inline]
    pub(super) fn lifetime_breach(&self, record: &TokenRecord) -> Option<PolicyBreach> {
        self.breach_of_lifetime(record.kind, record.created_at, record.expires_at)
    }

    #[inline]
    fn breach_of_lifetime(
        &self,
        kind: TokenKind,
        created_at: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Option<PolicyBreach> {
        self.lifetimes(kind).breach(expires_at.map(|end| end.saturating_since(created_at)))
    }

    fn unused_from(&self, record: &TokenRecord) -> Option<Timestamp> {
        Self::counted_from(record).checked_add(self.max_unused()?)
    }

    fn counted_from(record: &TokenRecord) -> Timestamp {
        last_of(record.created_at, record.not_before, record.last_used_at)
    }
}

impl TokenView {
    /// Returns how the token breaks a policy at `now`, or `None` if it does not.
    /// [`Tokens::verify`](crate::Tokens::verify) rejects a token that breaks the policy of the
    /// service, although its [`status`](Self::status) is active. The issuers of the token are not
    /// checked here: the status shows whether they work.
    ///
    /// The view shows the last use that the store holds. To take later uses into account, call
    /// [`Tokens::flush_usage`](crate::Tokens::flush_usage) before you read the view.
    pub fn breach(&self, policy: &Policy, now: Timestamp) -> Option<PolicyBreach> {
        let used_or_begun = last_of(self.created_at, self.not_before, self.last_used_at);
        let unused = || {
            let from = used_or_begun.checked_add(policy.max_unused()?)?;
            (from <= now).then_some(PolicyBreach::Unused)
        };
        policy.breach_of_lifetime(self.kind, self.created_at, self.expires_at).or_else(unused)
    }
}

fn last_of(created_at: Timestamp, not_before: Option<Timestamp>, last_used_at: Option<Timestamp>) -> Timestamp {
    [not_before, last_used_at].into_iter().flatten().fold(created_at, Ord::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::sample::{DAY, MS, at, record};

    fn unused() -> Policy {
        Policy::default().with_max_unused(DAY)
    }

    /// Returns the record of a token with these times, each given in days after `at(0)`.
    fn used(created: u32, not_before: Option<u32>, last_used: Option<u32>) -> TokenRecord {
        let day = |days: u32| at(0).saturating_add(days * DAY);
        let expires_at = Some(day(created + 30));
        let (created_at, not_before, last_used_at) = (day(created), not_before.map(day), last_used.map(day));
        TokenRecord { created_at, not_before, last_used_at, expires_at, ..record() }
    }

    #[test]
    fn a_view_breaks_a_policy_as_its_record_does() {
        let never = TokenRecord { expires_at: None, ..record() };
        let records = [used(0, None, None), used(0, Some(2), None), used(0, None, Some(3)), never];
        for policy in [Policy::default(), unused(), Policy::default().with_max_lifetime(10 * DAY)] {
            for now in [at(0).saturating_add(DAY).saturating_sub(MS), at(0).saturating_add(DAY)] {
                for record in &records {
                    assert_eq!(record.view(now).breach(&policy, now), policy.breach(record, now), "{record:?}");
                }
            }
        }
    }

    #[test]
    fn a_token_is_unused_once_the_longest_time_has_passed() {
        let (policy, record) = (unused(), used(0, None, None));
        let from = at(0).saturating_add(DAY);
        assert_eq!(policy.breach(&record, from.saturating_sub(MS)), None);
        assert_eq!(policy.breach(&record, from), Some(PolicyBreach::Unused));
        assert_eq!(policy.breach(&record, from.saturating_add(MS)), Some(PolicyBreach::Unused));
        assert_eq!(Policy::default().breach(&record, from), None, "the default policy has no such limit");
    }

    #[test]
    fn disuse_counts_from_the_latest_of_creation_not_before_and_last_use() {
        for (created, not_before, last_used, counted) in
            [(3, Some(1), Some(2), 3), (1, Some(3), Some(2), 3), (1, Some(2), Some(3), 3), (1, None, None, 1)]
        {
            let from = at(0).saturating_add((counted + 1) * DAY);
            let record = used(created, not_before, last_used);
            assert_eq!(unused().outside_from(&record), Some((from, PolicyBreach::Unused)));
        }
    }

    #[test]
    fn a_breach_of_the_lifetime_counts_from_the_creation() {
        let long = TokenRecord { expires_at: Some(at(-1000).saturating_add(366 * DAY + MS)), ..record() };
        let policy = unused();
        assert_eq!(policy.outside_from(&long), Some((long.created_at, PolicyBreach::TooLong)));
        assert_eq!(policy.breach(&long, at(0)), Some(PolicyBreach::TooLong));
        let allowed = TokenRecord { expires_at: Some(at(-1000).saturating_add(366 * DAY)), ..record() };
        assert_eq!(Policy::default().outside_from(&allowed), None);
        assert_eq!(Policy::default().breach(&allowed, at(0)), None);
    }

    #[test]
    fn a_use_that_is_not_written_yet_keeps_a_token_inside() {
        let (policy, record) = (unused(), used(0, None, None));
        let outside = at(0).saturating_add(DAY);
        let judged = |noted: Option<Timestamp>, lag: Duration, now: Timestamp| {
            policy.breach_with(&record, now, |_| LaterUses { noted, lag })
        };
        assert_eq!(judged(None, Duration::ZERO, outside), Some(PolicyBreach::Unused));
        assert_eq!(judged(Some(at(0).saturating_sub(MS)), Duration::ZERO, outside), Some(PolicyBreach::Unused));
        assert_eq!(judged(Some(at(1)), Duration::ZERO, outside), None);
        assert_eq!(judged(Some(at(1)), Duration::ZERO, outside.saturating_add(MS)), Some(PolicyBreach::Unused));
        assert_eq!(judged(None, MS, outside), None);
        assert_eq!(judged(None, MS, outside.saturating_add(MS)), Some(PolicyBreach::Unused));
        assert_eq!(judged(None, Duration::MAX, Timestamp::MAX), None);
    }

    #[test]
    fn later_uses_are_read_only_if_the_token_looks_unused() {
        let record = used(0, None, None);
        let asked = |policy: &Policy, record: &TokenRecord, now: Timestamp| {
            let mut asked = false;
            let breach = policy.breach_with(record, now, |_| {
                asked = true;
                LaterUses { noted: None, lag: Duration::MAX }
            });
            (asked, breach)
        };
        assert_eq!(asked(&unused(), &record, at(0)), (false, None));
        assert_eq!(asked(&unused(), &record, at(0).saturating_add(DAY)), (true, None));
        let never = TokenRecord { expires_at: None, ..record };
        let late = at(0).saturating_add(DAY);
        // A later use removes only the breach `Unused`, no other breach.
        let breach = unused().breach_with(&never, late, |_| LaterUses { noted: Some(late), lag: Duration::MAX });
        assert_eq!(breach, Some(PolicyBreach::NeverExpires));
    }
}
