//! Tests the law of scope matchers: a scope that covers another one allows all that the other one
//! allows. Random scopes hold the default matcher and a matcher of a service to it, and find the
//! fault of a wrong matcher.

use keyfob::{
    Policy, Scope, ScopeSet,
    policy::{ScopeMatcher, Wildcards},
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};

/// A matcher of a service: `foo-*` allows every scope that begins with `foo-`. The default
/// wildcards apply too.
struct Dashes;

fn stem(granted: &str) -> Option<&str> {
    granted.strip_suffix('*').filter(|stem| stem.ends_with('-'))
}

impl ScopeMatcher for Dashes {
    fn name(&self) -> &'static str {
        "dashes"
    }

    fn allows(&self, granted: &str, needed: &str) -> bool {
        Wildcards.allows(granted, needed) || stem(granted).is_some_and(|stem| needed.starts_with(stem))
    }

    fn covers(&self, granted: &str, other: &str) -> bool {
        self.allows(granted, other)
    }
}

/// The same rules, but `foo-*` covers what begins with `foo`, as if there were no dash.
struct Dashless;

impl ScopeMatcher for Dashless {
    fn name(&self) -> &'static str {
        "dashless"
    }

    fn allows(&self, granted: &str, needed: &str) -> bool {
        Dashes.allows(granted, needed)
    }

    fn covers(&self, granted: &str, other: &str) -> bool {
        stem(granted).is_some_and(|stem| other.starts_with(stem.trim_end_matches('-')))
    }
}

/// A matcher in which the deputy of the owner may do less than the owner: `allows` is not
/// transitive, but `covers` returns the same as `allows`.
struct Deputies;

impl ScopeMatcher for Deputies {
    fn name(&self) -> &'static str {
        "deputies"
    }

    fn allows(&self, granted: &str, needed: &str) -> bool {
        matches!((granted, needed), ("b", "a") | ("a", "b-a"))
    }

    fn covers(&self, granted: &str, other: &str) -> bool {
        self.allows(granted, other)
    }
}

/// Returns scopes of few letters, so that they are often related.
fn scope() -> impl Strategy<Value = String> {
    prop_oneof![3 => "(a|b|ab)([-:](a|b|ab)){0,2}([-:]?\\*)?", 1 => "[ab:*-]{1,4}"]
}

fn set() -> impl Strategy<Value = String> {
    proptest::collection::vec(scope(), 0..4).prop_map(|scopes| scopes.join(" "))
}

fn run<S: Strategy>(
    strategy: &S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) -> Result<(), TestError<S::Value>> {
    let config = Config { cases: 40_000, failure_persistence: None, max_shrink_iters: 1000, ..Config::default() };
    TestRunner::new(config).run(strategy, test)
}

/// Checks the law for sets, as a policy with this matcher applies it. Returns the number of cases
/// in which a set covered a different set that grants something.
fn holds(policy: &Policy) -> Result<usize, TestError<(String, String, Vec<String>)>> {
    let covered = std::cell::Cell::new(0);
    let needed = proptest::collection::vec(scope(), 1..12);
    run(&(set(), set(), needed), |(one, other, needed)| {
        let (one, other) = (ScopeSet::new(&one).unwrap(), ScopeSet::new(&other).unwrap());
        if policy.covers_scopes(&one, &other) {
            covered.set(covered.get() + usize::from(one != other && !other.as_str().is_empty()));
            let needed = needed.iter().map(String::as_str).chain(other.iter());
            for needed in needed.map(|text| Scope::new(text).unwrap()) {
                let escalates = policy.allows_scope(&other, &needed) && !policy.allows_scope(&one, &needed);
                prop_assert!(!escalates, "{one} covers {other}, but does not allow {needed}");
            }
        }
        Ok(())
    })?;
    Ok(covered.get())
}

#[test]
fn a_set_that_covers_another_allows_all_that_the_other_allows() {
    for policy in [
        Policy::default(),
        Policy::default().with_scope_matcher(&Wildcards),
        Policy::default().with_scope_matcher(&Dashes),
    ] {
        let covered = holds(&policy).unwrap();
        assert!(covered >= 500, "only {covered} cases tested the law: {policy:?}");
    }
}

#[test]
fn a_matcher_that_covers_too_much_is_found() {
    // keyfob itself takes no scope as covered that the other scope does not allow, so the fault
    // of this matcher has no effect.
    holds(&Policy::default().with_scope_matcher(&Dashless)).unwrap();
    // The fault of this matcher has an effect, and only a test of the law finds it.
    assert!(holds(&Policy::default().with_scope_matcher(&Deputies)).is_err());
}

#[cfg(feature = "conformance")]
#[test]
fn the_test_for_services_finds_wrong_matchers() {
    use keyfob::conformance::scope_matcher;

    let examples = ["a-*", "a-b", "b:*", "b", "*"];
    scope_matcher(&Wildcards, &examples).assert();
    scope_matcher(&Dashes, &examples).assert();
    for (matcher, examples) in [(&Dashless as &dyn ScopeMatcher, &examples[..2]), (&Deputies, &["a", "b", "b-a"])] {
        let report = scope_matcher(matcher, examples);
        let cases: Vec<_> = report.failed.iter().map(|violation| violation.case).collect();
        assert_eq!(cases, ["covered_scopes_allow_no_more"], "{}: {report}", matcher.name());
    }
}

#[test]
fn a_policy_with_the_default_matcher_is_as_one_without() {
    let (without, with) = (Policy::default(), Policy::default().with_scope_matcher(&Wildcards));
    run(&(set(), set(), scope()), |(one, other, needed)| {
        let (one, other) = (ScopeSet::new(&one).unwrap(), ScopeSet::new(&other).unwrap());
        let needed = Scope::new(&needed).unwrap();
        prop_assert_eq!(without.allows_scope(&one, &needed), one.allows(&needed));
        prop_assert_eq!(with.allows_scope(&one, &needed), one.allows(&needed));
        prop_assert_eq!(without.covers_scopes(&one, &other), one.covers(&other));
        prop_assert_eq!(with.covers_scopes(&one, &other), one.covers(&other));
        Ok(())
    })
    .unwrap();
}
