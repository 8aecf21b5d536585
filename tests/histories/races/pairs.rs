//! The pairs of operations that run concurrently, and the possible results of each pair.

use keyfob::{Clock, SystemClock, TokenRecord};

/// Two concurrent operations, and the operations that prepare them.
pub struct Race {
    pub name: &'static str,
    /// The two operations. `{id}`, `{text}` and `{owner}` stand for the id, the text and the owner
    /// of the round's token.
    pub acts: [&'static str; 2],
    /// The operations that one process performs before the two processes start.
    pub before: &'static [&'static str],
    /// A function that finds the order in which the two operations ran, from their outcomes and the
    /// records. It panics if the outcomes and the records fit neither order.
    pub order: fn(outcomes: [&str; 2], first: &TokenRecord, others: &[&TokenRecord]) -> &'static str,
    /// The two orders that `order` can return. Each of them must occur at least once.
    pub orders: [&'static str; 2],
}

pub const RACES: [Race; 10] = [
    Race {
        name: "rotate and rotate",
        acts: ["rotate {id} ada", "rotate {id} grace"],
        before: &[],
        order: |outcomes, first, others| {
            let [next] = others else { panic!("{} successors", others.len()) };
            assert_eq!((first.rotated_to, next.rotated_from), (Some(next.id), Some(first.id)));
            assert_eq!((first.family, next.family, first.version, next.version), (first.id, first.id, 2, 1));
            match (outcomes, next.created_by.as_str()) {
                (["done", "superseded"], "ada") => "ada",
                (["superseded", "done"], "grace") => "grace",
                other => panic!("{other:?}"),
            }
        },
        orders: ["ada", "grace"],
    },
    Race {
        name: "revoke and rotate",
        acts: ["revoke {id}", "rotate {id}"],
        before: &[],
        order: |outcomes, first, others| {
            assert!(first.revoked.is_some());
            match (outcomes, others) {
                (["done", "revoked"], []) => {
                    assert_eq!((first.rotated_to, first.grace_until, first.version), (None, None, 2));
                    "revoked first"
                }
                (["done", "done"], [next]) => {
                    assert_eq!((first.rotated_to, first.version), (Some(next.id), 3));
                    assert!(next.status(SystemClock.now()).is_live());
                    "rotated first"
                }
                other => panic!("{other:?}"),
            }
        },
        orders: ["revoked first", "rotated first"],
    },
    Race {
        name: "revoke the family and rotate",
        acts: ["revoke-family {id}", "rotate {id}"],
        before: &[],
        // In the race above, the records cannot show that a successor was created from a revoked
        // token. Here they can: the revocation covers every earlier successor, so a live successor
        // would have been created afterwards.
        order: |outcomes, first, others| {
            assert!(first.revoked.is_some() && others.iter().all(|next| next.revoked.is_some()));
            match (outcomes, others.len()) {
                (["1", "revoked"], 0) => "revoked first",
                (["2", "done"], 1) => "rotated first",
                other => panic!("{other:?}"),
            }
        },
        orders: ["revoked first", "rotated first"],
    },
    Race {
        name: "rename and touch",
        acts: ["rename {id}", "touch {id}"],
        before: &[],
        // The result does not show the order, because neither operation may undo the other.
        order: |outcomes, first, others| {
            assert_eq!((outcomes, others.len()), (["done", "1"], 0));
            assert_eq!((first.name.as_str(), first.version), ("renamed", 2));
            assert!(first.last_used_at >= Some(first.created_at));
            "both"
        },
        orders: ["both", "both"],
    },
    Race {
        name: "the last place of an owner",
        acts: ["issue-within-2 {owner} ada", "issue-within-2 {owner} grace"],
        before: &[],
        order: |outcomes, _, others| {
            let [next] = others else { panic!("{} beside the first", others.len()) };
            match (outcomes, next.created_by.as_str()) {
                (["done", "limit"], "ada") => "ada",
                (["limit", "done"], "grace") => "grace",
                other => panic!("{other:?}"),
            }
        },
        orders: ["ada", "grace"],
    },
    Race {
        name: "revoke and verify",
        acts: ["revoke {id}", "verify {text}"],
        before: &[],
        order: |outcomes, first, _| {
            assert!(first.revoked.is_some());
            match outcomes {
                ["done", "revoked"] => "revoked first",
                ["done", "done"] => "verified first",
                other => panic!("{other:?}"),
            }
        },
        orders: ["revoked first", "verified first"],
    },
    Race {
        name: "disable and enable",
        acts: ["disable {id}", "enable {id}"],
        before: &[],
        order: |outcomes, first, _| {
            assert_eq!(outcomes, ["done", "done"]);
            match (first.disabled.is_some(), first.version) {
                (false, 3) => "disabled first",
                (true, 2) => "enabled first",
                other => panic!("{other:?}"),
            }
        },
        orders: ["disabled first", "enabled first"],
    },
    Race {
        name: "enable and disable",
        acts: ["enable {id}", "disable {id}"],
        before: &["disable {id}"],
        order: |outcomes, first, _| {
            assert_eq!(outcomes, ["done", "done"]);
            match (first.disabled.is_some(), first.version) {
                (true, 4) => "enabled first",
                (false, 3) => "disabled first",
                other => panic!("{other:?}"),
            }
        },
        orders: ["enabled first", "disabled first"],
    },
    Race {
        name: "insert and insert",
        acts: ["insert {owner} ada", "insert {owner} grace"],
        before: &[],
        order: |outcomes, _, others| {
            let [made] = others else { panic!("{} rows", others.len()) };
            assert_eq!((made.created_by.as_str(), made.version), (made.name.as_str(), 1));
            match (outcomes, made.name.as_str()) {
                (["done", "conflict"], "ada") => "ada",
                (["conflict", "done"], "grace") => "grace",
                other => panic!("{other:?}"),
            }
        },
        orders: ["ada", "grace"],
    },
    Race {
        name: "issue and revoke all",
        acts: ["issue {owner}", "revoke-all {owner}"],
        before: &[],
        order: |outcomes, first, others| {
            let [made] = others else { panic!("{} beside the first", others.len()) };
            assert!(first.revoked.is_some());
            match (outcomes, made.revoked.is_some()) {
                (["done", "1"], false) => "revoked first",
                (["done", "2"], true) => "issued first",
                other => panic!("{other:?}"),
            }
        },
        orders: ["revoked first", "issued first"],
    },
];
