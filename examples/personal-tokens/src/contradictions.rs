//! Finds contradictions in the policy of `config.json`. keyfob itself takes such a policy: a token
//! outside of it is refused, or the nearest allowed lifetime applies.

use keyfob::{Policy, TokenKind, policy::Lifetimes};
use serde_json::Value;

/// The kinds of tokens with the names of their fields.
const KINDS: [(TokenKind, &str); 3] =
    [(TokenKind::Human, "human"), (TokenKind::Service, "service"), (TokenKind::Agent, "agent")];

/// Returns the first contradiction of a policy: its fields, their values, and what to do. `written`
/// is the same policy as it is written in the file. `allow_never` is whether the command line
/// allows tokens that never expire.
pub fn first(policy: &Policy, written: &Value, allow_never: bool) -> Option<String> {
    KINDS
        .iter()
        .find_map(|(kind, name)| of_lifetimes(policy.lifetimes(*kind), name, &written[*name], allow_never))
        .or_else(|| of_limits(policy, written))
}

/// Returns the first contradiction of the lifetimes of a kind of token. `kind` is the name of their
/// field, and `written` its value in the file.
fn of_lifetimes(lifetimes: &Lifetimes, kind: &str, written: &Value, allow_never: bool) -> Option<String> {
    let Lifetimes { default, min, max, .. } = *lifetimes;
    let field = |name: &str| format!("policy.{kind}.{name}");
    let bound = |name: &str, seconds: u64| {
        let by_default = if written[name].is_null() { " by default" } else { "" };
        format!("{}, which is {seconds}{by_default}", field(name))
    };
    let (minimum, maximum) = (bound("min_seconds", min.as_secs()), bound("max_seconds", max.as_secs()));
    let (shortest, usual) = (field("min_seconds"), field("default_seconds"));
    // keyfob fits its own default lifetime into the bounds. One that is written must fit.
    let has_default = !written["default_seconds"].is_null();
    if max.is_zero() {
        Some(format!("{} must be above 0: with 0, no token could be issued", field("max_seconds")))
    } else if min > max {
        Some(format!("{shortest} is {}, and must not be above {maximum}", min.as_secs()))
    } else if has_default && default.is_zero() {
        Some(format!("{usual} must be above 0: with 0, a token would end when it is issued"))
    } else if has_default && default < min {
        Some(format!("{usual} is {}, and must not be below {minimum}", default.as_secs()))
    } else if has_default && default > max {
        Some(format!("{usual} is {}, and must not be above {maximum}", default.as_secs()))
    } else if !allow_never && written["never_expiring"] == true {
        Some(format!("{} is true, and --no-never forbids it: leave out one of the two", field("never_expiring")))
    } else {
        None
    }
}

