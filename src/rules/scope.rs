//! The scopes of a token. The service that uses keyfob defines the scopes.

use crate::words::invalid::{Invalid, InvalidField, InvalidKind};

/// A scope: the name of a right that a token can grant. It has 1 to 128 of the characters that RFC
/// 6749 section 3.3 allows: printable ASCII except space, `"` and `\`.
///
/// A scope that ends in `:*` is a wildcard. In a token's [`ScopeSet`], a wildcard grants every
/// scope that begins with the text before the `*`. For example, `repo:*` grants `repo:read`.
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

/// The scopes that a token grants: at most 64 scopes, sorted, without duplicates. The default is an
/// empty set, which grants nothing.
///
/// ```
/// use keyfob::{Scope, ScopeSet};
///
/// let granted = ScopeSet::new("profile repo:*")?;
/// assert!(granted.allows(&Scope::new("repo:read")?));
/// assert!(!granted.allows(&Scope::new("repository")?));
/// # Ok::<(), keyfob::Invalid>(())
/// ```
// The set is stored as one text in the form of RFC 6749, so that it needs only one allocation and
// one database column.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct ScopeSet(Box<str>);

impl ScopeSet {
    /// The maximum number of scopes in one set.
    pub const MAX: usize = 64;

    /// Parses scopes that are separated by white space. An empty text gives an empty set, which
    /// grants nothing.
    ///
    /// # Errors
    /// Returns [`Invalid`] if a scope is invalid, if there are more than 64 different scopes, or if
    /// the text is longer than 8,256 bytes.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        if text.len() > Self::MAX * (Scope::MAX_CHARS + 1) {
            return Err(Invalid::new(InvalidField::Scopes, InvalidKind::TooLong { max: Self::MAX }));
        }
        Self::from_scopes(text.split_ascii_whitespace().map(Scope::new).collect::<Result<Vec<_>, _>>()?)
    }

    /// Creates the set of these scopes.
    ///
    /// # Errors
    /// Returns [`Invalid`] if there are more than 64 different scopes.
    pub fn from_scopes(scopes: impl IntoIterator<Item = Scope>) -> Result<Self, Invalid> {
        let mut scopes: Vec<Scope> = scopes.into_iter().collect();
        scopes.sort();
        scopes.dedup();
        if scopes.len() > Self::MAX {
            return Err(Invalid::new(InvalidField::Scopes, InvalidKind::TooLong { max: Self::MAX }));
        }
        let scopes: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
        Ok(Self(scopes.join(" ").into()))
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
    pub fn allows(&self, needed: &Scope) -> bool {
        self.grants(needed.as_str())
    }

    /// Returns whether this set grants every scope that `other` grants. A token can issue another
    /// token only if the scopes of the issuing token cover the scopes of the new token.
    pub fn covers(&self, other: &Self) -> bool {
        other.iter().all(|scope| self.grants(scope))
    }

    /// Returns the scopes that both sets grant. If a wildcard in one set grants a scope in the
    /// other set, the result contains only the scope, not the wildcard.
    pub(crate) fn common(&self, other: &Self) -> Self {
        let own = self.iter().filter(|scope| other.grants(scope));
        let others = other.iter().filter(|scope| self.grants(scope));
        let mut common: Vec<&str> = own.chain(others).collect();
        common.sort_unstable();
        common.dedup();
        Self(common.join(" ").into())
    }

    fn grants(&self, needed: &str) -> bool {
        self.iter().any(|granted| {
            let under = |prefix: &str| prefix.len() > 1 && prefix.ends_with(':') && needed.starts_with(prefix);
            granted == needed || granted.strip_suffix('*').is_some_and(under)
        })
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
        assert!(!allows("*", "repo"), "a single star is an ordinary name");
        assert!(!allows(":*", ":read"));
        assert!(!allows("", "repo"));
    }

    #[test]
    fn a_set_is_sorted_and_holds_each_once() {
        assert_eq!(set(" b  a\tb ").as_str(), "a b");
        assert_eq!(set("b a"), set("a b"));
        let many = |count: usize| (0..count).map(|n| format!("s{n} ")).collect::<String>();
        assert!(ScopeSet::new(&many(64)).is_ok());
        assert_eq!(ScopeSet::new(&many(65)).unwrap_err().kind(), InvalidKind::TooLong { max: 64 });
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
