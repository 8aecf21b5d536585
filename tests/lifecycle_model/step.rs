//! The steps of a history: small numbers, so that a failing one shrinks. Which token is meant is a number, taken
//! modulo those there are.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

#[derive(Clone, Debug)]
pub enum Step {
    Issue {
        owner: u8,
        project: u8,
        lifetime: Life,
        pending: bool,
        not_before: Option<u16>,
        scopes: u8,
        bound: bool,
    },
    Verify {
        token: usize,
        own_project: bool,
        scope: u8,
        address: Option<u8>,
    },
    Confirm {
        token: usize,
        presented: bool,
    },
    Rename {
        token: usize,
        name: u8,
    },
    Disable {
        token: usize,
    },
    Enable {
        token: usize,
    },
    Narrow {
        token: usize,
        scopes: Option<u8>,
        days: Option<u8>,
    },
    EndGrace {
        token: usize,
    },
    Rotate {
        token: usize,
        grace: Grace,
        request: Option<u8>,
    },
    Revoke {
        token: usize,
        leaked: bool,
    },
    RevokePresented {
        tokens: Vec<usize>,
    },
    RevokeGroup {
        project: u8,
        group: Group,
    },
    RevokeEverywhere {
        owner: u8,
    },
    Flush,
    ClaimNotices,
    Acknowledge {
        notice: usize,
    },
    Purge {
        days: u8,
    },
    Policy {
        lax: bool,
        unused: bool,
        few: bool,
    },
    Count {
        owner: u8,
        project: u8,
    },
    Wait {
        seconds: u32,
    },
    /// To a moment at which something of this token changes, or a millisecond before.
    WaitUntil {
        token: usize,
        moment: u8,
        before: bool,
    },
}

#[derive(Clone, Copy, Debug)]
pub enum Life {
    Default,
    Days(u8),
    Never,
}

#[derive(Clone, Copy, Debug)]
pub enum Grace {
    None,
    Hours(u8),
    /// Longer than any token lives.
    Years,
}

#[derive(Clone, Copy, Debug)]
pub enum Group {
    Owner(u8),
    Family(usize),
    CreatedBefore(usize),
    Key,
}

const TOKEN: std::ops::Range<usize> = 0..12;

fn life() -> impl Strategy<Value = Life> {
    prop_oneof![
        2 => Just(Life::Default),
        4 => prop_oneof![Just(0u8), Just(1), Just(8), Just(31), Just(90), Just(91)].prop_map(Life::Days),
        1 => Just(Life::Never),
    ]
}

fn grace() -> impl Strategy<Value = Grace> {
    prop_oneof![2 => Just(Grace::None), 3 => (1u8..48).prop_map(Grace::Hours), 1 => Just(Grace::Years)]
}

fn group() -> impl Strategy<Value = Group> {
    prop_oneof![
        (0u8..2).prop_map(Group::Owner),
        TOKEN.prop_map(Group::Family),
        TOKEN.prop_map(Group::CreatedBefore),
        Just(Group::Key),
    ]
}

fn issue() -> impl Strategy<Value = Step> {
    let pending = prop::bool::weighted(0.2);
    let not_before = option::weighted(0.15, 0u16..3000);
    (0u8..2, 0u8..2, life(), pending, not_before, 0u8..8, prop::bool::weighted(0.2)).prop_map(
        |(owner, project, lifetime, pending, not_before, scopes, bound)| Step::Issue {
            owner,
            project,
            lifetime,
            pending,
            not_before,
            scopes,
            bound,
        },
    )
}

fn verify() -> impl Strategy<Value = Step> {
    let address = option::weighted(0.5, 0u8..2);
    (TOKEN, prop::bool::weighted(0.9), 0u8..4, address).prop_map(|(token, own_project, scope, address)| Step::Verify {
        token,
        own_project,
        scope,
        address,
    })
}

pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => issue(),
        20 => verify(),
        5 => (TOKEN, any::<bool>()).prop_map(|(token, presented)| Step::Confirm { token, presented }),
        3 => (TOKEN, 0u8..3).prop_map(|(token, name)| Step::Rename { token, name }),
        4 => TOKEN.prop_map(|token| Step::Disable { token }),
        4 => TOKEN.prop_map(|token| Step::Enable { token }),
        4 => (TOKEN, option::of(0u8..8), option::of(0u8..100))
            .prop_map(|(token, scopes, days)| Step::Narrow { token, scopes, days }),
        4 => TOKEN.prop_map(|token| Step::EndGrace { token }),
        14 => (TOKEN, grace(), option::weighted(0.6, 0u8..2))
            .prop_map(|(token, grace, request)| Step::Rotate { token, grace, request }),
        3 => (TOKEN, any::<bool>()).prop_map(|(token, leaked)| Step::Revoke { token, leaked }),
        1 => vec(TOKEN, 0..3).prop_map(|tokens| Step::RevokePresented { tokens }),
        1 => (0u8..2, group()).prop_map(|(project, group)| Step::RevokeGroup { project, group }),
        1 => (0u8..2).prop_map(|owner| Step::RevokeEverywhere { owner }),
        5 => Just(Step::Flush),
        4 => Just(Step::ClaimNotices),
        4 => (0usize..6).prop_map(|notice| Step::Acknowledge { notice }),
        1 => (0u8..60).prop_map(|days| Step::Purge { days }),
        3 => (any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(lax, unused, few)| Step::Policy { lax, unused, few }),
        2 => (0u8..2, 0u8..2).prop_map(|(owner, project)| Step::Count { owner, project }),
        5 => prop_oneof![0u32..400, 3000u32..100_000, 600_000u32..900_000].prop_map(|seconds| Step::Wait { seconds }),
        8 => (TOKEN, 0u8..6, any::<bool>())
            .prop_map(|(token, moment, before)| Step::WaitUntil { token, moment, before }),
    ]
}
