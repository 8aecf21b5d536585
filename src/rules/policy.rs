//! What tokens a service allows.

use core::fmt;
use core::time::Duration;

use super::record::TokenRecord;
use crate::words::timestamp::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What tokens a service allows. The default: 30 days if nobody says otherwise, at most 366, none that never expires.
///
/// It is asked when a token is made, and again at each check: a token outside today's policy is refused, not destroyed,
/// and works again once the policy allows it.
///
/// ```
/// use core::time::Duration;
/// use keyfob::Policy;
///
/// let policy = Policy::default().with_max_lifetime(Duration::from_secs(90 * 24 * 60 * 60));
/// # let _ = policy;
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    default_lifetime: Duration,
    max_lifetime: Duration,
    never_expiring: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { default_lifetime: 30 * DAY, max_lifetime: 366 * DAY, never_expiring: false }
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
    /// The lifetime of a token that asks for none; where it is longer than the maximum, that counts.
    #[must_use]
    pub fn with_default_lifetime(self, default_lifetime: Duration) -> Self {
        Self { default_lifetime, ..self }
    }

    /// The longest lifetime; exactly this long is allowed.
    #[must_use]
    pub fn with_max_lifetime(self, max_lifetime: Duration) -> Self {
        Self { max_lifetime, ..self }
    }

    /// Whether a token may never expire.
    #[must_use]
    pub fn with_never_expiring(self, never_expiring: bool) -> Self {
        Self { never_expiring, ..self }
    }

    /// The lifetime of a token that asks for none.
    pub fn default_lifetime(&self) -> Duration {
        self.default_lifetime.min(self.max_lifetime)
    }

    /// The longest lifetime.
    pub fn max_lifetime(&self) -> Duration {
        self.max_lifetime
    }

    /// Whether a token may never expire.
    pub fn allows_never_expiring(&self) -> bool {
        self.never_expiring
    }

    /// When a token made now will expire.
    ///
    /// # Errors
    /// [`PolicyError`] where the policy, or the end of year 9999, does not allow it.
    pub fn expiry(&self, lifetime: Lifetime, now: Timestamp) -> Result<Option<Timestamp>, PolicyError> {
        let expires_at = match lifetime {
            Lifetime::Never if self.never_expiring => return Ok(None),
            Lifetime::Never => return Err(PolicyError::NeverExpires),
            Lifetime::Default => now.checked_add(self.default_lifetime()),
            Lifetime::For(lifetime) => {
                // Asked first, so that a lifetime past year 9999 is told the true limit.
                if lifetime > self.max_lifetime {
                    return Err(PolicyError::TooLong { max: self.max_lifetime });
                }
                now.checked_add(lifetime)
            }
            Lifetime::Until(time) => Some(time),
        };
        let expires_at = expires_at.ok_or(PolicyError::PastEndOfTime)?;
        if expires_at <= now {
            return Err(PolicyError::NoLifetime);
        }
        if expires_at.saturating_since(now) > self.max_lifetime {
            return Err(PolicyError::TooLong { max: self.max_lifetime });
        }
        Ok(Some(expires_at))
    }

    /// Whether a token that exists is within today's policy.
    pub fn admits(&self, record: &TokenRecord) -> bool {
        match record.expires_at {
            None => self.never_expiring,
            Some(expires_at) => expires_at.saturating_since(record.created_at) <= self.max_lifetime,
        }
    }
}

/// What about a new token the policy does not allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PolicyError {
    /// It would never expire.
    NeverExpires,
    /// It would live longer than this.
    TooLong {
        /// The longest lifetime.
        max: Duration,
    },
    /// It would have ended when it begins: no lifetime, an expiry in the past or before `not_before`, or no time to confirm it.
    NoLifetime,
    /// It would end after year 9999.
    PastEndOfTime,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverExpires => f.write_str("a token must expire"),
            Self::TooLong { max } if max.as_secs() >= DAY.as_secs() => {
                write!(f, "a token may live for at most {} days", max.as_secs() / DAY.as_secs())
            }
            Self::TooLong { max } => write!(f, "a token may live for at most {} seconds", max.as_secs()),
            Self::NoLifetime => f.write_str("a token must not end before it begins"),
            Self::PastEndOfTime => f.write_str("a token must end before the year 10000"),
        }
    }
}

impl core::error::Error for PolicyError {}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const MS: Duration = Duration::from_millis(1);

    fn days(days: u32) -> Option<Timestamp> {
        NOW.checked_add(days * DAY)
    }

    #[test]
    fn lifetimes_at_each_bound() {
        let policy = Policy::default();
        let too_long = Err(PolicyError::TooLong { max: 366 * DAY });
        assert_eq!(policy.expiry(Lifetime::Default, NOW), Ok(days(30)));
        assert_eq!(policy.expiry(Lifetime::For(366 * DAY), NOW), Ok(days(366)));
        assert_eq!(policy.expiry(Lifetime::For(366 * DAY + MS), NOW), too_long);
        assert_eq!(policy.expiry(Lifetime::For(Duration::MAX), NOW), too_long);
        assert_eq!(policy.expiry(Lifetime::For(MS), NOW), Ok(NOW.checked_add(MS)));
        assert_eq!(policy.expiry(Lifetime::For(Duration::ZERO), NOW), Err(PolicyError::NoLifetime));
        assert_eq!(policy.expiry(Lifetime::Until(NOW), NOW), Err(PolicyError::NoLifetime));
        assert_eq!(policy.expiry(Lifetime::Until(NOW.saturating_sub(MS)), NOW), Err(PolicyError::NoLifetime));
        assert_eq!(policy.expiry(Lifetime::Until(days(366).unwrap()), NOW), Ok(days(366)));
        assert_eq!(policy.expiry(Lifetime::Until(Timestamp::MAX), NOW), too_long);
        assert_eq!(policy.expiry(Lifetime::Never, NOW), Err(PolicyError::NeverExpires));
        assert_eq!(policy.with_never_expiring(true).expiry(Lifetime::Never, NOW), Ok(None));
    }

    #[test]
    fn now_plus_lifetime_past_the_end_of_time() {
        let policy = Policy::default().with_max_lifetime(Duration::MAX);
        for lifetime in [Lifetime::Default, Lifetime::For(MS), Lifetime::For(Duration::MAX)] {
            assert_eq!(policy.expiry(lifetime, Timestamp::MAX), Err(PolicyError::PastEndOfTime));
        }
    }

    #[test]
    fn the_default_never_exceeds_the_maximum() {
        let policy = Policy::default().with_max_lifetime(DAY);
        assert_eq!(policy.expiry(Lifetime::Default, NOW), Ok(days(1)));
    }

    #[test]
    fn errors_say_what_is_allowed() {
        let text = |error: PolicyError| error.to_string();
        assert_eq!(text(PolicyError::TooLong { max: 366 * DAY }), "a token may live for at most 366 days");
        assert_eq!(text(PolicyError::TooLong { max: 60_000 * MS }), "a token may live for at most 60 seconds");
        assert_eq!(text(PolicyError::NeverExpires), "a token must expire");
        assert_eq!(text(PolicyError::NoLifetime), "a token must not end before it begins");
        assert_eq!(text(PolicyError::PastEndOfTime), "a token must end before the year 10000");
    }
}
