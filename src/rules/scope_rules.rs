//! The comparison of scopes by the matcher of a policy. Every rule that compares scopes uses
//! [`ScopeRules`], so that no rule can forget the matcher of the service.

use core::fmt;

use super::scope::{Scope, ScopeSet};
use super::scope_matcher::ScopeMatcher;

/// The rules by which a policy compares scopes: its matcher, or the default wildcards if there is
/// none. This type has only the size of a reference, because each verification copies it.
#[derive(Clone, Copy)]
pub(crate) struct ScopeRules(Option<&'static dyn ScopeMatcher>);

/// The matcher of a policy that names a matcher that was not set. It is recognized by its address.
/// It has a size, because only then is its address unique.
struct Missing(#[expect(dead_code, reason = "for the size")] u8);

static MISSING: Missing = Missing(0);

impl ScopeMatcher for Missing {
    fn name(&self) -> &'static str {
        "missing"
    }

    fn allows(&self, _granted: &str, _needed: &str) -> bool {
        false
    }
}

fn is_missing(matcher: &'static dyn ScopeMatcher) -> bool {
    core::ptr::addr_eq(matcher, &raw const MISSING)
}

impl ScopeRules {
    /// The default wildcards.
    pub(super) const WILDCARDS: Self = Self(None);

    /// Returns whether the set grants this scope.
    #[inline]
    pub(super) fn allows(self, granted: &ScopeSet, needed: &Scope) -> bool {
        match self.0 {
            None => granted.allows(needed),
            Some(matcher) => any_allows(matcher, granted, needed.as_str()),
        }
    }

    /// Returns whether the set `granted` allows every scope that the set `other` allows.
    pub(super) fn covers(self, granted: &ScopeSet, other: &ScopeSet) -> bool {
        other.iter().all(|scope| self.covers_scope(granted, scope))
    }

    /// Returns the scopes that both sets cover. If a wildcard in one set covers a scope in the
    /// other set, the result contains only the scope, not the wildcard.
    pub(super) fn common(self, one: &ScopeSet, other: &ScopeSet) -> ScopeSet {
        let of_one = one.iter().filter(|scope| self.covers_scope(other, scope));
        let of_other = other.iter().filter(|scope| self.covers_scope(one, scope));
        ScopeSet::of_chain(of_one.chain(of_other).collect())
    }

    fn covers_scope(self, granted: &ScopeSet, scope: &str) -> bool {
        match self.0 {
            None => granted.grants(scope),
            Some(matcher) => granted.iter().any(|granted| covers(matcher, granted, scope)),
        }
    }
}

/// Returns whether a scope of the set allows `needed` by the matcher of the service.
#[cold]
fn any_allows(matcher: &'static dyn ScopeMatcher, granted: &ScopeSet, needed: &str) -> bool {
    granted.iter().any(|granted| allows(matcher, granted, needed))
}

fn allows(matcher: &'static dyn ScopeMatcher, granted: &str, needed: &str) -> bool {
    granted == needed && !is_missing(matcher) || matcher.allows(granted, needed)
}

/// Returns whether a scope covers another one. A scope that covers another scope must allow it too,
/// so a matcher that confuses unrelated scopes in `covers` alone has no effect.
fn covers(matcher: &'static dyn ScopeMatcher, granted: &str, other: &str) -> bool {
    granted == other && !is_missing(matcher) || matcher.covers(granted, other) && matcher.allows(granted, other)
}

/// The matcher that a policy has, or the name of the matcher that it needs.
#[derive(Clone, Default)]
pub(super) enum PolicyMatcher {
    /// The default wildcards.
    #[default]
    Wildcards,
    /// The matcher of the service.
    Host(&'static dyn ScopeMatcher),
    /// The name of a matcher, from a policy that was deserialized.
    #[cfg_attr(not(feature = "serde"), expect(dead_code, reason = "only a deserialized policy lacks its matcher"))]
    Missing(Box<str>),
}

impl PolicyMatcher {
    #[inline]
    pub(super) fn rules(&self) -> ScopeRules {
        match self {
            Self::Wildcards => ScopeRules::WILDCARDS,
            Self::Host(matcher) => ScopeRules(Some(*matcher)),
            Self::Missing(_) => ScopeRules(Some(&MISSING)),
        }
    }

    /// Returns the matcher of a policy for which the service sets this matcher. A policy that names
    /// another matcher still lacks its own.
    pub(super) fn set(self, matcher: &'static dyn ScopeMatcher) -> Self {
        let names_another = matches!(&self, Self::Missing(name) if **name != *matcher.name());
        if names_another { self } else { Self::Host(matcher) }
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Wildcards => None,
            Self::Host(matcher) => Some(matcher.name()),
            Self::Missing(name) => Some(name),
        }
    }
}

/// Two policies have the same matcher if its name is the same and if both have it or both lack it.
impl PartialEq for PolicyMatcher {
    fn eq(&self, other: &Self) -> bool {
        let lacks = |matcher: &Self| matches!(matcher, Self::Missing(_));
        self.name() == other.name() && lacks(self) == lacks(other)
    }
}

impl Eq for PolicyMatcher {}

impl fmt::Debug for PolicyMatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => write!(f, "missing {name:?}"),
            _ => fmt::Debug::fmt(&self.name(), f),
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for PolicyMatcher {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.name().serialize(serializer)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for PolicyMatcher {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Option::<String>::deserialize(deserializer)?;
        Ok(name.map_or(Self::Wildcards, |name| Self::Missing(name.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A matcher with two faults in `covers`: it covers scopes that it does not allow, and does not
    /// cover equal scopes.
    struct Confused;

    impl ScopeMatcher for Confused {
        fn name(&self) -> &'static str {
            "confused"
        }

        fn allows(&self, granted: &str, needed: &str) -> bool {
            granted == "all" && needed != "all"
        }

        fn covers(&self, granted: &str, other: &str) -> bool {
            granted != other
        }
    }

    fn set(text: &str) -> ScopeSet {
        ScopeSet::new(text).unwrap()
    }

    const CONFUSED: ScopeRules = ScopeRules(Some(&Confused));

    #[test]
    fn a_scope_always_allows_and_covers_itself() {
        assert!(CONFUSED.allows(&set("a b"), &Scope::new("b").unwrap()));
        assert!(CONFUSED.covers(&set("a b"), &set("b")));
    }

    #[test]
    fn a_scope_that_is_not_allowed_is_not_covered() {
        assert!(!CONFUSED.covers(&set("a"), &set("b")));
        assert!(CONFUSED.covers(&set("all"), &set("a b")));
        assert!(!CONFUSED.covers(&set("a b"), &set("all")));
        assert!(CONFUSED.covers(&set("a"), &set("")), "the empty set grants nothing");
    }

    #[test]
    fn common_scopes_are_covered_by_both_sets() {
        let common = |rules: ScopeRules, one: &str, other: &str| rules.common(&set(one), &set(other)).to_string();
        assert_eq!(
            common(ScopeRules::WILDCARDS, "repo:* user", "repo:read repo:write:* admin"),
            "repo:read repo:write:*"
        );
        assert_eq!(common(ScopeRules::WILDCARDS, "* user", "repo:* user"), "repo:* user");
        assert_eq!(common(CONFUSED, "all x", "a b x"), "a b x");
        assert_eq!(common(CONFUSED, "a x", "b x"), "x");
        assert_eq!(common(ScopeRules(Some(&MISSING)), "a", "a"), "");
    }

    #[test]
    fn without_its_matcher_a_policy_grants_nothing() {
        let rules = PolicyMatcher::Missing("dashes".into()).rules();
        assert!(!rules.allows(&set("a"), &Scope::new("a").unwrap()));
        assert!(!rules.covers(&set("a"), &set("a")));
        assert!(rules.covers(&set("a"), &set("")));
    }

    #[test]
    fn matchers_are_compared_and_shown_by_their_names() {
        let (host, missing) = (PolicyMatcher::Host(&Confused), PolicyMatcher::Missing("confused".into()));
        assert!(host == PolicyMatcher::Host(&Confused) && host != PolicyMatcher::Wildcards && host != missing);
        let shown = [&PolicyMatcher::Wildcards, &host, &missing].map(|matcher| format!("{matcher:?}"));
        assert_eq!(shown, ["None", r#"Some("confused")"#, r#"missing "confused""#]);
    }
}
