//! What tokens a service allows.

use core::time::Duration;

use super::breach::PolicyBreach;
use super::error::Error;
use super::record::{TokenKind, TokenRecord};
use crate::words::timestamp::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest grace of a rotated token unless the policy says otherwise.
const MAX_GRACE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What tokens a service allows, as data: how long the tokens of persons and of services may live, how many an
/// owner may have, and how long one may lie unused.
///
/// The default: 30 days if nobody says otherwise, at most 366, none that never expires, a grace of at most 30 days after a
/// rotation, as many as one likes, used or not.
///
/// It is asked when a token is made, and again at each check: a token outside today's policy is refused, not destroyed,
/// and works again once the policy allows it. Only the number of live tokens is asked at issue alone, and the grace at rotation alone.
///
/// ```
/// use core::time::Duration;
/// use keyfob::{Policy, TokenKind, policy::Lifetimes};
///
/// const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// let policy = Policy::default()
///     .with_lifetimes(TokenKind::Human, Lifetimes { max: 90 * DAY, ..Lifetimes::default() })
///     .with_most_live_per_owner(50)
///     .with_max_unused(180 * DAY);
/// assert_eq!(policy.lifetimes(TokenKind::Service).max, 366 * DAY);
/// ```
///
/// With the feature `serde`, it can stand in a configuration file; what is left out is as by default:
/// `{"human": {"max_seconds": 7776000, "never_expiring": true}, "most_live_per_owner": 50, "max_unused_seconds": 15552000}`.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct Policy {
    human: Lifetimes,
    service: Lifetimes,
    most_live_per_owner: Option<u64>,
    #[cfg_attr(feature = "serde", serde(rename = "max_unused_seconds", with = "in_seconds_or_none"))]
    max_unused: Option<Duration>,
    #[cfg_attr(feature = "serde", serde(rename = "max_grace_seconds", with = "in_seconds"))]
    max_grace: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            human: Lifetimes::default(),
            service: Lifetimes::default(),
            most_live_per_owner: None,
            max_unused: None,
            max_grace: MAX_GRACE,
        }
    }
}

/// How long tokens of one kind may live. A bound itself is allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct Lifetimes {
    /// The lifetime of a token that asks for none; where it lies outside the bounds, the nearer bound counts. 30 days.
    #[cfg_attr(feature = "serde", serde(rename = "default_seconds", with = "in_seconds"))]
    pub default: Duration,
    /// The shortest, from creation to expiry. Any, down to a millisecond.
    #[cfg_attr(feature = "serde", serde(rename = "min_seconds", with = "in_seconds"))]
    pub min: Duration,
    /// The longest, from creation to expiry. 366 days.
    #[cfg_attr(feature = "serde", serde(rename = "max_seconds", with = "in_seconds"))]
    pub max: Duration,
    /// Whether a token may never expire. No.
    pub never_expiring: bool,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { default: 30 * DAY, min: Duration::ZERO, max: 366 * DAY, never_expiring: false }
    }
}

impl Lifetimes {
    /// The lifetime within the bounds that is nearest to this one. Where the bounds contradict, the longest counts.
    pub fn nearest(&self, lifetime: Duration) -> Duration {
        lifetime.max(self.min).min(self.max)
    }

    /// What a token of this lifetime breaches; `None` stands for never.
    fn breach(&self, lifetime: Option<Duration>) -> Option<PolicyBreach> {
        match lifetime {
            None if self.never_expiring => None,
            None => Some(PolicyBreach::NeverExpires),
            Some(lifetime) if lifetime > self.max => Some(PolicyBreach::TooLong),
            Some(lifetime) if lifetime < self.min => Some(PolicyBreach::TooShort),
            Some(_) => None,
        }
    }
}

/// How long a new token shall live.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Lifetime {
    /// As long as the policy says by default.
    #[default]
    Default,
    /// This long from now.
    For(Duration),
    /// Until this time.
    Until(Timestamp),
    /// For ever, where the policy allows it.
    Never,
}

impl Policy {
    /// How long tokens of one kind may live.
    #[must_use]
    pub fn with_lifetimes(self, kind: TokenKind, lifetimes: Lifetimes) -> Self {
        match kind {
            TokenKind::Human => Self { human: lifetimes, ..self },
            TokenKind::Service => Self { service: lifetimes, ..self },
        }
    }

