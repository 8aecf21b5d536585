//! The lifetimes that a policy allows.

use core::time::Duration;

use super::breach::PolicyBreach;
use crate::words::timestamp::{Timestamp, whole_millis};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The lifetimes that a policy allows for tokens of one kind. A lifetime that equals `min` or `max`
/// is allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct Lifetimes {
    /// The lifetime of a token if the request names no lifetime, 30 days by default. If this value
    /// is below `min` or above `max`, the nearer bound applies instead.
    #[cfg_attr(feature = "serde", serde(rename = "default_seconds", with = "super::seconds"))]
    pub default: Duration,
    /// The minimum time from the creation of a token to its expiry. By default, any lifetime above
    /// zero is allowed.
    #[cfg_attr(feature = "serde", serde(rename = "min_seconds", with = "super::seconds"))]
    pub min: Duration,
    /// The maximum time from the creation of a token to its expiry, 366 days by default.
    #[cfg_attr(feature = "serde", serde(rename = "max_seconds", with = "super::seconds"))]
    pub max: Duration,
    /// Whether a token may be issued without an expiry. By default, every token must expire.
    pub never_expiring: bool,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { default: 30 * DAY, min: Duration::ZERO, max: 366 * DAY, never_expiring: false }
    }
}

/// Deserializes the lifetimes of tokens for agents. A field that is left out gets its value from
/// [`Lifetimes::AGENT`].
#[cfg(feature = "serde")]
pub(super) fn of_agents<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Lifetimes, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct OfAgents {
        #[serde(rename = "default_seconds", with = "super::seconds")]
        default: Duration,
        #[serde(rename = "min_seconds", with = "super::seconds")]
        min: Duration,
        #[serde(rename = "max_seconds", with = "super::seconds")]
        max: Duration,
        never_expiring: bool,
    }
    impl Default for OfAgents {
        fn default() -> Self {
            let Lifetimes { default, min, max, never_expiring } = Lifetimes::AGENT;
            Self { default, min, max, never_expiring }
        }
    }
    let OfAgents { default, min, max, never_expiring } = serde::Deserialize::deserialize(deserializer)?;
    Ok(Lifetimes { default, min, max, never_expiring })
}

impl Lifetimes {
    /// The default lifetimes of tokens for agents: 12 hours if the request names no lifetime, and
    /// at most 7 days.
    pub const AGENT: Self = Self {
        default: Duration::from_secs(12 * 60 * 60),
        min: Duration::ZERO,
        max: Duration::from_secs(7 * 24 * 60 * 60),
        never_expiring: false,
    };

    /// Returns these lifetimes with each duration rounded up to whole milliseconds.
    pub(super) fn in_whole_millis(self) -> Self {
        let Self { default, min, max, never_expiring } = self;
        Self { default: whole_millis(default), min: whole_millis(min), max: whole_millis(max), never_expiring }
    }

    /// Returns the allowed lifetime that is nearest to `lifetime`. If `min` exceeds `max`, returns
    /// `max`.
    pub fn nearest(&self, lifetime: Duration) -> Duration {
        lifetime.max(self.min).min(self.max)
    }

    /// Returns how a token with this lifetime breaks the policy, or `None` if it does not. A
    /// `lifetime` of `None` means that the token never expires.
    pub(super) fn breach(&self, lifetime: Option<Duration>) -> Option<PolicyBreach> {
        match lifetime {
            None if self.never_expiring => None,
            None => Some(PolicyBreach::NeverExpires),
            Some(lifetime) if lifetime > self.max => Some(PolicyBreach::TooLong),
            Some(lifetime) if lifetime < self.min => Some(PolicyBreach::TooShort),
            Some(_) => None,
        }
    }
}

/// The requested lifetime of a new token.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Lifetime {
    /// The default lifetime that the policy sets for the kind of token.
    #[default]
    Default,
    /// A lifetime of this duration, which begins when the token is issued. It is rounded up to
    /// whole milliseconds.
    For(Duration),
    /// A lifetime that ends at this time.
    Until(Timestamp),
    /// An unlimited lifetime, if the policy allows tokens that never expire.
    Never,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_bound_itself_is_allowed_and_a_millisecond_beyond_is_not() {
        let lifetimes = Lifetimes { min: DAY, max: 2 * DAY, ..Lifetimes::default() };
        assert_eq!(lifetimes.breach(Some(DAY - MS)), Some(PolicyBreach::TooShort));
        assert_eq!(lifetimes.breach(Some(DAY)), None);
        assert_eq!(lifetimes.breach(Some(2 * DAY)), None);
        assert_eq!(lifetimes.breach(Some(2 * DAY + MS)), Some(PolicyBreach::TooLong));
    }

    #[test]
    fn a_token_without_expiry_is_allowed_only_if_the_policy_says_so() {
        let lifetimes = Lifetimes::default();
        assert_eq!(lifetimes.breach(None), Some(PolicyBreach::NeverExpires));
        assert_eq!(Lifetimes { never_expiring: true, ..lifetimes }.breach(None), None);
    }

    #[test]
    fn contradicting_bounds_are_breached_as_too_long() {
        let lifetimes = Lifetimes { min: 3 * DAY, max: DAY, ..Lifetimes::default() };
        assert_eq!(lifetimes.breach(Some(2 * DAY)), Some(PolicyBreach::TooLong));
        assert_eq!(lifetimes.nearest(2 * DAY), DAY);
    }

    #[test]
    fn the_nearest_lifetime_is_the_same_within_the_bounds_and_the_bound_beyond() {
        let lifetimes = Lifetimes { min: DAY, max: 3 * DAY, ..Lifetimes::default() };
        for (given, nearest) in
            [(DAY - MS, DAY), (DAY, DAY), (2 * DAY, 2 * DAY), (3 * DAY, 3 * DAY), (4 * DAY, 3 * DAY)]
        {
            assert_eq!(lifetimes.nearest(given), nearest, "{given:?}");
        }
    }

    #[test]
    fn the_default_lifetime_is_30_days_and_the_longest_366() {
        let lifetimes = Lifetimes::default();
        assert_eq!((lifetimes.default, lifetimes.min, lifetimes.max), (30 * DAY, Duration::ZERO, 366 * DAY));
        assert!(!lifetimes.never_expiring);
        assert_eq!(Lifetime::default(), Lifetime::Default);
    }

    #[test]
    fn a_default_outside_the_bounds_is_replaced_by_the_nearer_bound() {
        let lifetimes = Lifetimes { default: DAY, min: 2 * DAY, ..Lifetimes::default() };
        assert_eq!(lifetimes.nearest(lifetimes.default), 2 * DAY);
        let contradicting = Lifetimes { min: 3 * DAY, max: DAY, ..lifetimes };
        assert_eq!(contradicting.nearest(2 * DAY), DAY);
    }
}
