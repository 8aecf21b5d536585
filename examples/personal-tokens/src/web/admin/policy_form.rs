//! The form with a proposed policy. Its fields are part of the page's URL, because a preview
//! changes nothing.

use std::collections::HashMap;
use std::time::Duration;

use keyfob::{Policy, TokenKind, policy::Lifetimes};

use crate::tokens::expiry::in_units;
use crate::web::admin::policy_words::KINDS;

/// The fields of the form, in the order of the page.
pub struct PolicyForm {
    pub kinds: Vec<Kind>,
    pub limits: Vec<Field>,
}

/// The fields of one kind of token.
pub struct Kind {
    /// The first word of the names of the fields, such as "human".
    pub word: &'static str,
    pub title: &'static str,
    pub fields: Vec<Field>,
    pub never: bool,
}

/// A text field.
pub struct Field {
    pub name: String,
    pub label: &'static str,
    pub hint: &'static str,
    pub value: String,
    /// The reason why the value is wrong, as a sentence.
    pub error: Option<String>,
    /// Whether the field gets the focus, because it is the first wrong one.
    pub is_first: bool,
}

const SPAN: &str = "A number and a unit, such as 90 days or 12 hours.";
const SPAN_OR_NONE: &str = "Such as 60 days. Leave it empty for no limit.";

impl PolicyForm {
    /// Creates the form with the values of a policy.
    pub fn of(policy: &Policy) -> Self {
        let field = |name: String, label, hint, value| Field { name, label, hint, value, error: None, is_first: false };
        let kind = |(kind, word, title): (_, &'static str, &'static str)| {
            let Lifetimes { default, min, max, never_expiring } = *policy.lifetimes(kind);
            let fields = vec![
                field(format!("{word}_default"), "Default lifetime", SPAN, in_units(default)),
                field(
                    format!("{word}_min"),
                    "Minimum lifetime",
                    "Leave it empty for none.",
                    optional(Some(min).filter(|min| !min.is_zero())),
                ),
                field(format!("{word}_max"), "Maximum lifetime", SPAN, in_units(max)),
            ];
            Kind { word, title, fields, never: never_expiring }
        };
        let number = |number: u64| number.to_string();
        let limits = vec![
            field(
                "most_live_per_owner".into(),
                "Live tokens of a person in a project",
                "Leave it empty for no limit.",
                policy.most_live_per_owner().map_or_else(String::new, number),
            ),
            field(
                "most_live_per_issuer".into(),
                "Live agent tokens of a token",
                "A number.",
                number(policy.most_live_per_issuer()),
            ),
            field(
                "max_depth".into(),
                "Agent tokens in a chain",
                "From 0 to 4. With 0, agent tokens do not work.",
                number(policy.max_depth() as u64),
            ),
            field("max_unused".into(), "Longest time without use", SPAN_OR_NONE, optional(policy.max_unused())),
            field("max_grace".into(), "Longest grace period after a rotation", SPAN, in_units(policy.max_grace())),
        ];
        Self { kinds: KINDS.map(kind).into(), limits }
    }

    /// Replaces the values by the fields of a URL. A check box that is not in the URL is not
    /// checked.
    pub fn fill(&mut self, asked: &HashMap<String, String>) {
        for kind in &mut self.kinds {
            kind.never = asked.contains_key(&format!("{}_never", kind.word));
        }
        for field in self.fields() {
            if let Some(value) = asked.get(&field.name) {
                field.value.clone_from(value);
            }
        }
    }

    fn fields(&mut self) -> impl Iterator<Item = &mut Field> {
        self.kinds.iter_mut().flat_map(|kind| &mut kind.fields).chain(&mut self.limits)
    }

