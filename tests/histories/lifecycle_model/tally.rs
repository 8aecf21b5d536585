//! Counts the outcomes of each kind of operation, and checks that each outcome occurred often
//! enough.

use std::collections::BTreeMap;

use crate::lifecycle_model::act::Act;
use crate::lifecycle_model::model::Model;

/// The number of times that each kind of operation had each outcome. The keys are the kind and the
/// outcome.
#[derive(Default)]
pub struct Tally(BTreeMap<(String, String), u64>);

/// The limit for rare outcomes. If one in `n` histories runs, an outcome is rare if [`ENDS`]
/// requires fewer than `n` times this number of occurrences.
const RARE: u64 = 10;

/// The minimum number of times that each kind of operation must have each outcome. Each number is
/// about a quarter of the count in a short run on `MemoryStore`.
const ENDS: [(&str, &str, u64); 83] = [
    ("Issue", "done", 3000),
    ("Issue", "limit", 40),
    ("Issue", "never_expires", 150),
    ("Confirm", "done", 300),
    ("Confirm", "lapsed", 80),
    ("Disable", "done", 250),
    ("Enable", "done", 200),
    ("EndGrace", "done", 3),
    ("Narrow", "done", 120),
    ("Narrow", "wider", 120),
    ("Rename", "done", 150),
    ("Verify", "done", 300),
    ("Verify", "address", 60),
    ("Verify", "policy", 40),
    ("Verify", "rotated", 60),
    ("Verify", "scope", 120),
    ("Verify", "unknown", 60),
    ("Verify", "owner_suspended", 50),
    ("Verify", "owner_outside_project", 50),
    ("SetClock back", "done", 1500),
    ("SetOwner suspended", "done", 150),
    ("SetOwner outside", "done", 150),
    ("Rotate", "done", 500),
    ("Rotate", "pending", 80),
    ("Rotate", "revoked", 600),
    ("Rotate", "predecessor_in_grace", 1),
    ("Rotate", "grace_too_long", 80),
    ("Rotate twice", "superseded", 200),
    ("Rotate again", "done", 150),
    ("Rotate again", "superseded", 150),
    ("Rotate again", "revoked", 100),
    ("Rotate again", "expired", 250),
    ("Rotate again", "disabled", 35),
    ("Keep", "done", 400),
    ("Keep", "scope", 120),
    ("Keep", "revoked", 300),
    ("Issue within", "done", 1000),
    ("Issue within", "chain_too_long", 200),
    ("Issue within", "limit", 40),
    ("Issue within", "manage", 40),
    ("Issue within", "independent", 20),
    ("Issue within", "ended_issuer_ended", 150),
    ("Issue within", "kind", 3),
    ("Issue within", "metadata", 2),
    ("Issue within", "scopes", 5),
    ("Issue within", "expiry", 3),
    ("Issue within", "other_owner", 2),
    ("Issue within", "other_project", 2),
    ("Issue within", "ended_expired", 120),
    ("Issue within", "ended_policy", 2),
    ("Issue within", "ended_owner_suspended", 1),
    ("Issue within of a changed manager", "done", 2),
    ("Issue within of a changed manager", "ended_revoked", 100),
    ("Issue within of a changed manager", "ended_rotated", 150),
    ("Issue within of a changed manager", "ended_disabled", 3),
    ("Issue within of a changed manager", "ended_unknown", 50),
    ("Rotate by itself", "done", 80),
    ("Rotate by itself", "ended_expired", 70),
    ("Rotate by itself of a changed manager", "ended_revoked", 35),
    ("Rotate by its issuer", "done", 100),
    ("Rotate by its issuer", "issuer_ended", 15),
    ("Rotate by another", "not_issued", 30),
    ("Rotate by its issuer of a changed manager", "ended_revoked", 3),
    ("Keep of a bound token", "done", 500),
    ("Keep of a deep chain", "done", 250),
    ("Keep of a deep chain", "issuer_ended", 25),
    ("Keep of a deep chain", "scope", 3),
    ("Verify of a bound token", "done", 70),
    ("Verify of a bound token", "issuer_ended", 70),
    ("Verify of a deep chain", "done", 80),
    ("Verify of a deep chain", "issuer_ended", 120),
    ("Verify of a deep chain", "address", 10),
    ("Verify of a deep chain", "scope", 25),
    ("Verify of a chain too long", "policy", 25),
    ("Get of a deep chain", "active", 30),
    ("Get of a deep chain", "issuer_ended", 40),
    ("RevokeOrphans", "revoked", 50),
    ("Import", "done", 600),
    ("Import revoked", "done", 350),
    ("Import disabled", "done", 130),
    ("Import again", "exists", 450),
    ("Import again, revoked since", "exists", 80),
    ("Import after a purge", "done", 50),
];

