//! The policy of a service: which tokens it allows.

use core::time::Duration;

use super::lifetimes::Lifetimes;
use super::notice_schedule::NoticeSchedule;
use super::scope::{Scope, ScopeSet};
use super::scope_matcher::ScopeMatcher;
use super::scope_rules::{PolicyMatcher, ScopeRules};
use super::token_kind::TokenKind;
use crate::words::timestamp::whole_millis;

/// The default maximum of the grace period after a rotation: 30 days.
const MAX_GRACE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The number that means no limit. Every format of configuration files can hold it.
pub(super) const UNLIMITED: u64 = i64::MAX as u64;

/// The rules of a service for its tokens: lifetimes, live tokens, time without use, issuing,
/// notices of expiry, and how scopes are compared.
///
/// The default policy:
/// - Tokens of persons and services live for 30 days by default and for at most 366 days.
/// - Tokens of agents live for 12 hours by default and for at most 7 days.
/// - Every token expires. There is no limit on how long a token may go unused.
/// - The grace period after a rotation is at most 30 days.
/// - An owner may have any number of live tokens. At most 20 live tokens may be bound to one token.
/// - A bound token cannot issue bound tokens.
/// - Notices of expiry are due 30 days, 7 days and 1 day before a token expires.
/// - Scopes are compared with the default [`Wildcards`](crate::policy::Wildcards).
///
/// If your service has limits of its own, start with [`unlimited`](Self::unlimited). Durations
/// below a millisecond are rounded up: see [`Timestamp`](crate::Timestamp).
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
/// "most_live_per_owner": 50, "max_unused_seconds": 15552000, "notice_millis": [604800000]}`. A
/// fraction of a second is rounded up when a policy is serialized. A [scope matcher] is serialized
/// as its name. A policy that was deserialized with such a name grants no scope until
/// [`with_scope_matcher`](Self::with_scope_matcher) sets the matcher again.
///
/// [scope matcher]: crate::policy::ScopeMatcher
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
    #[cfg_attr(feature = "serde", serde(rename = "notice_millis"))]
    notices: NoticeSchedule,
    scope_matcher: PolicyMatcher,
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
            notices: NoticeSchedule::default(),
            scope_matcher: PolicyMatcher::default(),
        }
    }
}

impl Policy {
    /// The maximum value for [`with_max_depth`](Self::with_max_depth): 4.
    pub const MAX_DEPTH: u8 = 4;

    /// Sets the allowed and the default lifetimes of tokens of one kind.
    #[must_use]
    pub fn with_lifetimes(self, kind: TokenKind, lifetimes: Lifetimes) -> Self {
        let lifetimes = lifetimes.in_whole_millis();
        match kind {
            TokenKind::Human => Self { human: lifetimes, ..self },
            TokenKind::Service => Self { service: lifetimes, ..self },
            TokenKind::Agent => Self { agent: lifetimes, ..self },
        }
    }

    /// Sets the default lifetime of tokens of persons and services.
    #[must_use]
    pub fn with_default_lifetime(self, default: Duration) -> Self {
        self.with_both(|lifetimes| lifetimes.default = whole_millis(default))
    }

