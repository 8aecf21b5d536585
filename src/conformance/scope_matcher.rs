//! The laws of a scope matcher, tested on scopes that are generated from examples.

use std::collections::BTreeSet;

use super::verdict::{Report, Violation};
use crate::rules::scope::Scope;
use crate::rules::scope_matcher::ScopeMatcher;

/// The maximum number of scopes that are generated. Each pair of them is compared.
const MOST: usize = 1_000;

/// Tests a [`ScopeMatcher`] on up to 1,000 scopes, which are generated from `examples`. Give at
/// least one example of each form that the matcher treats specially, and of an ordinary scope.
///
/// The scopes are the examples, their parts, joined parts of two examples, and all short texts of
/// the characters that separate these parts. The same examples always give the same scopes.
///
/// - `covered_scopes_allow_no_more`: if [`covers`](ScopeMatcher::covers) returns `true` for `a` and
///   `b`, then `a` allows every generated scope that `b` allows.
/// - `examples_reach_the_matcher`: some generated scope allows another one. Otherwise, the examples
///   do not test anything.
///
/// A passed test does not prove that the matcher is right for all scopes.
///
/// ```
/// use keyfob::conformance;
/// use keyfob::policy::{ScopeMatcher, Wildcards};
///
/// conformance::scope_matcher(&Wildcards, &["repo:*", "repo:read", "*"]).assert();
///
/// /// `foo-*` allows what begins with `foo-`. `covers` forgets the dash.
/// struct Wrong;
///
/// impl ScopeMatcher for Wrong {
///     fn name(&self) -> &'static str {
///         "wrong"
///     }
///
///     fn allows(&self, granted: &str, needed: &str) -> bool {
///         granted.strip_suffix("-*").is_some_and(|stem| {
///             needed.strip_prefix(stem).is_some_and(|rest| rest.starts_with('-'))
///         })
///     }
///
///     fn covers(&self, granted: &str, other: &str) -> bool {
///         granted.strip_suffix("-*").is_some_and(|stem| other.starts_with(stem))
///     }
/// }
///
/// let report = conformance::scope_matcher(&Wrong, &["foo-*", "foo-bar", "foobar-*"]);
/// assert_eq!(report.failed[0].case, "covered_scopes_allow_no_more");
/// ```
pub fn scope_matcher(matcher: &dyn ScopeMatcher, examples: &[&str]) -> Report {
    let scopes: Vec<String> = generated(examples).into_iter().collect();
    let allowed: Vec<Bits> = scopes.iter().map(|granted| Bits::of(matcher, granted, &scopes)).collect();
    let mut report = Report::default();
    report.add("covered_scopes_allow_no_more", covered_scopes_allow_no_more(matcher, &scopes, &allowed));
    report.add("examples_reach_the_matcher", examples_reach_the_matcher(&allowed));
    report
}

fn covered_scopes_allow_no_more(
    matcher: &dyn ScopeMatcher,
    scopes: &[String],
    allowed: &[Bits],
) -> Result<(), Violation> {
    for (granted, allowed_by_granted) in scopes.iter().zip(allowed) {
        for (other, allowed_by_other) in scopes.iter().zip(allowed) {
            if granted != other
                && let Some(at) = allowed_by_other.first_outside(allowed_by_granted)
                && matcher.covers(granted, other)
            {
                let (case, needed) = ("covered_scopes_allow_no_more", &scopes[at]);
                let what = format!("{granted:?} covers {other:?}, but only {other:?} allows {needed:?}");
                return Err(Violation { case, what });
            }
        }
    }
    Ok(())
}

fn examples_reach_the_matcher(allowed: &[Bits]) -> Result<(), Violation> {
    if allowed.iter().any(|allowed| allowed.count() > 1) {
        return Ok(());
    }
    let what = "no generated scope allows another one: add examples of the forms that the matcher knows".to_owned();
    Err(Violation { case: "examples_reach_the_matcher", what })
}

/// The scopes that one scope allows, one bit for each generated scope.
struct Bits(Vec<u64>);

impl Bits {
    fn of(matcher: &dyn ScopeMatcher, granted: &str, scopes: &[String]) -> Self {
        let mut bits = vec![0; scopes.len().div_ceil(64)];
        for (at, needed) in scopes.iter().enumerate() {
            // keyfob itself decides that each scope allows itself.
            if granted == needed || matcher.allows(granted, needed) {
                bits[at / 64] |= 1 << (at % 64);
            }
        }
        Self(bits)
    }

    /// Returns the place of the first bit that is set here and not in `other`.
    fn first_outside(&self, other: &Self) -> Option<usize> {
        let more = self.0.iter().zip(&other.0).map(|(own, other)| own & !other);
        let (word, bits) = more.enumerate().find(|(_, bits)| *bits != 0)?;
        Some(word * 64 + bits.trailing_zeros() as usize)
    }

