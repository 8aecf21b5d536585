//! The policy of a service: which tokens it allows.

use core::time::Duration;

use super::breach::PolicyBreach;
use super::error::Error;
use super::lifetimes::{Lifetime, Lifetimes};
use super::token_kind::TokenKind;
use crate::words::timestamp::Timestamp;

/// The default maximum of the grace period after a rotation: 30 days.
const MAX_GRACE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The rules of a service for its tokens: lifetimes, live tokens, time without use, and issuing.
///
/// The default policy:
/// - Tokens of persons and services live for 30 days by default and for at most 366 days.
/// - Tokens of agents live for 12 hours by default and for at most 7 days.
/// - Every token expires. There is no limit on how long a token may go unused.
/// - The grace period after a rotation is at most 30 days.
/// - An owner may have any number of live tokens. At most 20 live tokens may be bound to one token.
/// - A bound token cannot issue bound tokens.
///
/// The policy applies when a token is issued and again at each verification. A token outside the
/// current policy is rejected, and works again once the policy allows it. The limits on live tokens
/// apply only when a token is issued. The limit on the grace period applies only to a rotation.
///
/// ```
/// use core::time::Duration;
/// use keyfob::{Policy, TokenKind, policy::Lifetimes};
///
/// const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// let human = Lifetimes { max: 90 * DAY, ..Lifetimes::default() };
/// let policy = Policy::default()
///     .with_lifetimes(TokenKind::Human, human)
///     .with_most_live_per_owner(50)
///     .with_max_unused(180 * DAY);
/// assert_eq!(policy.lifetimes(TokenKind::Service).max, 366 * DAY);
/// ```
///
/// With the feature `serde`, a policy can be part of a configuration file. Fields that are left out
/// keep their defaults: `{"human": {"max_seconds": 7776000, "never_expiring": true},
/// "most_live_per_owner": 50, "max_unused_seconds": 15552000}`.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct Policy {
    human: Lifetimes,
    service: Lifetimes,
    #[cfg_attr(feature = "serde", serde(deserialize_with = "super::lifetimes::of_agents"))]
    agent: Lifetimes,
    most_live_per_owner: Option<u64>,
    most_live_per_issuer: u64,
    max_depth: u8,
    #[cfg_attr(feature = "serde", serde(rename = "max_unused_seconds", with = "super::seconds::or_none"))]
    max_unused: Option<Duration>,
    #[cfg_attr(feature = "serde", serde(rename = "max_grace_seconds", with = "super::seconds"))]
    max_grace: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            human: Lifetimes::default(),
            service: Lifetimes::default(),
            agent: Lifetimes::AGENT,
            most_live_per_owner: None,
            most_live_per_issuer: 20,
            max_depth: 1,
            max_unused: None,
            max_grace: MAX_GRACE,
        }
    }
}

impl Policy {
    /// The maximum value for [`with_max_depth`](Self::with_max_depth): 4.
    pub const MAX_DEPTH: u8 = 4;

    /// Sets the allowed and the default lifetimes of tokens of one kind.
    #[must_use]
    pub fn with_lifetimes(self, kind: TokenKind, lifetimes: Lifetimes) -> Self {
        match kind {
            TokenKind::Human => Self { human: lifetimes, ..self },
            TokenKind::Service => Self { service: lifetimes, ..self },
            TokenKind::Agent => Self { agent: lifetimes, ..self },
        }
    }

    /// Sets the default lifetime of tokens of persons and services.
    #[must_use]
    pub fn with_default_lifetime(self, default: Duration) -> Self {
        self.with_both(|lifetimes| lifetimes.default = default)
    }

    /// Sets the maximum lifetime of tokens of persons and services.
    #[must_use]
    pub fn with_max_lifetime(self, max: Duration) -> Self {
        self.with_both(|lifetimes| lifetimes.max = max)
    }

    /// Sets whether a token of a person or a service may never expire.
    #[must_use]
    pub fn with_never_expiring(self, never_expiring: bool) -> Self {
        self.with_both(|lifetimes| lifetimes.never_expiring = never_expiring)
    }

    fn with_both(mut self, change: impl Fn(&mut Lifetimes)) -> Self {
        change(&mut self.human);
        change(&mut self.service);
        self
    }

    /// Sets the maximum number of live tokens of an owner in one project. The store enforces this
    /// limit at each insert. Bound tokens have a [separate limit](Self::with_most_live_per_issuer).
    #[must_use]
    pub fn with_most_live_per_owner(self, most: u64) -> Self {
        Self { most_live_per_owner: Some(most), ..self }
    }

    /// Sets the maximum number of live tokens that are bound to one token, 20 by default. A rotated
    /// token and its successor each have a separate limit.
    #[must_use]
    pub fn with_most_live_per_issuer(self, most: u64) -> Self {
        Self { most_live_per_issuer: most, ..self }
    }