    /// Sets the maximum lifetime of tokens of persons and services.
    #[must_use]
    pub fn with_max_lifetime(self, max: Duration) -> Self {
        self.with_both(|lifetimes| lifetimes.max = whole_millis(max))
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
    ///
    /// A token is not rejected because its issuer is unused.
    #[must_use]
    pub fn with_max_unused(self, max_unused: Duration) -> Self {
        Self { max_unused: Some(whole_millis(max_unused)), ..self }
    }

    /// Sets the maximum grace period of a rotation, 30 days by default.
    #[must_use]
    pub fn with_max_grace(self, max_grace: Duration) -> Self {
        Self { max_grace: whole_millis(max_grace), ..self }
    }

    /// Sets the lead times of the notices of expiry. Each new token skips the notices that are
    /// already overdue when it is issued. [`NoticeSchedule`] says what a change means for existing
    /// tokens.
    #[must_use]
    pub fn with_notices(self, notices: NoticeSchedule) -> Self {
        Self { notices, ..self }
    }

    /// Sets the matcher that compares scopes, in place of the default
    /// [`Wildcards`](crate::policy::Wildcards). Set the same matcher in every process of the
    /// service. For a matcher that is created at run time, use `Box::leak`.
    ///
    /// If the policy was deserialized and names a matcher, only a matcher with this name is set.
    /// With another one, the policy still grants no scope.
    #[must_use]
    pub fn with_scope_matcher(self, matcher: &'static dyn ScopeMatcher) -> Self {
        Self { scope_matcher: self.scope_matcher.set(matcher), ..self }
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

    /// Returns the maximum number of live tokens that are bound to one token. `i64::MAX` and above
    /// mean no limit.
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

    /// Returns the maximum number of live tokens that are bound to one token, or `None` if there is
    /// no limit.
    pub(crate) fn limit_per_issuer(&self) -> Option<u64> {
        Some(self.most_live_per_issuer).filter(|most| *most < UNLIMITED)
    }

    /// Returns the lead times of the notices of expiry.
    pub fn notices(&self) -> &NoticeSchedule {
        &self.notices
    }

    /// Returns whether a set of scopes grants this scope, by the scope matcher of the policy. Use
    /// this method for scopes from a [`TokenView`](crate::TokenView). For a verified token, use
    /// [`Verified::allows`](crate::Verified::allows).
    pub fn allows_scope(&self, granted: &ScopeSet, needed: &Scope) -> bool {
        self.scope_rules().allows(granted, needed)
    }

    /// Returns whether the set `granted` allows every scope that the set `other` allows, by the
    /// scope matcher of the policy. For example, use this method to check that a user may have the
    /// scopes that the user requests.
    pub fn covers_scopes(&self, granted: &ScopeSet, other: &ScopeSet) -> bool {
        self.scope_rules().covers(granted, other)
    }

    #[inline]
    pub(crate) fn scope_rules(&self) -> ScopeRules {
        self.scope_matcher.rules()
    }

    /// Returns a copy of the policy without [`max_unused`](Self::max_unused).
    pub(crate) fn without_max_unused(&self) -> Self {
        Self { max_unused: None, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[test]
    fn every_duration_of_a_policy_is_rounded_up_to_whole_milliseconds() {
        let (part, whole) = (Duration::from_nanos(1), Duration::from_millis(1));
        let policy = Policy::default().with_default_lifetime(part).with_max_lifetime(part);
        let policy = policy.with_max_unused(part).with_max_grace(part);
        let human = policy.lifetimes(TokenKind::Human);
        assert_eq!((human.default, human.min, human.max), (whole, Duration::ZERO, whole));
        assert_eq!((policy.max_unused(), policy.max_grace()), (Some(whole), whole));
        let all = Lifetimes { default: part, min: part, max: part, never_expiring: false };
        for kind in TokenKind::ALL {
            let Lifetimes { default, min, max, .. } = *policy.clone().with_lifetimes(*kind, all).lifetimes(*kind);
            assert_eq!([default, min, max], [whole; 3]);
        }
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
        assert_eq!(grace, Policy::default().with_max_grace(Duration::from_secs(3600)));
        let notices: Policy = serde_json::from_str(r#"{"notice_millis": [86400000, 604800000]}"#).unwrap();
        assert_eq!(notices, Policy::default().with_notices(NoticeSchedule::of_days([7, 1]).unwrap()));
        for policy in [notices, Policy::unlimited()] {
            let written = serde_json::to_string(&policy).unwrap();
            assert_eq!(serde_json::from_str::<Policy>(&written).unwrap(), policy, "{written}");
        }
        for bad in [
            r#"{"humans": {}}"#,
            r#"{"human": {"max_seconds": -1}}"#,
            r#"{"human": {"max": 1}}"#,
            r#"{"notice_millis": []}"#,
        ] {
            assert!(serde_json::from_str::<Policy>(bad).is_err(), "{bad}");
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn a_policy_that_was_read_grants_no_scope_until_its_matcher_is_set_again() {
        struct Other;

        impl ScopeMatcher for Other {
            fn name(&self) -> &'static str {
                "other"
            }

            fn allows(&self, _: &str, _: &str) -> bool {
                true
            }
        }

        let host = Policy::default().with_scope_matcher(&crate::rules::scope_matcher::Wildcards);
        let written = serde_json::to_string(&host).unwrap();
        assert!(written.contains(r#""scope_matcher":"wildcards""#), "{written}");
        let read: Policy = serde_json::from_str(&written).unwrap();
        let (granted, scope) = (ScopeSet::new("repo:read").unwrap(), Scope::new("repo:read").unwrap());
        assert!(!read.allows_scope(&granted, &scope) && !read.covers_scopes(&granted, &granted));
        assert_ne!(read, host);
        assert_eq!(serde_json::to_string(&read).unwrap(), written, "the name is kept");
        let other = read.clone().with_scope_matcher(&Other);
        assert!(!other.allows_scope(&granted, &scope) && !other.covers_scopes(&granted, &granted));
        assert_eq!(other, read);
        let set = read.with_scope_matcher(&crate::rules::scope_matcher::Wildcards);
        assert!(set.allows_scope(&granted, &scope) && set.covers_scopes(&granted, &granted));
        assert_eq!(set, host);
        let plain: Policy = serde_json::from_str("{}").unwrap();
        assert!(plain.allows_scope(&granted, &scope));
    }
}