    fn count(&self) -> u32 {
        self.0.iter().map(|bits| bits.count_ones()).sum()
    }
}

/// Returns the valid scopes that are generated from the examples, at most [`MOST`].
fn generated(examples: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut add = |text: String| {
        if found.len() < MOST && Scope::new(&text).is_ok() {
            found.insert(text);
        }
    };
    examples.iter().for_each(|example| add((*example).to_owned()));
    let separators: BTreeSet<char> = examples
        .iter()
        .flat_map(|example| example.chars())
        .filter(|c| !c.is_alphanumeric())
        .chain(['*', ':'])
        .collect();
    // First the texts nearest to the examples, because the number of scopes is limited.
    let starts: BTreeSet<&str> = examples.iter().flat_map(|example| cuts(example).map(|at| &example[..at])).collect();
    let ends: BTreeSet<&str> = examples.iter().flat_map(|example| cuts(example).map(|at| &example[at..])).collect();
    for start in &starts {
        for tail in ["", "*", "x", "x*"] {
            add(format!("{start}{tail}"));
            for separator in &separators {
                add(format!("{start}{separator}{tail}"));
            }
        }
    }
    ends.iter().for_each(|end| add((*end).to_owned()));
    // All texts of up to three characters that separate parts, with one letter.
    let letters: Vec<char> = separators.iter().copied().chain(['x']).collect();
    let mut short = vec![String::new()];
    for _ in 0..3 {
        short = short.iter().flat_map(|text| letters.iter().map(move |letter| format!("{text}{letter}"))).collect();
        short.truncate(MOST / 4);
        short.iter().for_each(|text| add(text.clone()));
    }
    for start in &starts {
        ends.iter().for_each(|end| add(format!("{start}{end}")));
    }
    found
}

/// Returns the places at which a text is cut: its start, its end, and each place next to a
/// character that is not alphanumeric.
fn cuts(text: &str) -> impl Iterator<Item = usize> {
    let sides = text.char_indices().filter(|(_, c)| !c.is_alphanumeric()).flat_map(|(at, c)| [at, at + c.len_utf8()]);
    core::iter::once(0).chain(sides).chain([text.len()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::scope_matcher::Wildcards;

    const EXAMPLES: [&str; 4] = ["repo:*", "repo:read", "*", "user"];

    #[test]
    fn scopes_are_generated_from_the_examples_in_a_limited_number() {
        let scopes = generated(&EXAMPLES);
        for text in ["repo:*", "repo", "repo:x", "repo*", "user:*", "*", "::*", "repo:user", "*:x", "x", "repo:x*"] {
            assert!(scopes.contains(text), "{text}: {scopes:?}");
        }
        let many: Vec<String> = (0..300).map(|n| format!("resource{n}:read/all")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(generated(&many).len(), MOST);
        assert!(generated(&["", "é", "a b"]).iter().all(|text| Scope::new(text).is_ok()));
    }

    #[test]
    fn the_default_matcher_keeps_the_laws() {
        let report = scope_matcher(&Wildcards, &EXAMPLES);
        assert_eq!(report.to_string(), "2 laws kept, 0 broken");
    }

    #[test]
    fn examples_that_do_not_reach_the_matcher_are_reported() {
        struct Words;
        impl ScopeMatcher for Words {
            fn name(&self) -> &'static str {
                "words"
            }
            fn allows(&self, granted: &str, needed: &str) -> bool {
                granted == "administrator" && needed == "reader"
            }
        }
        let report = scope_matcher(&Words, &["reader", "writer"]);
        assert_eq!(report.failed[0].case, "examples_reach_the_matcher");
        scope_matcher(&Words, &["administrator", "reader"]).assert();
    }

    /// A matcher with a hierarchy that `*` does not respect: `owner` allows `billing`.
    #[test]
    fn a_wildcard_that_covers_a_right_with_consequences_is_reported() {
        struct Hierarchy;
        impl ScopeMatcher for Hierarchy {
            fn name(&self) -> &'static str {
                "hierarchy"
            }
            fn allows(&self, granted: &str, needed: &str) -> bool {
                Wildcards.allows(granted, needed) || granted == "team:owner" && needed == "billing"
            }
            fn covers(&self, granted: &str, other: &str) -> bool {
                self.allows(granted, other)
            }
        }
        let report = scope_matcher(&Hierarchy, &["team:owner", "team:*", "billing"]);
        let what = r#""team:*" covers "team:owner", but only "team:owner" allows "billing""#;
        assert_eq!(report.failed[0].what, what);
    }
}
