//! What the histories were made of: how often each kind of act came to which end, and how often it has to.

use std::collections::BTreeMap;

use crate::act::Act;
use crate::model::Model;

/// How often each kind of act came to which end.
#[derive(Default)]
pub struct Tally(BTreeMap<(String, String), u64>);

/// What must have come about, and how often: about a third of what the default size gives.
const ENDS: [(&str, &str, u64); 22] = [
    ("Issue", "done", 1),
    ("Issue", "limit", 1),
    ("Issue", "never_expires", 1),
    ("Confirm", "done", 1),
    ("Confirm", "lapsed", 1),
    ("Disable", "done", 1),
    ("Enable", "done", 1),
    ("EndGrace", "done", 1),
    ("Narrow", "done", 1),
    ("Narrow", "wider", 1),
    ("Rename", "done", 1),
    ("Rotate", "done", 1),
    ("Rotate", "pending", 1),
    ("Rotate", "revoked", 1),
    ("Rotate again", "done", 1),
    ("Rotate again", "superseded", 1),
    ("Verify", "done", 1),
    ("Verify", "address", 1),
    ("Verify", "policy", 1),
    ("Verify", "rotated", 1),
    ("Verify", "scope", 1),
    ("Verify", "unknown", 1),
];

/// What kind of act this is, before it is done.
pub fn kind(act: &Act, model: &Model) -> String {
    let stale = |manager: usize| {
        let (place, version) = model.managers[manager];
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

    /// Prints what there was, and panics if something came too seldom.
    pub fn judge(&self, imports: bool) {
        let mut kinds = BTreeMap::<&str, Vec<String>>::new();
        for ((kind, end), count) in &self.0 {
            kinds.entry(kind).or_default().push(format!("{count} {end}"));
        }
        println!("{} steps", self.steps());
        for (kind, ends) in kinds {
            let all: u64 = self.0.iter().filter(|((other, _), _)| other == kind).map(|(_, count)| count).sum();
            println!("  {all} {kind}: {}", ends.join(", "));
        }
        for (kind, end, least) in ENDS.into_iter().filter(|(kind, ..)| imports || !kind.starts_with("Import")) {
            let count = self.0.get(&(kind.to_owned(), end.to_owned())).copied().unwrap_or(0);
            assert!(count >= least, "too seldom: {kind} {end}, {count} times instead of {least}");
        }
    }
}