    /// Returns the proposed policy. A default lifetime outside of the bounds becomes the nearest
    /// bound, and a grace period above the longest lifetime becomes that lifetime, because a
    /// `config.json` that contradicts itself is refused. If a value is wrong, marks its field and
    /// returns `None`.
    pub fn policy(&mut self) -> Option<Policy> {
        let mut policy = Policy::default();
        for (kind, (of, ..)) in self.kinds.iter_mut().zip(KINDS) {
            let [default, min, max] = kind.fields.as_mut_slice() else { return None };
            let (default, lower, upper) = (default.span_above_zero(), min.optional_span(), max.span_above_zero());
            if let (Some(lower), Some(upper)) = (lower.flatten(), upper)
                && lower > upper
            {
                min.error = Some("The minimum is longer than the maximum.".into());
            }
            if let (Some(default), Some(lower), Some(upper)) = (default, lower, upper) {
                let min = lower.unwrap_or_default();
                let bounds = Lifetimes { default, min, max: upper, never_expiring: kind.never };
                policy = policy.with_lifetimes(of, Lifetimes { default: bounds.nearest(default), ..bounds });
            }
        }
        let [owner, issuer, depth, unused, grace] = self.limits.as_mut_slice() else { return None };
        if let Some(most) = owner.optional_number(u64::MAX).flatten() {
            if most == 0 {
                owner.error = Some("Enter a whole number above 0, or leave it empty.".into());
            }
            policy = policy.with_most_live_per_owner(most);
        }
        policy = policy.with_most_live_per_issuer(issuer.number(u64::MAX).unwrap_or_default());
        let depth = depth.number(u64::from(Policy::MAX_DEPTH)).unwrap_or_default();
        policy = policy.with_max_depth(u8::try_from(depth).unwrap_or(Policy::MAX_DEPTH));
        if policy.most_live_per_issuer() == 0 && policy.max_depth() > 0 && issuer.error.is_none() {
            issuer.error = Some("To forbid agent tokens, enter 0 as their number in a chain too.".into());
        }
        if !unused.value.trim().is_empty()
            && let Some(most) = unused.span_above_zero()
        {
            policy = policy.with_max_unused(most);
        }
        let human = policy.lifetimes(TokenKind::Human);
        let longest = if human.never_expiring { Duration::MAX } else { human.max };
        policy = policy.with_max_grace(grace.span().unwrap_or_default().min(longest));
        match self.fields().find(|field| field.error.is_some()) {
            Some(first) => {
                first.is_first = true;
                None
            }
            None => Some(policy),
        }
    }
}

fn optional(span: Option<Duration>) -> String {
    span.map_or_else(String::new, in_units)
}

impl Field {
    /// Returns the duration in the field. If it is wrong, notes the error and returns `None`.
    fn span(&mut self) -> Option<Duration> {
        let span = span(&self.value);
        if span.is_none() {
            self.error = Some("Enter a number and a unit, such as 90 days or 12 hours.".into());
        }
        span
    }

    /// Returns the duration in the field. If it is wrong or zero, notes the error and returns
    /// `None`.
    fn span_above_zero(&mut self) -> Option<Duration> {
        let span = self.span()?;
        if span.is_zero() {
            self.error = Some("Enter a time above zero.".into());
        }
        Some(span).filter(|span| !span.is_zero())
    }

    /// Returns the duration in the field, or `Some(None)` if the field is empty.
    fn optional_span(&mut self) -> Option<Option<Duration>> {
        if self.value.trim().is_empty() { Some(None) } else { self.span().map(Some) }
    }

    /// Returns the number in the field. If it is wrong or greater than `most`, notes the error and
    /// returns `None`.
    fn number(&mut self, most: u64) -> Option<u64> {
        let number = self.value.trim().parse().ok().filter(|number| *number <= most);
        if number.is_none() {
            let most = if most == u64::MAX { String::new() } else { format!(" from 0 to {most}") };
            self.error = Some(format!("Enter a whole number{most}."));
        }
        number
    }

    fn optional_number(&mut self, most: u64) -> Option<Option<u64>> {
        if self.value.trim().is_empty() { Some(None) } else { self.number(most).map(Some) }
    }
}