/// Returns the first contradiction of the other limits.
fn of_limits(policy: &Policy, written: &Value) -> Option<String> {
    let human = policy.lifetimes(TokenKind::Human);
    let grace = policy.max_grace();
    let depth = written["max_depth"].as_u64().filter(|depth| *depth > u64::from(Policy::MAX_DEPTH));
    if policy.most_live_per_owner() == Some(0) {
        Some("policy.most_live_per_owner must be above 0: with 0, no token could be issued".into())
    } else if let Some(depth) = depth {
        Some(format!("policy.max_depth is {depth}, and must not be above {}", Policy::MAX_DEPTH))
    } else if policy.most_live_per_issuer() == 0 && policy.max_depth() > 0 {
        let by_default = if written["max_depth"].is_null() { " by default" } else { "" };
        Some(format!(
            "policy.most_live_per_issuer is 0, and policy.max_depth is {}{by_default}: to forbid agent tokens, set \
             policy.max_depth to 0",
            policy.max_depth()
        ))
    } else if policy.max_unused().is_some_and(|time| time.is_zero()) {
        Some("policy.max_unused_seconds must be above 0: with 0, each token would be refused".into())
    } else if !written["max_grace_seconds"].is_null() && !human.never_expiring && grace > human.max {
        let by_default = if written["human"]["max_seconds"].is_null() { " by default" } else { "" };
        Some(format!(
            "policy.max_grace_seconds is {}, and must not be above policy.human.max_seconds, which is {}{by_default}",
            grace.as_secs(),
            human.max.as_secs()
        ))
    } else if !written["scope_matcher"].is_null() {
        Some("policy.scope_matcher must be left out: this service has no matcher, so no scope would be granted".into())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Checks a policy without `--no-never` if `allow_never`, and with it if not.
    #[track_caller]
    fn says(policy: &Value, allow_never: bool, text: Option<&str>) {
        let read = serde_json::from_value(policy.clone()).expect("a policy");
        assert_eq!(first(&read, policy, allow_never).as_deref(), text, "{policy}");
    }

    #[test]
    fn each_contradiction_is_named_with_its_fields() {
        for (policy, text) in [
            (
                json!({"human": {"min_seconds": 61, "max_seconds": 60}}),
                "policy.human.min_seconds is 61, and must not be above policy.human.max_seconds, which is 60",
            ),
            (
                json!({"service": {"min_seconds": 31_622_401}}),
                "policy.service.min_seconds is 31622401, and must not be above policy.service.max_seconds, which is \
                 31622400 by default",
            ),
            (
                json!({"human": {"default_seconds": 59, "min_seconds": 60}}),
                "policy.human.default_seconds is 59, and must not be below policy.human.min_seconds, which is 60",
            ),
            (
                json!({"agent": {"default_seconds": 604_801}}),
                "policy.agent.default_seconds is 604801, and must not be above policy.agent.max_seconds, which is 604800 by \
                 default",
            ),
            (
                json!({"human": {"default_seconds": 0}}),
                "policy.human.default_seconds must be above 0: with 0, a token would end when it is issued",
            ),
            (
                json!({"human": {"max_seconds": 0}}),
                "policy.human.max_seconds must be above 0: with 0, no token could be issued",
            ),
            (
                json!({"most_live_per_owner": 0}),
                "policy.most_live_per_owner must be above 0: with 0, no token could be issued",
            ),
            (
                json!({"most_live_per_issuer": 0}),
                "policy.most_live_per_issuer is 0, and policy.max_depth is 1 by default: to forbid agent tokens, set \
                 policy.max_depth to 0",
            ),
            (json!({"max_depth": 5}), "policy.max_depth is 5, and must not be above 4"),
            (
                json!({"max_unused_seconds": 0}),
                "policy.max_unused_seconds must be above 0: with 0, each token would be refused",
            ),
            (
                json!({"human": {"max_seconds": 60}, "max_grace_seconds": 61}),
                "policy.max_grace_seconds is 61, and must not be above policy.human.max_seconds, which is 60",
            ),
            (
                json!({"max_grace_seconds": 31_622_401}),
                "policy.max_grace_seconds is 31622401, and must not be above policy.human.max_seconds, which is 31622400 by \
                 default",
            ),
            (
                json!({"scope_matcher": "paths"}),
                "policy.scope_matcher must be left out: this service has no matcher, so no scope would be granted",
            ),
        ] {
            says(&policy, true, Some(text));
        }
    }

    #[test]
    fn a_bound_itself_is_no_contradiction() {
        for policy in [
            json!({}),
            json!({"human": {"default_seconds": 60, "min_seconds": 60, "max_seconds": 60}, "max_grace_seconds": 60}),
            // The default lifetime, 30 days, is not written, so it follows the maximum.
            json!({"human": {"max_seconds": 60}}),
            json!({"human": {"min_seconds": 31_622_400}}),
            json!({"human": {"max_seconds": 60, "never_expiring": true}, "max_grace_seconds": 61}),
            json!({"max_depth": 4, "most_live_per_owner": 1, "most_live_per_issuer": 1, "max_unused_seconds": 1}),
            json!({"max_depth": 0, "most_live_per_issuer": 0, "max_grace_seconds": 0, "scope_matcher": null}),
            serde_json::to_value(Policy::default()).expect("it is serialized"),
        ] {
            says(&policy, true, None);
        }
    }

    #[test]
    fn never_expiring_in_the_file_contradicts_the_option() {
        for kind in ["human", "service", "agent"] {
            let policy = json!({kind: {"never_expiring": true}});
            let text =
                format!("policy.{kind}.never_expiring is true, and --no-never forbids it: leave out one of the two");
            says(&policy, false, Some(&text));
            says(&policy, true, None);
            says(&json!({kind: {"never_expiring": false}}), false, None);
        }
    }
}
