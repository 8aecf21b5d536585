//! Tests the law of scope matchers: a scope that covers another one allows all that the other one
//! allows. Random scopes hold the default matcher and a matcher of a service to it, and find the
//! fault of a wrong matcher.

use keyfob::{
    Policy, Scope, ScopeSet,
    policy::{ScopeMatcher, Wildcards},
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};

use crate::support::size;

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

/// Returns all scopes of one or two words, and all texts of up to three characters. They have few
/// letters, so that they are often related.
fn scopes() -> Vec<String> {
    let words = ["a", "b", "ab"];
    let pairs = words.iter().flat_map(|one| ["-", ":"].map(|separator| format!("{one}{separator}")));
    let pairs = pairs.flat_map(|start| words.map(|word| format!("{start}{word}")));
    let names: Vec<String> = words.iter().map(|word| (*word).to_owned()).chain(pairs).collect();
    let ends = ["", "*", "-*", ":*"];
    let mut scopes: Vec<String> = names.iter().flat_map(|name| ends.map(|end| format!("{name}{end}"))).collect();
    let mut short = vec![String::new()];
    for _ in 0..3 {
        short = short.iter().flat_map(|text| ["a", "b", "-", ":", "*"].map(|more| format!("{text}{more}"))).collect();
        scopes.extend_from_slice(&short);
    }
    scopes
}

/// A scope from a list, or a scope that is derived from an earlier scope.
#[derive(Clone, Debug)]
enum Choice {
    Any(String),
    Earlier(usize),
    /// An earlier scope without its `*`, followed by this scope.
    Longer(usize, String),
}

impl Choice {
    fn of(self, earlier: &[String]) -> Option<String> {
        let chosen = |at: usize| earlier.get(at % earlier.len().max(1));
        match self {
            Self::Any(scope) => Some(scope),
            Self::Earlier(at) => chosen(at).cloned(),
            Self::Longer(at, more) => chosen(at).map(|start| format!("{}{more}", start.trim_end_matches('*'))),
        }
    }
}

/// Returns two sets and scopes that may be needed. Each is often derived from the one before it.
fn related(scopes: Vec<String>) -> impl Strategy<Value = [Vec<String>; 3]> {
    let scope = proptest::sample::select(scopes);
    let choice = prop_oneof![
        2 => scope.clone().prop_map(Choice::Any),
        1 => any::<usize>().prop_map(Choice::Earlier),
        2 => (any::<usize>(), scope.clone()).prop_map(|(at, more)| Choice::Longer(at, more)),
    ];
    let one = proptest::collection::vec(scope, 0..4);
    let other = proptest::collection::vec(choice.clone(), 0..3);
    let needed = proptest::collection::vec(choice, 1..8);
    (one, other, needed).prop_map(|(one, other, needed)| {
        let other: Vec<String> = other.into_iter().filter_map(|choice| choice.of(&one)).collect();
        let needed = needed.into_iter().filter_map(|choice| choice.of(&other)).collect();
        [one, other, needed]
    })
}

fn set(scopes: &[String]) -> ScopeSet {
    ScopeSet::new(&scopes.join(" ")).unwrap()
}

fn run<S: Strategy>(
    strategy: &S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) -> Result<(), TestError<S::Value>> {
    let cases = if size::is_full() { 100_000 } else { 10_000 };
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 1000, ..Config::default() };
    TestRunner::new(config).run(strategy, test)
}

/// Checks the law for sets of these scopes, as a policy applies it. Returns the number of cases in
/// which a set covered a different set that grants something.
fn holds(policy: &Policy, scopes: Vec<String>) -> Result<usize, TestError<[Vec<String>; 3]>> {
    let covered = std::cell::Cell::new(0);
    run(&related(scopes), |[one, other, needed]| {
        let (one, other) = (set(&one), set(&other));
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
        let covered = holds(&policy, scopes()).unwrap();
        println!("{covered} cases tested the law: {policy:?}");
        assert!(covered >= 400, "only {covered} cases tested the law: {policy:?}");
    }
}

#[test]
fn a_matcher_that_covers_too_much_is_found() {
    // keyfob itself takes no scope as covered that the other scope does not allow, so the fault
    // of this matcher has no effect.
    holds(&Policy::default().with_scope_matcher(&Dashless), scopes()).unwrap();
    // The fault of this matcher has an effect, and only a test of the law finds it.
    let few = ["a", "b", "b-a", "b-b"].map(str::to_owned).to_vec();
    assert!(holds(&Policy::default().with_scope_matcher(&Deputies), few).is_err());
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
    run(&related(scopes()), |[one, other, needed]| {
        let (one, other) = (set(&one), set(&other));
        for needed in needed.iter().map(|text| Scope::new(text).unwrap()) {
            prop_assert_eq!(without.allows_scope(&one, &needed), one.allows(&needed));
            prop_assert_eq!(with.allows_scope(&one, &needed), one.allows(&needed));
        }
        prop_assert_eq!(without.covers_scopes(&one, &other), one.covers(&other));
        prop_assert_eq!(with.covers_scopes(&one, &other), one.covers(&other));
        Ok(())
    })
    .unwrap();
}