/// Returns the kind of an operation, such as `Rotate again`. The kind depends on the state of the
/// model before the operation.
pub fn kind(act: &Act, model: &Model) -> String {
    let stale = |manager: usize| {
        let (place, version, _) = model.managers[manager];
        if model.kept[place] && model.tokens[place].version == version { "" } else { " of a changed manager" }
    };
    let mut kind: String = format!("{act:?}").chars().take_while(|c| c.is_alphanumeric()).collect();
    kind += match act {
        Act::SetClock(time) if *time < model.now => " back",
        Act::SetOwner { state: 0, .. } => " active",
        Act::SetOwner { state: 1, .. } => " suspended",
        Act::SetOwner { .. } => " outside",
        Act::Rotate { token, retry: Some(_), .. } if model.tokens[*token].to.is_some() => " again",
        Act::Rotate { token, .. } if model.tokens[*token].to.is_some() => " twice",
        Act::Import(old) => match model.foreign[old.number] {
            Some(place) if !model.kept[place] => " after a purge",
            Some(place) if old.revoked.is_some() && model.tokens[place].revoked.is_none() => " again, revoked since",
            Some(_) => " again",
            None if old.revoked.is_some() => " revoked",
            None if old.disabled.is_some() => " disabled",
            None => "",
        },
        Act::Verify { token, .. } | Act::Keep { token, .. } | Act::Get { token } => match model.links(*token) {
            0 => "",
            links if links > model.rules.max_depth => " of a chain too long",
            1 => " of a bound token",
            _ => " of a deep chain",
        },
        _ => "",
    };
    match act {
        Act::Issue(new) => kind += &new.within.map_or(String::new(), |at| format!(" within{}", stale(at))),
        Act::Rotate { token, within: Some(at), .. } => {
            let managing = model.managers[*at].0;
            kind += match model.tokens[*token].issued_by {
                _ if managing == *token => " by itself",
                Some(issuer) if issuer == managing => " by its issuer",
                _ => " by another",
            };
            kind += stale(*at);
        }
        _ => {}
    }
    kind
}

impl Tally {
    pub fn add(&mut self, kind: &str, outcome: &str) {
        let word = if outcome.starts_with(|c: char| c.is_ascii_lowercase()) { outcome } else { "some" };
        let word = word.split(' ').next().unwrap().to_owned();
        *self.0.entry((kind.to_owned(), word)).or_default() += 1;
    }

    pub fn steps(&self) -> u64 {
        self.0.values().sum()
    }

    /// Prints all counts, and panics if an outcome occurred too rarely. If `one_of` is greater than
    /// 1, only one in `one_of` histories ran. Then each required number is divided by `one_of` and
    /// also by five, because counts vary more in fewer histories. Rare outcomes are then not
    /// checked.
    pub fn judge(&self, imports: bool, one_of: u64) {
        let mut kinds = BTreeMap::<&str, Vec<String>>::new();
        for ((kind, end), count) in &self.0 {
            kinds.entry(kind).or_default().push(format!("{count} {end}"));
        }
        println!("{} steps", self.steps());
        for (kind, ends) in kinds {
            let all: u64 = self.0.iter().filter(|((other, _), _)| other == kind).map(|(_, count)| count).sum();
            println!("  {all} {kind}: {}", ends.join(", "));
        }
        let demanded = ENDS.into_iter().filter(|(kind, ..)| imports || !kind.starts_with("Import"));
        for (kind, end, least) in demanded.filter(|(.., least)| one_of == 1 || *least >= RARE * one_of) {
            // The counts vary more in a smaller number of histories, because a few histories have
            // most of the operations of a kind. So the requirement is five times lower.
            let least = if one_of == 1 { least } else { (least / one_of / 5).max(1) };
            let count = self.0.get(&(kind.to_owned(), end.to_owned())).copied().unwrap_or(0);
            assert!(count >= least, "{kind} had the outcome {end} only {count} times, not {least}");
        }
    }
}
