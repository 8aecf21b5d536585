//! What a policy does not allow about a token.

/// What a policy does not allow about a token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum PolicyBreach {
    /// It never expires.
    NeverExpires,
    /// From creation to expiry it lives longer than allowed.
    TooLong,
    /// It lives shorter than allowed.
    TooShort,
    /// It was not used for too long.
    Unused,
    /// It would have ended when it begins: no lifetime, an expiry in the past or before
    /// `not_before`, or no time to confirm it. Only a new token can be so.
    NoLifetime,
    /// It would end after the year 9999. Only a new token can be so.
    PastEndOfTime,
    /// The old token of a rotation would work for longer than allowed. Only a rotation can be so.
    GraceTooLong,
    /// It is bound to a token that is bound to another, and so on, further than allowed.
    ChainTooLong,
}

impl PolicyBreach {
    /// Returns what to say of a new token.
    pub(super) fn refusal(self) -> &'static str {
        match self {
            Self::NeverExpires => "a token must expire",
            Self::TooLong => "the token would live too long",
            Self::TooShort => "the token would not live long enough",
            Self::Unused => "the token was not used for too long",
            Self::NoLifetime => "a token must not end before it begins",
            Self::PastEndOfTime => "a token must end before the year 10000",
            Self::GraceTooLong => "the old token would work for too long after its rotation",
            Self::ChainTooLong => "a token that was issued by a token cannot issue tokens here",
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
    fn each_breach_has_words_of_its_own() {
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