    /// The same default for both kinds.
    #[must_use]
    pub fn with_default_lifetime(self, default: Duration) -> Self {
        self.with_both(|lifetimes| lifetimes.default = default)
    }

    /// The same longest lifetime for both kinds.
    #[must_use]
    pub fn with_max_lifetime(self, max: Duration) -> Self {
        self.with_both(|lifetimes| lifetimes.max = max)
    }

    /// Whether a token of either kind may never expire.
    #[must_use]
    pub fn with_never_expiring(self, never_expiring: bool) -> Self {
        self.with_both(|lifetimes| lifetimes.never_expiring = never_expiring)
    }

    fn with_both(mut self, change: impl Fn(&mut Lifetimes)) -> Self {
        change(&mut self.human);
        change(&mut self.service);
        self
    }

    /// At most this many live tokens of one owner in one project, held by the store in the act of inserting.
    #[must_use]
    pub fn with_most_live_per_owner(self, most: u64) -> Self {
        Self { most_live_per_owner: Some(most), ..self }
    }

    /// Refuses a token that was not used for this long. It counts from the latest of its creation, its `not_before` and its
    /// last use, so last uses must be written: see [`Tokens::with_usage`](crate::Tokens::with_usage), without which
    /// [`Tokens`](crate::Tokens) leaves this rule out.
    ///
    /// A record may lie behind: a token that is in use must not be refused because its latest use is not written yet. So
    /// [`Tokens`](crate::Tokens) counts the uses that it has noted itself as well, and refuses the token only
    /// [`Usage::lag`](crate::tokens::Usage::lag) later, which covers uses that other processes have noted.
    /// [`check`](crate::check()), [`breach`](Self::breach) and [`outside_from`](Self::outside_from) judge by the record alone.
    #[must_use]
    pub fn with_max_unused(self, max_unused: Duration) -> Self {
        Self { max_unused: Some(max_unused), ..self }
    }

    /// Sets the longest grace period that a rotation may give the old token, 30 days unless it is set. A rotation that asks
    /// for a longer one is refused.
    #[must_use]
    pub fn with_max_grace(self, max_grace: Duration) -> Self {
        Self { max_grace, ..self }
    }

    /// How long tokens of a kind may live.
    pub fn lifetimes(&self, kind: TokenKind) -> &Lifetimes {
        match kind {
            TokenKind::Human => &self.human,
            TokenKind::Service => &self.service,
        }
    }

    /// The most live tokens of one owner in one project.
    pub fn most_live_per_owner(&self) -> Option<u64> {
        self.most_live_per_owner
    }

    /// How long a token may lie unused.
    pub fn max_unused(&self) -> Option<Duration> {
        self.max_unused
    }

    /// Returns the longest grace period that a rotation may give the old token.
    pub fn max_grace(&self) -> Duration {
        self.max_grace
    }

    /// Returns when the grace of a token that is rotated now ends, if nothing ends it sooner.
    ///
    /// # Errors
    /// Returns [`PolicyBreach::GraceTooLong`] if the grace exceeds [`max_grace`](Self::max_grace).
    pub(super) fn grace_until(&self, grace: Duration, now: Timestamp) -> Result<Timestamp, Error> {
        if grace > self.max_grace {
            return Err(Error::beyond(PolicyBreach::GraceTooLong, self.max_grace));
        }
        Ok(now.saturating_add(grace))
    }

    /// The policy without the rule on disuse, for where last uses are not written.
    pub(crate) fn without_max_unused(&self) -> Self {
        Self { max_unused: None, ..self.clone() }
    }

    /// When a token of this kind made now will expire.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Policy`](crate::ErrorKind::Policy) if the policy, or the end of the year 9999, does not allow it.
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
            // Asked first, so that a lifetime past year 9999 is told the true limit.
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

    /// From when on a token that exists is outside this policy if nothing changes, and by what: its creation, or, where only
    /// disuse puts it outside, the time at which it will have been unused for too long. `None` where it stays inside.
    pub fn outside_from(&self, record: &TokenRecord) -> Option<(Timestamp, PolicyBreach)> {
        match self.lifetime_breach(record) {
            Some(breach) => Some((record.created_at, breach)),
            None => Some((self.unused_from(record)?, PolicyBreach::Unused)),
        }
    }

    /// What puts a token that exists outside this policy at `now`.
    pub fn breach(&self, record: &TokenRecord, now: Timestamp) -> Option<PolicyBreach> {
        let unused = || self.unused_from(record).filter(|from| *from <= now).map(|_| PolicyBreach::Unused);
        self.lifetime_breach(record).or_else(unused)
    }