/// Returns the duration that a text such as "90 days" names.
fn span(text: &str) -> Option<Duration> {
    let text = text.trim().to_lowercase();
    let (number, unit) = text.split_at(text.find(|one: char| !one.is_ascii_digit())?);
    let seconds = match unit.trim() {
        "second" | "seconds" => 1,
        "minute" | "minutes" => 60,
        "hour" | "hours" => 60 * 60,
        "day" | "days" => 24 * 60 * 60,
        "week" | "weeks" => 7 * 24 * 60 * 60,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contradictions;

    #[test]
    fn spans_in_words() {
        const DAY: u64 = 24 * 60 * 60;
        for (text, seconds) in [
            ("90 days", Some(90 * DAY)),
            (" 1 Day ", Some(DAY)),
            ("2weeks", Some(14 * DAY)),
            ("12 hours", Some(12 * 60 * 60)),
            ("0 seconds", Some(0)),
            ("90", None),
            ("days", None),
            ("-1 days", None),
            ("1.5 days", None),
            ("9 months", None),
            ("", None),
            ("99999999999999999999 days", None),
            ("9999999999999999999 weeks", None),
        ] {
            assert_eq!(span(text).map(|span| span.as_secs()), seconds, "{text:?}");
        }
    }

    #[test]
    fn form_of_a_policy_gives_the_policy() {
        let day = Duration::from_secs(24 * 60 * 60);
        let other = Policy::default().with_never_expiring(true).with_most_live_per_owner(20).with_max_unused(60 * day);
        let other = other.with_max_depth(3).with_max_grace(Duration::ZERO).with_default_lifetime(day);
        for policy in [Policy::default(), other] {
            assert_eq!(PolicyForm::of(&policy).policy(), Some(policy));
        }
    }

    /// Returns the form of the default policy with these values.
    fn filled(asked: &[(&str, &str)]) -> PolicyForm {
        let mut form = PolicyForm::of(&Policy::default());
        form.fill(&asked.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect());
        form
    }

    #[test]
    fn proposed_policy_never_contradicts_itself() {
        for asked in [
            &[("human_max", "7 days")][..],
            &[("human_min", "40 days")],
            &[("human_max", "7 days"), ("human_never", "on"), ("max_grace", "40 days")],
            &[("most_live_per_issuer", "0"), ("max_depth", "0"), ("max_grace", "0 days")],
        ] {
            let policy = filled(asked).policy().expect("a policy");
            let written = serde_json::to_value(&policy).expect("it is serialized");
            assert_eq!(contradictions::first(&policy, &written, true), None, "{asked:?}");
        }
        for (field, value) in [
            ("human_default", "0 days"),
            ("agent_max", "0 days"),
            ("most_live_per_owner", "0"),
            ("most_live_per_issuer", "0"),
            ("max_unused", "0 days"),
        ] {
            let mut form = filled(&[(field, value)]);
            assert_eq!(form.policy(), None, "{field}");
            let wrong: Vec<_> = form.fields().filter(|field| field.error.is_some()).map(|field| &*field.name).collect();
            assert_eq!(wrong, [field]);
        }
    }

    #[test]
    fn wrong_fields_are_marked() {
        let mut form = PolicyForm::of(&Policy::default());
        let asked = [("human_max", "soon"), ("service_min", "400 days"), ("max_depth", "5"), ("max_unused", "")];
        form.fill(&asked.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!(form.policy(), None);
        let wrong: Vec<_> =
            form.fields().filter(|field| field.error.is_some()).map(|field| field.name.clone()).collect();
        assert_eq!(wrong, ["human_max", "service_min", "max_depth"]);
        assert_eq!(
            form.fields().filter(|field| field.is_first).map(|field| &*field.name).collect::<Vec<_>>(),
            ["human_max"]
        );
    }
}
