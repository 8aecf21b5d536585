//! The policy without limits.

use core::time::Duration;

use super::lifetimes::Lifetimes;
use super::policy::{Policy, UNLIMITED};
use super::token_kind::TokenKind;

impl Policy {
    /// Creates a policy without limits, for a service that applies its own rules.
    ///
    /// - Tokens of every kind may live for any time or never expire.
    /// - Owners and issuing tokens may have any number of live tokens.
    /// - A grace period may have any length, and there is no limit on disuse.
    /// - The chain of a bound token may have [4](Self::MAX_DEPTH) issuers.
    ///
    /// If a request names no lifetime, the default of its kind still applies: 30 days, or 12 hours
    /// for an agent. Notices of expiry and the comparison of scopes are as in the default policy.
    ///
    /// No policy allows the following:
    /// - a bound token that never expires, or a token that ends after the token that issues it
    /// - a token with more rights than the token that issues it
    /// - a chain with more than 4 issuers
    /// - a lifetime of zero, an end before the token begins, or an end after the year 9999
    /// - a grace period that ends after the token expires
    /// - a rotation while the predecessor of the token is in its grace period
    /// - values beyond the bounds of their types, such as more than 256 scopes
    ///
    /// ```
    /// use keyfob::{Lifetime, Policy, Timestamp, TokenKind};
    ///
    /// let (policy, now) = (Policy::unlimited(), Timestamp::UNIX_EPOCH);
    /// assert_eq!(policy.expiry(TokenKind::Agent, Lifetime::Never, now)?, None);
    /// let end = policy.expiry(TokenKind::Human, Lifetime::Until(Timestamp::MAX), now)?;
    /// assert_eq!(end, Some(Timestamp::MAX));
    /// # Ok::<(), keyfob::Error>(())
    /// ```
    pub fn unlimited() -> Self {
        let most = Duration::from_secs(UNLIMITED);
        let without = |policy: Self, kind: &TokenKind| {
            let lifetimes = Lifetimes { max: most, never_expiring: true, ..*policy.lifetimes(*kind) };
            policy.with_lifetimes(*kind, lifetimes)
        };
        TokenKind::ALL
            .iter()
            .fold(Self::default(), without)
            .with_most_live_per_issuer(UNLIMITED)
            .with_max_depth(Self::MAX_DEPTH)
            .with_max_grace(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::breach::PolicyBreach;
    use crate::rules::delegation::Delegation;
    use crate::rules::delegation::samples::{bound, delegation, delegation_of, issuer};
    use crate::rules::error_kind::ErrorKind;
    use crate::rules::lifetimes::Lifetime;
    use crate::rules::mint::mint;
    use crate::rules::new_token::NewToken;
    use crate::rules::notice_schedule::NoticeSchedule;
    use crate::rules::outside_issuer::OutsideIssuer;
    use crate::rules::record::TokenRecord;
    use crate::rules::rotate::rotate;
    use crate::rules::rotation::Rotation;
    use crate::rules::sample::{DAY, ada, at, id, keyring, project, record};
    use crate::rules::scope::ScopeSet;
    use crate::words::timestamp::Timestamp;

    #[test]
    fn an_unlimited_policy_has_no_limits() {
        let policy = Policy::unlimited();
        for kind in TokenKind::ALL {
            let lifetimes = policy.lifetimes(*kind);
            assert!(lifetimes.never_expiring && lifetimes.min.is_zero());
            assert_eq!(lifetimes.breach(Some(Timestamp::MAX.saturating_since(Timestamp::MIN))), None);
            assert_eq!(lifetimes.default, Policy::default().lifetimes(*kind).default);
        }
        assert_eq!((policy.most_live_per_owner(), policy.limit_per_issuer(), policy.max_unused()), (None, None, None));
        assert_eq!((policy.max_depth(), policy.notices()), (4, &NoticeSchedule::default()));
        let limited = Policy::default().with_most_live_per_issuer(UNLIMITED - 1);
        assert_eq!(limited.limit_per_issuer(), Some(UNLIMITED - 1));
        assert_eq!(limited.with_most_live_per_issuer(u64::MAX).limit_per_issuer(), None);
    }

    fn minted(new: NewToken) -> Result<TokenRecord, ErrorKind> {
        let issued = mint(&keyring(), &Policy::unlimited(), new, &ada(), at(-1));
        issued.map(|issued| issued.record).map_err(|error| error.kind())
    }

    #[test]
    fn an_unlimited_policy_keeps_a_token_within_its_issuer() {
        let new = || NewToken::new(project(), "ada".parse().unwrap(), "CI".parse().unwrap());
        let endless = TokenRecord { expires_at: None, ..issuer() };
        let within = |by: &Delegation, lifetime| minted(new().with_lifetime(lifetime).within(by));
        let never = within(&delegation(endless.clone()), Lifetime::Never);
        assert_eq!(never, Err(ErrorKind::Policy(PolicyBreach::NeverExpires)), "bound tokens expire");
        assert!(within(&delegation(endless.clone()).independent(), Lifetime::Never).is_ok());
        assert!(within(&delegation(endless), Lifetime::Until(Timestamp::MAX)).is_ok());
        let later = within(&delegation(issuer()), Lifetime::Until(at(1)));
        assert_eq!(later, Err(ErrorKind::OutsideIssuer(OutsideIssuer::Expiry)));
        let wider = minted(new().with_scopes(ScopeSet::new("user").unwrap()).within(&delegation(issuer())));
        assert_eq!(wider, Err(ErrorKind::OutsideIssuer(OutsideIssuer::Scopes)));
        let chain = |issuers: usize| {
            let by = delegation_of((0..issuers).map(|_| bound()).chain([issuer()]));
            minted(new().within(&by)).map(drop)
        };
        assert_eq!([chain(3), chain(4)], [Ok(()), Err(ErrorKind::Policy(PolicyBreach::ChainTooLong))]);
    }

    #[test]
    fn an_unlimited_policy_still_needs_lifetimes_that_make_sense() {
        let new = || NewToken::new(project(), "ada".parse().unwrap(), "CI".parse().unwrap());
        assert_eq!(minted(new().with_lifetime(Lifetime::Never)).unwrap().expires_at, None);
        let refused = |lifetime| minted(new().with_lifetime(lifetime)).unwrap_err();
        assert_eq!(refused(Lifetime::For(Duration::ZERO)), ErrorKind::Policy(PolicyBreach::NoLifetime));
        assert_eq!(refused(Lifetime::Until(at(-1))), ErrorKind::Policy(PolicyBreach::NoLifetime));
        assert_eq!(
            refused(Lifetime::For(Duration::from_secs(UNLIMITED))),
            ErrorKind::Policy(PolicyBreach::PastEndOfTime)
        );
        let old = TokenRecord { id: id('2'), ..record() };
        let grace = rotate(&keyring(), &Policy::unlimited(), &old, Rotation::with_grace(3_000 * DAY), &ada(), at(0));
        assert_eq!(Some(grace.unwrap().grace_until), old.expires_at, "a grace period ends with the token");
    }
}
