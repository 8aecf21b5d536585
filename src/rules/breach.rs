//! The ways in which a token can break a policy.

/// The way in which a token breaks a policy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum PolicyBreach {
    /// The token never expires.
    NeverExpires,
    /// The time from the creation of the token to its expiry is longer than allowed.
    TooLong,
    /// The time from the creation of the token to its expiry is shorter than allowed.
    TooShort,
    /// The token has been unused for longer than allowed.
    Unused,
    /// The token would never work: its lifetime is zero, its time for confirmation is zero, or it
    /// expires at or before the present time or `not_before`. This breach occurs only when a token
    /// is issued.
    NoLifetime,
    /// The token would expire, or its time for confirmation would end, after the year 9999. This
    /// breach occurs only when a token is issued.
    PastEndOfTime,
    /// The grace period of a rotation, during which the old token keeps working, would be longer
    /// than allowed. This breach occurs only at a rotation.
    GraceTooLong,
    /// The chain of tokens that the token is bound to is longer than allowed.
    ChainTooLong,
}

impl PolicyBreach {
    /// Returns the error message for the user who requested the token.
    pub(super) fn refusal(self) -> &'static str {
        match self {
            Self::NeverExpires => "a token must expire",
            Self::TooLong => "the token would live too long",
            Self::TooShort => "the token would not live long enough",
            Self::Unused => "the token was not used for too long",
            Self::NoLifetime => "a token must not end before it begins",
            Self::PastEndOfTime => "a token must end before the year 10000",
            Self::GraceTooLong => "the old token would work for too long after its rotation",
            Self::ChainTooLong => "the chain of issuing tokens would be longer than the policy allows",
        }
    }
}

word_type!(PolicyBreach {
    NeverExpires = "never_expires",
    TooLong = "too_long",
    TooShort = "too_short",
    Unused = "unused",
    NoLifetime = "no_lifetime",
    PastEndOfTime = "past_end_of_time",
    GraceTooLong = "grace_too_long",
    ChainTooLong = "chain_too_long",
});

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_breach_has_its_own_message() {
        let refusals: BTreeSet<_> = PolicyBreach::ALL.iter().map(|breach| breach.refusal()).collect();
        assert_eq!(refusals.len(), PolicyBreach::ALL.len());
        for (breach, refusal) in [
            (PolicyBreach::NeverExpires, "a token must expire"),
            (PolicyBreach::TooLong, "the token would live too long"),
            (PolicyBreach::TooShort, "the token would not live long enough"),
            (PolicyBreach::Unused, "the token was not used for too long"),
            (PolicyBreach::NoLifetime, "a token must not end before it begins"),
            (PolicyBreach::PastEndOfTime, "a token must end before the year 10000"),
            (PolicyBreach::GraceTooLong, "the old token would work for too long after its rotation"),
        ] {
            assert_eq!(breach.refusal(), refusal);
        }
    }
}
