//! The rules by which a granted scope allows other scopes.

/// The rules by which a scope that a token grants allows other scopes. By default,
/// [`Wildcards`] applies. Implement this trait if your service has wildcards or a hierarchy of
/// rights of its own, such as `foo-*` for every name that begins with `foo-`.
///
/// [`Policy::with_scope_matcher`](crate::Policy::with_scope_matcher) sets the matcher. The policy
/// reaches every place that compares scopes: verification, [`Verified`](crate::Verified),
/// delegation, rotation and narrowing. The matcher **replaces** the default wildcards. To keep
/// them, call [`Wildcards`] in the methods of your matcher.
///
/// # Security
/// If [`covers`](Self::covers) is wrong, a token can get or issue scopes that it does not have.
/// Therefore:
/// - The default of `covers` is `false`: a token can hand on exactly the scopes that it has.
/// - keyfob itself decides that each scope allows and covers itself, and does not ask the matcher.
/// - keyfob takes a scope as covered only if [`allows`](Self::allows) also returns `true` for it.
/// - At each verification, every token in the chain of a bound token must allow the required
///   scopes. Here keyfob asks only `allows`, so a wrong `covers` gives no right to a bound token.
///
/// In a test, hold your matcher to the rule of `covers` with `conformance::scope_matcher` (feature
/// `conformance`).
///
/// ```
/// use keyfob::{Policy, Scope, ScopeSet};
/// use keyfob::policy::{ScopeMatcher, Wildcards};
///
/// /// Grants `foo-bar` by `foo-*`, in addition to the default wildcards.
/// struct Dashes;
///
/// impl ScopeMatcher for Dashes {
///     fn name(&self) -> &'static str {
///         "dashes"
///     }
///
///     fn allows(&self, granted: &str, needed: &str) -> bool {
///         let stem = granted.strip_suffix('*').filter(|stem| stem.ends_with('-'));
///         Wildcards.allows(granted, needed)
///             || stem.is_some_and(|stem| needed.starts_with(stem))
///     }
///
///     // `foo-*` allows all that begins with `foo-`, so all that `foo-bar-*` allows.
///     fn covers(&self, granted: &str, other: &str) -> bool {
///         self.allows(granted, other)
///     }
/// }
///
/// let policy = Policy::default().with_scope_matcher(&Dashes);
/// let granted = ScopeSet::new("foo-* repo:*")?;
/// assert!(policy.allows_scope(&granted, &Scope::new("foo-bar")?));
/// assert!(policy.covers_scopes(&granted, &ScopeSet::new("foo-bar-* repo:read")?));
/// assert!(!policy.covers_scopes(&granted, &ScopeSet::new("*")?));
/// # Ok::<(), keyfob::Invalid>(())
/// ```
pub trait ScopeMatcher: Send + Sync {
    /// Returns the name of these rules, which does not change. A policy that is serialized contains
    /// the name. A deserialized policy with a name grants no scope until
    /// [`with_scope_matcher`](crate::Policy::with_scope_matcher) sets the matcher again.
    fn name(&self) -> &'static str;

    /// Returns whether a token that grants the scope `granted` may do what needs the scope
    /// `needed`. Both texts are valid [scopes](crate::Scope) and differ.
    ///
    /// Verifications call this method for each pair of a granted and a required scope, until one
    /// allows it. So it must be fast, must not block and must not panic. The same arguments must
    /// always give the same result, in every process of the service.
    fn allows(&self, granted: &str, needed: &str) -> bool;

    /// Returns whether the scope `granted` allows every scope that the scope `other` allows. A
    /// token can issue or keep a scope only if one of its scopes covers it. Both texts are valid
    /// scopes and differ.
    ///
    /// If you are not sure, return `false`. If `allows` is transitive, this method may return the
    /// result of `allows`. `allows` is transitive if, whenever `a` allows `b` and `b` allows `c`,
    /// `a` also allows `c`.
    fn covers(&self, _granted: &str, _other: &str) -> bool {
        false
    }
}

/// The default [matcher](ScopeMatcher). `*` allows every scope, and a scope that ends in `:*`
/// allows every scope that begins with the text before the `*`. `:*` alone is an ordinary scope.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wildcards;

impl ScopeMatcher for Wildcards {
    fn name(&self) -> &'static str {
        "wildcards"
    }

    fn allows(&self, granted: &str, needed: &str) -> bool {
        wildcard_allows(granted, needed)
    }

    /// Returns the same as `allows`, because the default wildcards are transitive.
    fn covers(&self, granted: &str, other: &str) -> bool {
        wildcard_allows(granted, other)
    }
}

/// Returns whether `granted` is one of the default wildcards and allows `needed`.
#[inline]
pub(super) fn wildcard_allows(granted: &str, needed: &str) -> bool {
    granted
        .strip_suffix('*')
        .is_some_and(|stem| stem.is_empty() || stem.len() > 1 && stem.ends_with(':') && needed.starts_with(stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Silent;

    impl ScopeMatcher for Silent {
        fn name(&self) -> &'static str {
            "silent"
        }

        fn allows(&self, _: &str, _: &str) -> bool {
            true
        }
    }

    #[test]
    fn a_matcher_that_does_not_say_what_it_covers_covers_nothing() {
        assert!(!Silent.covers("foo-*", "foo-bar"));
    }

    #[test]
    fn the_default_matcher_knows_the_two_wildcards() {
        for (granted, needed, allowed) in [
            ("*", "repo", true),
            ("*", "repo:*", true),
            ("repo:*", "repo:read", true),
            ("repo:*", "repo:", true),
            ("repo:*", "repo", false),
            ("repo:*", "*", false),
            ("repo*", "repository", false),
            (":*", ":read", false),
            ("**", "a", false),
            ("repo", "repo:read", false),
        ] {
            assert_eq!(Wildcards.allows(granted, needed), allowed, "{granted} {needed}");
            assert_eq!(Wildcards.covers(granted, needed), allowed, "{granted} {needed}");
        }
        assert_eq!(Wildcards.name(), "wildcards");
    }
}
