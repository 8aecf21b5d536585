//! The scopes of a token. The service that uses keyfob defines the scopes.

use super::scope_matcher::wildcard_allows;
use crate::words::invalid::{Invalid, InvalidField, InvalidKind};

/// A scope: the name of a right that a token can grant. It has 1 to 128 of the characters that RFC
/// 6749 section 3.3 allows: printable ASCII except space, `"` and `\`.
///
/// Two forms are wildcards in a token's [`ScopeSet`], unless the policy has a
/// [scope matcher](crate::policy::ScopeMatcher) of its own:
/// - A scope that ends in `:*` grants every scope that begins with the text before the `*`. For
///   example, `repo:*` grants `repo:read`.
/// - The scope `*` grants every scope, and so also the scope for [issuing
///   tokens](crate::Verified::delegate).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(Box<str>);

impl Scope {
    /// The maximum number of characters in a scope.
    pub const MAX_CHARS: usize = 128;

    /// Creates a scope from its text.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the text is empty, has more than 128 characters, or contains a
    /// character that is not allowed.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let flaw = |flaw| Err(Invalid::new(InvalidField::Scope, flaw));
        if text.is_empty() {
            return flaw(InvalidKind::Empty);
        }
        if text.len() > Self::MAX_CHARS {
            return flaw(InvalidKind::TooLong { max: Self::MAX_CHARS });
        }
        if !text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)) {
            return flaw(InvalidKind::Character);
        }
        Ok(Self(text.into()))
    }

    /// Returns the text of the scope.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_type!(Scope);

/// The scopes that a token grants: at most 256 scopes with a text of at most 16,384 bytes, sorted,
/// without duplicates. The default is an empty set, which grants nothing.
///
/// With 256 scopes, each scope may have 63 characters. This suffices for 70 resources with three
/// rights each. A verification compares the required scopes with the scopes of the set one after
/// the other, so large sets take longer.
///
/// ```
/// use keyfob::{Scope, ScopeSet};
///
/// let granted = ScopeSet::new("profile repo:*")?;
/// assert!(granted.allows(&Scope::new("repo:read")?));
/// assert!(!granted.allows(&Scope::new("repository")?));
/// assert!(ScopeSet::new("*")?.covers(&granted));
/// # Ok::<(), keyfob::Invalid>(())
/// ```
// The set is stored as one text in the form of RFC 6749, so that it needs only one allocation and
// one database column.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct ScopeSet(Box<str>);

impl ScopeSet {
    /// The maximum number of scopes in one set.
    pub const MAX: usize = 256;
    /// The maximum length of the text of a set, in bytes, with one space between two scopes.
    pub const MAX_BYTES: usize = 16_384;

    /// Parses scopes that are separated by white space. An empty text gives an empty set, which
    /// grants nothing.
    ///
    /// # Errors
    /// Returns [`Invalid`] if a scope is invalid, if there are more than 256 different scopes
    /// ([`InvalidKind::TooMany`]), or if the text is longer than 16,384 bytes
    /// ([`InvalidKind::TooLong`]).
    ///
    /// [`InvalidKind::TooMany`]: crate::error::InvalidKind::TooMany
    /// [`InvalidKind::TooLong`]: crate::error::InvalidKind::TooLong
    pub fn new(text: &str) -> Result<Self, Invalid> {
        if text.len() > Self::MAX_BYTES {
            return Err(Self::too_long());
        }
        Self::from_scopes(text.split_ascii_whitespace().map(Scope::new).collect::<Result<Vec<_>, _>>()?)
    }

    /// Creates the set of these scopes.
    ///
    /// # Errors
    /// Returns [`Invalid`] if there are more than 256 different scopes, or if their text is longer
    /// than 16,384 bytes.
    pub fn from_scopes(scopes: impl IntoIterator<Item = Scope>) -> Result<Self, Invalid> {
        let mut scopes: Vec<Scope> = scopes.into_iter().collect();
        scopes.sort();
        scopes.dedup();
        if scopes.len() > Self::MAX {
            return Err(Invalid::new(InvalidField::Scopes, InvalidKind::TooMany { max: Self::MAX }));
        }
        let scopes: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
        let text = scopes.join(" ");
        if text.len() > Self::MAX_BYTES {
            return Err(Self::too_long());
        }
        Ok(Self(text.into()))
    }

    const fn too_long() -> Invalid {
        Invalid::new(InvalidField::Scopes, InvalidKind::TooLong { max: Self::MAX_BYTES })
    }

    /// Returns the scopes as one text, separated by single spaces.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns an iterator over the scopes, in sorted order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split_ascii_whitespace()
    }

    /// Returns whether the set grants this scope, by its name or by a wildcard.
    ///
    /// This method knows only the default wildcards. If your policy has a
    /// [scope matcher](crate::policy::ScopeMatcher), use
    /// [`Policy::allows_scope`](crate::Policy::allows_scope) instead.
    pub fn allows(&self, needed: &Scope) -> bool {
        self.grants(needed.as_str())
    }

    /// Returns whether this set grants every scope that `other` grants. A token can issue another
    /// token only if the scopes of the issuing token cover the scopes of the new token.
    ///
    /// This method knows only the default wildcards. If your policy has a
    /// [scope matcher](crate::policy::ScopeMatcher), use
    /// [`Policy::covers_scopes`](crate::Policy::covers_scopes) instead.
    pub fn covers(&self, other: &Self) -> bool {
        other.iter().all(|scope| self.grants(scope))
    }

    /// Creates the set of scopes that the chain of a token has in common. The result can exceed the
    /// bounds of a set, because it can contain scopes of every token in the chain.
    pub(super) fn of_chain(mut scopes: Vec<&str>) -> Self {
        scopes.sort_unstable();
        scopes.dedup();
        Self(scopes.join(" ").into())
    }

    /// Returns whether the set grants the scope with this text, by its name or by a default
    /// wildcard.
    pub(super) fn grants(&self, needed: &str) -> bool {
        self.iter().any(|granted| granted == needed || wildcard_allows(granted, needed))
    }
}