    /// Sets the maximum number of issuers in the chain of a bound token, up to
    /// [4](Self::MAX_DEPTH). With 1, the default, a bound token cannot issue bound tokens. With 0,
    /// every bound token is rejected. A number above 4 counts as 4.
    #[must_use]
    pub fn with_max_depth(self, max_depth: u8) -> Self {
        Self { max_depth: max_depth.min(Self::MAX_DEPTH), ..self }
    }

    /// Sets the maximum time for which a token may go unused, counted from its creation, its
    /// `not_before` or its last use, whichever is latest. [`Tokens`](crate::Tokens) applies this
    /// limit only if it records last uses: see [`Tokens::with_usage`](crate::Tokens::with_usage).
    ///
    /// The recorded last use can be outdated. So [`Tokens`](crate::Tokens) also counts uses that it
    /// has not written yet, and waits another [`Usage::lag`](crate::tokens::Usage::lag) for uses in
    /// other processes before it rejects a token. [`check`](crate::check()),
    /// [`breach`](Self::breach) and [`outside_from`](Self::outside_from) use only the record.
    #[must_use]
    pub fn with_max_unused(self, max_unused: Duration) -> Self {
        Self { max_unused: Some(max_unused), ..self }
    }

    /// Sets the maximum grace period of a rotation, 30 days by default.
    #[must_use]
    pub fn with_max_grace(self, max_grace: Duration) -> Self {
        Self { max_grace, ..self }
    }

    /// Returns the allowed and the default lifetimes of tokens of a kind.
    pub fn lifetimes(&self, kind: TokenKind) -> &Lifetimes {
        match kind {
            TokenKind::Human => &self.human,
            TokenKind::Service => &self.service,
            TokenKind::Agent => &self.agent,
        }
    }

    /// Returns the maximum number of live tokens of an owner in one project. `None` means no limit.
    pub fn most_live_per_owner(&self) -> Option<u64> {
        self.most_live_per_owner
    }

    /// Returns the maximum number of live tokens that are bound to one token.
    pub fn most_live_per_issuer(&self) -> u64 {
        self.most_live_per_issuer
    }

    /// Returns the maximum number of issuers in the chain of a bound token.
    pub fn max_depth(&self) -> usize {
        usize::from(self.max_depth.min(Self::MAX_DEPTH))
    }

    /// Returns the maximum time for which a token may go unused. `None` means no limit.
    pub fn max_unused(&self) -> Option<Duration> {
        self.max_unused
    }

    /// Returns the maximum grace period of a rotation.
    pub fn max_grace(&self) -> Duration {
        self.max_grace
    }

    /// Returns the time at which a grace period of length `grace` ends if it starts at `now`.
    ///
    /// # Errors
    /// Returns [`PolicyBreach::GraceTooLong`] if `grace` exceeds [`max_grace`](Self::max_grace).
    pub(super) fn grace_until(&self, grace: Duration, now: Timestamp) -> Result<Timestamp, Error> {
        if grace > self.max_grace {
            return Err(Error::beyond(PolicyBreach::GraceTooLong, self.max_grace));
        }
        Ok(now.saturating_add(grace))
    }

    /// Returns a copy of the policy without [`max_unused`](Self::max_unused).
    pub(crate) fn without_max_unused(&self) -> Self {
        Self { max_unused: None, ..self.clone() }
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
            Lifetime::For(lifetime) => told(Some(lifetime)).map(|()| now.checked_add(lifetime))?,
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

    #[cfg(feature = "serde")]
    #[test]
    fn a_policy_is_read_from_a_configuration_file() {
        let text = r#"{"human": {"max_seconds": 7776000, "never_expiring": true}, "max_unused_seconds": 864000}"#;
        let policy: Policy = serde_json::from_str(text).unwrap();
        let human = Lifetimes { max: 90 * DAY, never_expiring: true, ..Lifetimes::default() };
        assert_eq!(policy, Policy::default().with_lifetimes(TokenKind::Human, human).with_max_unused(10 * DAY));
        let written = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<Policy>(&written).unwrap(), policy);
        assert_eq!(serde_json::from_str::<Policy>("{}").unwrap(), Policy::default());
        let grace: Policy = serde_json::from_str(r#"{"max_grace_seconds": 3600}"#).unwrap();
        assert_eq!(grace, Policy::default().with_max_grace(3_600_000 * MS));
        for bad in [r#"{"humans": {}}"#, r#"{"human": {"max_seconds": -1}}"#, r#"{"human": {"max": 1}}"#] {
            assert!(serde_json::from_str::<Policy>(bad).is_err(), "{bad}");
        }
    }
}