    /// The same, where uses may be known that are not in the record. They are asked for only if it looks unused.
    pub(crate) fn breach_with(
        &self,
        record: &TokenRecord,
        now: Timestamp,
        later: impl FnOnce(&TokenRecord) -> LaterUses,
    ) -> Option<PolicyBreach> {
        let breach = self.breach(record, now)?;
        if let (PolicyBreach::Unused, Some(most)) = (breach, self.max_unused) {
            let LaterUses { noted, lag } = later(record);
            let last = noted.map_or(Self::counted_from(record), |noted| noted.max(Self::counted_from(record)));
            if now.saturating_since(last) < most.saturating_add(lag) {
                return None;
            }
        }
        Some(breach)
    }

    fn lifetime_breach(&self, record: &TokenRecord) -> Option<PolicyBreach> {
        let lifetime = record.expires_at.map(|end| end.saturating_since(record.created_at));
        self.lifetimes(record.kind).breach(lifetime)
    }

    fn unused_from(&self, record: &TokenRecord) -> Option<Timestamp> {
        Self::counted_from(record).checked_add(self.max_unused?)
    }

    fn counted_from(record: &TokenRecord) -> Timestamp {
        [record.not_before, record.last_used_at].into_iter().flatten().fold(record.created_at, Ord::max)
    }
}

/// What may be known of a token's uses beyond its record.
#[derive(Default)]
pub(crate) struct LaterUses {
    /// A use that is not written yet.
    pub(crate) noted: Option<Timestamp>,
    /// For how long a use elsewhere may not be in the record.
    pub(crate) lag: Duration,
}

/// Durations in whole seconds, as configuration files write them.
#[cfg(feature = "serde")]
mod in_seconds {
    use core::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(duration.as_secs())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_secs)
    }
}