text_type!(ScopeSet);

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> ScopeSet {
        ScopeSet::new(text).unwrap()
    }

    #[test]
    fn a_scope_has_only_the_characters_of_rfc_6749() {
        for byte in 0..=127u8 {
            let allowed = matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            let text = char::from(byte).to_string();
            assert_eq!(Scope::new(&text).is_ok(), allowed, "{byte:#x}");
        }
        assert!(Scope::new("é").is_err());
        assert!(Scope::new(&"s".repeat(128)).is_ok());
        assert!(Scope::new(&"s".repeat(129)).is_err());
        assert_eq!(Scope::new("").unwrap_err().kind(), InvalidKind::Empty);
    }

    #[test]
    fn scopes_are_granted_by_name_and_by_wildcard() {
        let allows = |granted, needed| set(granted).allows(&Scope::new(needed).unwrap());
        assert!(allows("repo:read", "repo:read"));
        assert!(!allows("repo:read", "repo:write"));
        assert!(!allows("repo:read", "repo:rea"));
        assert!(!allows("repo:read", "repo:*"));
        assert!(allows("repo:*", "repo:read"));
        assert!(allows("repo:*", "repo:read:all"));
        assert!(allows("repo:*", "repo:*"));
        assert!(!allows("repo:*", "repo"));
        assert!(!allows("repo:*", "repository:read"));
        assert!(!allows("repo*", "repository"), "only a colon makes a wildcard");
        assert!(!allows(":*", ":read"));
        assert!(!allows("", "repo"));
    }

    #[test]
    fn a_star_grants_and_covers_every_scope() {
        let everything = set("*");
        for needed in ["repo", "repo:read", "repo:*", "*", ":*", "tokens:manage"] {
            assert!(everything.allows(&Scope::new(needed).unwrap()), "{needed}");
            assert!(everything.covers(&set(needed)), "{needed}");
        }
        assert!(everything.covers(&set("repo:* user *")) && everything.covers(&set("")));
        for less in ["repo:*", ":*", "**", "*:*", "repo:read", ""] {
            assert!(!set(less).covers(&everything), "{less}");
            assert!(!set(less).allows(&Scope::new("*").unwrap()), "{less}");
        }
        assert!(!set("**").allows(&Scope::new("repo").unwrap()), "only a single star is a wildcard");
    }

    #[test]
    fn a_set_is_sorted_and_holds_each_once() {
        assert_eq!(set(" b  a\tb ").as_str(), "a b");
        assert_eq!(set("b a"), set("a b"));
        let many = |count: usize| (0..count).map(|n| format!("s{n} ")).collect::<String>();
        assert!(ScopeSet::new(&many(256)).is_ok());
        assert_eq!(ScopeSet::new(&many(257)).unwrap_err().kind(), InvalidKind::TooMany { max: 256 });
        assert!(ScopeSet::new(&[many(256), many(256)].concat()).is_ok(), "duplicates do not count");
    }

    #[test]
    fn a_set_has_at_most_16384_bytes() {
        let (flaw, max) = (InvalidKind::TooLong { max: 16_384 }, ScopeSet::MAX_BYTES);
        // 128 scopes of 127 characters with 127 spaces have 16,383 bytes.
        let scope = |n: usize| format!("{n:0127}");
        let text = |last: usize| (0..127).map(scope).chain([format!("{:z>last$}", "")]).collect::<Vec<_>>().join(" ");
        assert_eq!((text(127).len(), text(128).len()), (max - 1, max));
        let scopes = |text: &str| text.split(' ').map(|scope| Scope::new(scope).unwrap()).collect::<Vec<_>>();
        for length in [127, 128] {
            assert_eq!(ScopeSet::new(&text(length)).unwrap().as_str(), text(length));
            assert!(ScopeSet::from_scopes(scopes(&text(length))).is_ok());
        }
        let longer = text(128) + " a";
        assert_eq!(ScopeSet::new(&longer).unwrap_err().kind(), flaw);
        assert_eq!(ScopeSet::from_scopes(scopes(&longer)).unwrap_err().kind(), flaw);
        assert_eq!(ScopeSet::new(&(text(128) + " ")).unwrap_err().kind(), flaw, "the given text counts");
    }

    #[test]
    fn a_service_with_70_resources_and_three_rights_each_fits() {
        let resource = |n: usize| format!("resource-{n:02}-of-the-service");
        let all = (0..70).flat_map(|n| ["read", "write", "admin"].map(|right| format!("{}:{right}", resource(n))));
        let all = ScopeSet::new(&all.collect::<Vec<_>>().join(" ")).unwrap();
        assert_eq!(all.iter().count(), 210);
        assert!(all.allows(&Scope::new("resource-69-of-the-service:admin").unwrap()));
    }

    #[test]
    fn a_set_covers_only_sets_within_it() {
        assert!(set("repo:* user").covers(&set("repo:read user")));
        assert!(set("repo:*").covers(&set("repo:issues:*")));
        assert!(set("repo:*").covers(&set("")));
        assert!(!set("repo:issues:*").covers(&set("repo:*")));
        assert!(!set("repo:read").covers(&set("repo:*")));
        assert!(!set("").covers(&set("user")));
    }
}
