//! The times at which a policy lets new tokens and grace periods end.

use core::time::Duration;

use super::breach::PolicyBreach;
use super::error::Error;
use super::lifetimes::Lifetime;
use super::policy::Policy;
use super::token_kind::TokenKind;
use crate::words::timestamp::{Timestamp, whole_millis};

impl Policy {
    /// Returns the time at which a grace period of length `grace` ends if it starts at `now`.
    ///
    /// # Errors
    /// Returns [`PolicyBreach::GraceTooLong`] if `grace` exceeds [`max_grace`](Self::max_grace).
    pub(super) fn grace_until(&self, grace: Duration, now: Timestamp) -> Result<Timestamp, Error> {
        if whole_millis(grace) > self.max_grace() {
            return Err(Error::beyond(PolicyBreach::GraceTooLong, self.max_grace()));
        }
        Ok(now.saturating_add(grace))
    }

    /// Returns the expiry of a token of this kind that is issued at `now`. `None` means no expiry.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Policy`](crate::ErrorKind::Policy) if the policy does not allow the
    /// lifetime, or if the expiry is not after `now` or is after the year 9999.
    pub fn expiry(&self, kind: TokenKind, lifetime: Lifetime, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        let lifetimes = self.lifetimes(kind);
        let told = |lifetime: Option<Duration>| match lifetimes.breach(lifetime) {
            Some(breach @ PolicyBreach::TooShort) => Err(Error::beyond(breach, lifetimes.min)),
            Some(breach @ PolicyBreach::TooLong) => Err(Error::beyond(breach, lifetimes.max)),
            Some(breach) => Err(breach.into()),
            None => Ok(()),
        };
        let expires_at = match lifetime {
            Lifetime::Never => return told(None).map(|()| None),
            Lifetime::Default => now.checked_add(lifetimes.nearest(lifetimes.default)),
            Lifetime::For(lifetime) if lifetime.is_zero() => return Err(PolicyBreach::NoLifetime.into()),
            // Checked before the addition, so that an error for a long lifetime contains the limit.
            Lifetime::For(lifetime) => {
                let lifetime = whole_millis(lifetime);
                told(Some(lifetime)).map(|()| now.checked_add(lifetime))?
            }
            Lifetime::Until(time) => Some(time),
        };
        let expires_at = expires_at.ok_or(PolicyBreach::PastEndOfTime)?;
        if expires_at <= now {
            return Err(PolicyBreach::NoLifetime.into());
        }
        told(Some(expires_at.saturating_since(now)))?;
        Ok(Some(expires_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::error_kind::ErrorKind;
    use crate::rules::lifetimes::Lifetimes;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    const MS: Duration = Duration::from_millis(1);

    /// The kind of an error, and the limit that its message shows. `None` if it shows no limit.
    type Refused = (ErrorKind, Option<Duration>);

    fn of<T>(answer: Result<T, Error>) -> Result<T, Refused> {
        answer.map_err(|error| (error.kind(), error.bound()))
    }

    fn refused<T>(breach: PolicyBreach, bound: Option<Duration>) -> Result<T, Refused> {
        Err((ErrorKind::Policy(breach), bound))
    }

    fn days(days: u32) -> Option<Timestamp> {
        NOW.checked_add(days * DAY)
    }

    #[test]
    fn a_lifetime_is_allowed_up_to_each_bound() {
        let policy = Policy::default();
        let too_long = refused(PolicyBreach::TooLong, Some(366 * DAY));
        let none = refused(PolicyBreach::NoLifetime, None);
        let expiry = |lifetime| of(policy.expiry(TokenKind::Human, lifetime, NOW));
        assert_eq!(expiry(Lifetime::Default), Ok(days(30)));
        assert_eq!(expiry(Lifetime::For(366 * DAY)), Ok(days(366)));
        assert_eq!(expiry(Lifetime::For(366 * DAY + MS)), too_long);
        assert_eq!(expiry(Lifetime::For(Duration::MAX)), too_long);
        assert_eq!(expiry(Lifetime::For(MS)), Ok(NOW.checked_add(MS)));
        assert_eq!(expiry(Lifetime::For(Duration::ZERO)), none);
        assert_eq!(expiry(Lifetime::Until(NOW)), none);
        assert_eq!(expiry(Lifetime::Until(NOW.saturating_sub(MS))), none);
        assert_eq!(expiry(Lifetime::Until(days(366).unwrap())), Ok(days(366)));
        assert_eq!(expiry(Lifetime::Until(Timestamp::MAX)), too_long);
        assert_eq!(expiry(Lifetime::Never), refused(PolicyBreach::NeverExpires, None));
        assert_eq!(
            of(policy.clone().with_never_expiring(true).expiry(TokenKind::Human, Lifetime::Never, NOW)),
            Ok(None)
        );
    }

    #[test]
    fn an_expiry_after_the_year_9999_is_refused() {
        let policy = Policy::default().with_max_lifetime(Duration::MAX);
        for lifetime in [Lifetime::Default, Lifetime::For(MS), Lifetime::For(Duration::MAX)] {
            let expiry = policy.expiry(TokenKind::Human, lifetime, Timestamp::MAX);
            assert_eq!(of(expiry), refused(PolicyBreach::PastEndOfTime, None));
        }
    }

    #[test]
    fn the_default_never_exceeds_the_maximum() {
        let policy = Policy::default().with_max_lifetime(DAY);
        assert_eq!(of(policy.expiry(TokenKind::Human, Lifetime::Default, NOW)), Ok(days(1)));
    }

    #[test]
    fn errors_say_what_is_allowed() {
        let beyond = |breach, bound| Error::beyond(breach, bound).to_string();
        let text = |breach: PolicyBreach| Error::from(breach).to_string();
        assert_eq!(beyond(PolicyBreach::TooLong, 366 * DAY), "a token may live for at most 366 days");
        assert_eq!(beyond(PolicyBreach::TooLong, 60_000 * MS), "a token may live for at most 60 seconds");
        assert_eq!(text(PolicyBreach::NeverExpires), "a token must expire");
        assert_eq!(text(PolicyBreach::NoLifetime), "a token must not end before it begins");
        assert_eq!(text(PolicyBreach::PastEndOfTime), "a token must end before the year 10000");
        let grace = beyond(PolicyBreach::GraceTooLong, 30 * DAY);
        assert_eq!(grace, "a token may work after its rotation for at most 30 days");
    }

    #[test]
    fn each_kind_has_lifetimes_of_its_own() {
        let hours = Lifetimes { default: DAY, min: DAY / 2, max: 2 * DAY, never_expiring: true };
        let policy = Policy::default().with_lifetimes(TokenKind::Service, hours);
        let expiry = |kind, lifetime| of(policy.expiry(kind, lifetime, NOW));
        assert_eq!(expiry(TokenKind::Service, Lifetime::Never), Ok(None));
        assert_eq!(expiry(TokenKind::Human, Lifetime::Never), refused(PolicyBreach::NeverExpires, None));
        assert_eq!(expiry(TokenKind::Service, Lifetime::Default), Ok(days(1)));
        assert_eq!(expiry(TokenKind::Service, Lifetime::For(DAY / 2)), Ok(NOW.checked_add(DAY / 2)));
        let short = refused(PolicyBreach::TooShort, Some(DAY / 2));
        assert_eq!(expiry(TokenKind::Service, Lifetime::For(DAY / 2 - MS)), short);
        assert_eq!(expiry(TokenKind::Service, Lifetime::Until(NOW.checked_add(MS).unwrap())), short);
        assert_eq!(expiry(TokenKind::Human, Lifetime::For(3 * DAY)), Ok(days(3)));
    }

    #[test]
    fn a_grace_at_its_bound_is_allowed_and_a_longer_one_refused() {
        let policy = Policy::default();
        let too_long = refused(PolicyBreach::GraceTooLong, Some(30 * DAY));
        assert_eq!(of(policy.grace_until(30 * DAY, NOW)), Ok(days(30).unwrap()));
        assert_eq!(of(policy.grace_until(30 * DAY + MS, NOW)), too_long);
        assert_eq!(of(policy.grace_until(Duration::MAX, NOW)), too_long);
        assert_eq!(of(policy.with_max_grace(Duration::MAX).grace_until(Duration::MAX, NOW)), Ok(Timestamp::MAX));
    }

    #[test]
    fn durations_below_a_millisecond_are_rounded_up_before_they_are_compared() {
        let nanos = Duration::from_nanos;
        let policy = Policy::default().with_max_lifetime(nanos(2_500_000)).with_max_grace(nanos(2_500_000));
        assert_eq!((policy.lifetimes(TokenKind::Human).max, policy.max_grace()), (3 * MS, 3 * MS));
        let ends = |lifetime| of(policy.expiry(TokenKind::Human, Lifetime::For(lifetime), NOW));
        let grace = |grace| of(policy.grace_until(grace, NOW));
        let after = |millis: u32| NOW.checked_add(millis * MS).unwrap();
        for (given, end) in [(1, 1), (999_999, 1), (1_000_000, 1), (1_000_001, 2), (2_500_000, 3), (3_000_000, 3)] {
            assert_eq!(ends(nanos(given)), Ok(Some(after(end))), "{given}");
            assert_eq!(grace(nanos(given)), Ok(after(end)), "{given}");
        }
        assert_eq!(ends(Duration::ZERO), refused(PolicyBreach::NoLifetime, None), "zero stays zero");
        assert_eq!(grace(Duration::ZERO), Ok(NOW), "a grace of zero ends immediately");
        assert_eq!(ends(nanos(3_000_001)), refused(PolicyBreach::TooLong, Some(3 * MS)));
        assert_eq!(grace(nanos(3_000_001)), refused(PolicyBreach::GraceTooLong, Some(3 * MS)));
        let least = Lifetimes { min: nanos(1_500_000), default: nanos(1), ..Lifetimes::default() };
        let policy = Policy::default().with_lifetimes(TokenKind::Human, least);
        let ends = |lifetime| of(policy.expiry(TokenKind::Human, lifetime, NOW));
        assert_eq!(ends(Lifetime::For(nanos(1_000_001))), Ok(Some(after(2))));
        assert_eq!(ends(Lifetime::For(nanos(1_000_000))), refused(PolicyBreach::TooShort, Some(2 * MS)));
        assert_eq!(ends(Lifetime::Default), Ok(Some(after(2))), "the default is not below the minimum");
        let shortest = Policy::default().with_default_lifetime(nanos(1));
        assert_eq!(of(shortest.expiry(TokenKind::Human, Lifetime::Default, NOW)), Ok(Some(after(1))));
    }
}