/// The same, where there may be none.
#[cfg(feature = "serde")]
mod in_seconds_or_none {
    use core::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        duration.map(|duration| duration.as_secs()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_secs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::error::ErrorKind;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const MS: Duration = Duration::from_millis(1);

    /// An error as its parts: what the policy does not allow, and the bound.
    fn parts<T>(outcome: Result<T, Error>) -> Result<T, (PolicyBreach, Option<Duration>)> {
        outcome.map_err(|error| match error.kind() {
            ErrorKind::Policy(breach) => (breach, error.bound()),
            other => panic!("{other:?}"),
        })
    }

    fn days(days: u32) -> Option<Timestamp> {
        NOW.checked_add(days * DAY)
    }

    #[test]
    fn lifetimes_at_each_bound() {
        let policy = Policy::default();
        let too_long = Err((PolicyBreach::TooLong, Some(366 * DAY)));
        assert_eq!(parts(policy.expiry(TokenKind::Human, Lifetime::Default, NOW)), Ok(days(30)));
        assert_eq!(parts(policy.expiry(TokenKind::Human, Lifetime::For(366 * DAY), NOW)), Ok(days(366)));
        assert_eq!(parts(policy.expiry(TokenKind::Human, Lifetime::For(366 * DAY + MS), NOW)), too_long);
        assert_eq!(parts(policy.expiry(TokenKind::Human, Lifetime::For(Duration::MAX), NOW)), too_long);
        assert_eq!(parts(policy.expiry(TokenKind::Human, Lifetime::For(MS), NOW)), Ok(NOW.checked_add(MS)));
        assert_eq!(
            parts(policy.expiry(TokenKind::Human, Lifetime::For(Duration::ZERO), NOW)),
            Err((PolicyBreach::NoLifetime, None))
        );
        assert_eq!(
            parts(policy.expiry(TokenKind::Human, Lifetime::Until(NOW), NOW)),
            Err((PolicyBreach::NoLifetime, None))
        );
        assert_eq!(
            parts(policy.expiry(TokenKind::Human, Lifetime::Until(NOW.saturating_sub(MS)), NOW)),
            Err((PolicyBreach::NoLifetime, None))
        );
        assert_eq!(parts(policy.expiry(TokenKind::Human, Lifetime::Until(days(366).unwrap()), NOW)), Ok(days(366)));
        assert_eq!(parts(policy.expiry(TokenKind::Human, Lifetime::Until(Timestamp::MAX), NOW)), too_long);
        assert_eq!(
            parts(policy.expiry(TokenKind::Human, Lifetime::Never, NOW)),
            Err((PolicyBreach::NeverExpires, None))
        );
        assert_eq!(parts(policy.with_never_expiring(true).expiry(TokenKind::Human, Lifetime::Never, NOW)), Ok(None));
    }

    #[test]
    fn now_plus_lifetime_past_the_end_of_time() {
        let policy = Policy::default().with_max_lifetime(Duration::MAX);
        for lifetime in [Lifetime::Default, Lifetime::For(MS), Lifetime::For(Duration::MAX)] {
            assert_eq!(
                parts(policy.expiry(TokenKind::Human, lifetime, Timestamp::MAX)),
                Err((PolicyBreach::PastEndOfTime, None))
            );
        }
    }

    #[test]
    fn the_default_never_exceeds_the_maximum() {
        let policy = Policy::default().with_max_lifetime(DAY);
        assert_eq!(parts(policy.expiry(TokenKind::Human, Lifetime::Default, NOW)), Ok(days(1)));
    }

    #[test]
    fn errors_say_what_is_allowed() {
        let text = |breach, bound| Error::beyond(breach, bound).to_string();
        let unbounded = |breach: PolicyBreach| Error::from(breach).to_string();
        assert_eq!(text(PolicyBreach::TooLong, 366 * DAY), "a token may live for at most 366 days");
        assert_eq!(text(PolicyBreach::TooLong, 60_000 * MS), "a token may live for at most 60 seconds");
        assert_eq!(unbounded(PolicyBreach::NeverExpires), "a token must expire");
        assert_eq!(unbounded(PolicyBreach::NoLifetime), "a token must not end before it begins");
        assert_eq!(unbounded(PolicyBreach::PastEndOfTime), "a token must end before the year 10000");
        let grace = text(PolicyBreach::GraceTooLong, 30 * DAY);
        assert_eq!(grace, "a token may work after its rotation for at most 30 days");
    }

    #[test]
    fn each_kind_has_lifetimes_of_its_own() {
        let hours = Lifetimes { default: DAY, min: DAY / 2, max: 2 * DAY, never_expiring: true };
        let policy = Policy::default().with_lifetimes(TokenKind::Service, hours);
        let expiry = |kind, lifetime| parts(policy.expiry(kind, lifetime, NOW));
        assert_eq!(expiry(TokenKind::Service, Lifetime::Never), Ok(None));
        assert_eq!(expiry(TokenKind::Human, Lifetime::Never), Err((PolicyBreach::NeverExpires, None)));
        assert_eq!(expiry(TokenKind::Service, Lifetime::Default), Ok(days(1)));
        assert_eq!(expiry(TokenKind::Service, Lifetime::For(DAY / 2)), Ok(NOW.checked_add(DAY / 2)));
        let short = Err((PolicyBreach::TooShort, Some(DAY / 2)));
        assert_eq!(expiry(TokenKind::Service, Lifetime::For(DAY / 2 - MS)), short);
        assert_eq!(expiry(TokenKind::Service, Lifetime::Until(NOW.checked_add(MS).unwrap())), short);
        assert_eq!(expiry(TokenKind::Human, Lifetime::For(3 * DAY)), Ok(days(3)));
    }

    #[test]
    fn a_grace_at_its_bound_is_allowed_and_a_longer_one_refused() {
        let policy = Policy::default();
        assert_eq!(parts(policy.grace_until(30 * DAY, NOW)), Ok(days(30).unwrap()));
        let refused = Err((PolicyBreach::GraceTooLong, Some(30 * DAY)));
        assert_eq!(parts(policy.grace_until(30 * DAY + MS, NOW)), refused);
        assert_eq!(parts(policy.grace_until(Duration::MAX, NOW)), refused);
        assert_eq!(parts(policy.with_max_grace(Duration::MAX).grace_until(Duration::MAX, NOW)), Ok(Timestamp::MAX));
    }

    #[test]
    fn a_default_outside_the_bounds_gives_way() {
        let lifetimes = Lifetimes { default: DAY, min: 2 * DAY, ..Lifetimes::default() };
        assert_eq!(lifetimes.nearest(lifetimes.default), 2 * DAY);
        let contradicting = Lifetimes { min: 3 * DAY, max: DAY, ..lifetimes };
        assert_eq!(contradicting.nearest(2 * DAY), DAY);
    }

    #[cfg(feature = "serde")]
    #[test]
    fn as_a_configuration_file_writes_it() {
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
