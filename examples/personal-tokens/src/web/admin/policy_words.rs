//! Puts a policy and its breaches into words.

use std::time::Duration;

use keyfob::{
    Policy, TokenKind,
    policy::{Lifetimes, PolicyBreach},
};

use crate::tokens::expiry::in_units;
use crate::web::plural::counted;

/// The kinds of tokens in the order of the page, each with the word in form fields and the title.
pub const KINDS: [(TokenKind, &str, &str); 3] = [
    (TokenKind::Human, "human", "Tokens of people"),
    (TokenKind::Service, "service", "Tokens of services"),
    (TokenKind::Agent, "agent", "Tokens of agents"),
];

/// Returns the rules of a policy: a title and sentences for each group.
pub fn rules(policy: &Policy) -> Vec<(&'static str, Vec<String>)> {
    let mut rules: Vec<_> = KINDS.iter().map(|(kind, _, title)| (*title, lifetimes(policy.lifetimes(*kind)))).collect();
    rules.push(("Limits", limits(policy)));
    rules
}

fn lifetimes(lifetimes: &Lifetimes) -> Vec<String> {
    let Lifetimes { default, min, max, never_expiring } = *lifetimes;
    let mut says =
        vec![format!("They live for {} unless the person chooses another time.", in_units(lifetimes.nearest(default)))];
    says.push(match min {
        Duration::ZERO => format!("They live for at most {}.", in_units(max)),
        min => format!("They live for at least {} and at most {}.", in_units(min), in_units(max)),
    });
    says.push(if never_expiring { "They may never expire." } else { "Each one must expire." }.into());
    says
}

fn limits(policy: &Policy) -> Vec<String> {
    let owner = match policy.most_live_per_owner() {
        Some(most) => format!("A person may have {} in a project.", counted(most, "live token")),
        None => "A person may have any number of live tokens in a project.".into(),
    };
    let depth = match policy.max_depth() {
        0 => "Agent tokens do not work.".into(),
        1 => "An agent token cannot create agent tokens.".into(),
        depth => format!("Agent tokens can create agent tokens, up to {depth} in a chain."),
    };
    let unused = match policy.max_unused() {
        Some(most) => format!("A token is blocked when it was not used for {}.", in_units(most)),
        None => "A token may go unused for any time.".into(),
    };
    let grace = match policy.max_grace() {
        Duration::ZERO => "A rotated token ends immediately.".into(),
        most => format!("A rotated token may work for {} more.", in_units(most)),
    };
    let issuer = format!("A token may have {}.", counted(policy.most_live_per_issuer(), "live agent token"));
    vec![owner, issuer, depth, unused, grace]
}

/// Returns the reason why a policy would block a token, in words.
pub fn breach(breach: PolicyBreach, policy: &Policy) -> String {
    match breach {
        PolicyBreach::NeverExpires => "It never expires".into(),
        PolicyBreach::TooLong => "It lives longer than the policy allows".into(),
        PolicyBreach::TooShort => "It lives shorter than the policy allows".into(),
        PolicyBreach::Unused => {
            let most = policy.max_unused().map_or_else(String::new, |most| format!(" for {}", in_units(most)));
            format!("It was not used{most}")
        }
        PolicyBreach::ChainTooLong => "An agent token created it, and the chain is too long".into(),
        _ => "The policy does not allow it".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_in_words() {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let text = |policy: &Policy| rules(policy).into_iter().flat_map(|(_, says)| says).collect::<Vec<_>>().join(" ");
        let default = text(&Policy::default());
        for says in [
            "They live for 30 days unless",
            "at most 366 days.",
            "Each one must expire.",
            "any number of live",
            "for any time.",
        ] {
            assert!(default.contains(says), "{says}: {default}");
        }
        let policy = Policy::default().with_never_expiring(true).with_most_live_per_owner(1).with_max_unused(60 * DAY);
        let text = text(&policy.with_max_depth(2).with_max_grace(Duration::ZERO).with_most_live_per_issuer(0));
        for says in [
            "They may never expire.",
            "may have 1 live token in",
            "0 live agent tokens",
            "up to 2 in a chain",
            "for 60 days.",
            "ends immediately",
        ] {
            assert!(text.contains(says), "{says}: {text}");
        }
    }
}
