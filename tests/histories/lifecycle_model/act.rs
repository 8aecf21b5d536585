//! The operations of a history, which is a random sequence of operations.
//!
//! proptest generates each step as a few random bytes. A step becomes an operation only when it
//! runs, on the tokens that exist at that time. So proptest can remove any steps, and the history
//! stays valid.

use crate::lifecycle_model::model::Model;
use crate::lifecycle_model::token::{Lives, Rules, Token};

pub const SECOND: i64 = 1_000;
pub const HOUR: i64 = 3_600 * SECOND;
pub const DAY: i64 = 24 * HOUR;

pub const PROJECTS: [&str; 2] = ["145", "a"];
pub const OWNERS: [&str; 2] = ["ada", "grace"];
pub const NAMES: [&str; 4] = ["CI", "ci deploy", "laptop", "Z"];
pub const SCOPES: [&str; 4] = ["repo:*", "repo:read", "repo:read user", ""];
pub const NEEDED: [&str; 3] = ["repo:read", "repo:write", "user"];
/// The address ranges that a token can have. The empty text allows every address.
pub const RANGES: [&str; 4] = ["", "10.0.0.0/8", "10.1.0.0/16", "192.0.2.1"];
pub const ADDRESSES: [&str; 3] = ["10.1.2.3", "10.2.0.1", "192.0.2.1"];
/// The number of tokens that a history can import from an earlier service.
pub const FOREIGN: usize = 5;
/// The states that the host can report for an owner in a project: `None` for an active owner, or
/// the reason why verification rejects the owner's tokens.
pub const OWNER_STATES: [Option<&str>; 3] = [None, Some("owner_suspended"), Some("owner_outside_project")];
pub const STATUSES: [&str; 8] =
    ["active", "not_yet_valid", "pending", "disabled", "expired", "lapsed", "rotated", "revoked"];

pub type Step = (u8, [u8; 6]);

/// The lifetime that a request asks for, in milliseconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Life {
    Default,
    For(i64),
    Until(i64),
    Never,
}

#[derive(Clone, Copy, Debug)]
pub enum Group {
    Owner(usize),
    Family(usize),
    CreatedBefore(i64),
    Key(u8),
}

/// A request for a token. `project`, `owner`, `name`, `scopes` and `ranges` are indices into the
/// tables of this module.
#[derive(Clone, Debug)]
pub struct New {
    pub project: usize,
    pub owner: usize,
    pub name: usize,
    /// The kind of the token: 0 for a person, 1 for a service, 2 for an agent.
    pub kind: usize,
    /// Whether the request names the kind. If it does not, the service chooses the kind.
    pub asks_kind: bool,
    pub metadata: bool,
    pub scopes: usize,
    pub ranges: usize,
    pub not_before: Option<i64>,
    pub life: Life,
    pub confirm_within: Option<i64>,
    pub key: u8,
    /// The delegation with which the token is issued, as an index into the model's list `managers`.
    pub within: Option<usize>,
    /// The index of the token that the new token replaces, if this is a rotation.
    pub takes_over: Option<usize>,
}

/// The permissions that the host gives a delegation. By default, a delegation issues only bound
/// tokens for agents.
#[derive(Clone, Copy, Default, Debug)]
pub struct How {
    /// Whether the tokens issued with the delegation are independent.
    pub independent: bool,
    /// Whether the delegation may issue tokens that may themselves issue tokens.
    pub manage: bool,
    /// Whether the delegation may issue tokens of every kind.
    pub kinds: bool,
    pub metadata: bool,
}

/// A token in the table of the earlier service, at the time of its import.
#[derive(Clone, Debug)]
pub struct Foreign {
    pub number: usize,
    pub project: usize,
    pub owner: usize,
    pub name: usize,
    pub service: bool,
    pub scopes: usize,
    pub ranges: usize,
    pub key: u8,
    pub created: i64,
    pub expires: Option<i64>,
    pub disabled: Option<i64>,
    pub revoked: Option<i64>,
}

/// An operation with its arguments. Tokens are numbered in the order in which they were created.
#[derive(Clone, Debug)]
pub enum Act {
    SetClock(i64),
    Issue(New),
    Import(Foreign),
    /// Verifies the token, and stores the delegation that the token gives.
    Keep {
        token: usize,
        how: How,
    },
    SetOwner {
        owner: usize,
        project: Option<usize>,
        state: usize,
    },
    Verify {
        token: usize,
        project: Option<usize>,
        address: Option<usize>,
        scope: Option<usize>,
    },
    Confirm {
        token: usize,
        presented: bool,
    },
    Rename {
        token: usize,
        name: usize,
    },
    Disable {
        token: usize,
    },
    Enable {
        token: usize,
    },
    EndGrace {
        token: usize,
    },
    Narrow {
        token: usize,
        scopes: Option<usize>,
        ranges: Option<usize>,
        expires: Option<i64>,
    },
    Rotate {
        token: usize,
        grace: i64,
        life: Option<Life>,
        retry: Option<(usize, i64)>,
        within: Option<usize>,
    },
    Revoke {
        token: usize,
    },
    RevokePresented {
        tokens: [usize; 2],
    },
    RevokeGroup {
        project: Option<usize>,
        group: Group,
    },
    /// Revokes the tokens that are bound to an ended token.
    RevokeOrphans,
    /// Reads the token as `Tokens::get` returns it.
    Get {
        token: usize,
    },
    FlushUsage,
    ClaimNotices {
        lease: i64,
        most: usize,
    },
    Acknowledge {
        token: usize,
        stage: u8,
    },
    Purge {
        kept: i64,
    },
    SetPolicy(Rules),
    List {
        project: usize,
        owner: Option<usize>,
        status: Option<usize>,
        order: usize,
        descending: bool,
        page: usize,
    },
    Count {
        project: usize,
        owner: Option<usize>,
        key: Option<u8>,
        live: Option<bool>,
    },
}

/// For each operation, its letter in [`Act::of`] and its weight in the random choice.
const WEIGHTS: [(u8, u8); 28] = [
    (b'w', 10),
    (b'j', 12),
    (b'b', 5),
    (b'i', 14),
    (b'K', 10),
    (b'W', 20),
    (b'Q', 14),
    (b'm', 7),
    (b'o', 3),
    (b'v', 12),
    (b'R', 14),
    (b'c', 5),
    (b'n', 2),
    (b'd', 4),
    (b'e', 3),
    (b'g', 2),
    (b'N', 4),
    (b'x', 2),
    (b'p', 1),
    (b'G', 1),
    (b'f', 3),
    (b'a', 5),
    (b'k', 3),
    (b'u', 1),
    (b'y', 2),
    (b'l', 2),
    (b'O', 2),
    (b'h', 4),
];

/// The sum of all weights in `WEIGHTS`.
pub const PARTS: u8 = 167;

fn of<T: Copy>(all: &[T], byte: u8) -> T {
    all[byte as usize % all.len()]
}

/// Returns the entry of `all` that a random byte selects, or `None` if the byte is a multiple of
/// three.
fn maybe<T: Copy>(all: &[T], byte: u8) -> Option<T> {
    (!byte.is_multiple_of(3)).then(|| of(all, byte / 3))
}

fn life(byte: u8, now: i64) -> Life {
    let end = now + 31 * DAY;
    let lives = [Life::Default, Life::For(DAY), Life::For(40 * DAY), Life::Until(end), Life::Never];
    if byte == u8::MAX { Life::For(0) } else { of(&lives, byte) }
}

impl Act {
    /// Returns whether the test reads all records again after this operation. Verifications are
    /// included, so that the test notices a verification that changes a record.
    pub fn writes(&self) -> bool {
        !matches!(
            self,
            Self::SetClock(_)
                | Self::SetPolicy(_)
                | Self::SetOwner { .. }
                | Self::Get { .. }
                | Self::List { .. }
                | Self::Count { .. }
        )
    }

    /// The number of fixed operations at the beginning of a history about tokens that issue tokens.
    pub const FIRST: usize = 7;

    /// Returns the operation with this number, from a fixed series with which some histories begin.
    /// The series builds a chain of tokens: each token after the first is issued with the
    /// delegation of the token before it. An operation fails if it would make the chain longer than
    /// the policy allows. Returns `None` if the operation needs a delegation but no earlier
    /// operation has stored one.
    pub fn first(number: usize, model: &Model) -> Option<Self> {
        if number % 2 == 1 {
            let how = How { manage: true, ..How::default() };
            return Some(Self::Keep { token: model.tokens.len() - 1, how });
        }
        Some(Self::Issue(New {
            project: 0,
            owner: 0,
            name: 0,
            kind: 0,
            asks_kind: number == 0,
            metadata: false,
            scopes: 0,
            ranges: 0,
            not_before: None,
            life: Life::Default,
            confirm_within: None,
            key: 1,
            within: if number == 0 { None } else { Some(model.managers.len().checked_sub(1)?) },
            takes_over: None,
        }))
    }

    /// Returns the operation of a step, or `None` if the operation needs something that does not
    /// exist yet, such as a token.
    pub fn of((verb, bytes): Step, model: &Model) -> Option<Self> {
        let [a, b, c, d, e, f] = bytes;
        let mut left = verb % PARTS;
        let verb = WEIGHTS
            .iter()
            .find(|(_, weight)| {
                left < *weight || {
                    left -= weight;
                    false
                }
            })?
            .0;
        let verb = match verb {
            b'w' | b'j' | b'm' | b'a' if model.chains && left >= 2 => [b'W', b'K', b'W', b'v'][usize::from(left % 4)],
            verb => verb,
        };
        let now = model.now;
        let some = |byte: u8| (!model.tokens.is_empty()).then(|| byte as usize % model.tokens.len());
        let rotated = || model.tokens.iter().rev().find_map(|token| token.from);
        // Chooses among the tokens that work, because after a while most tokens have ended.
        let working = |byte: u8, wanted: &dyn Fn(&Token) -> bool| {
            let works = |place: &usize| wanted(&model.tokens[*place]) && model.alive(*place).is_ok();
            let all: Vec<usize> = (0..model.tokens.len()).filter(works).collect();
            (!all.is_empty()).then(|| of(&all, byte))
        };
        // Chooses among the tokens that other tokens are bound to, to test the effect on the bound
        // tokens.
        let issuing = |byte: u8| {
            let issues = |place: &usize| model.tokens.iter().any(|token| token.bound_to() == Some(*place));
            let all: Vec<usize> = (0..model.tokens.len()).filter(|place| model.kept[*place]).filter(issues).collect();
            (!all.is_empty()).then(|| of(&all, byte))
        };
        let bound = |byte: u8| {
            let all: Vec<usize> = (0..model.tokens.len()).filter(|place| model.tokens[*place].bound).collect();
            (!all.is_empty()).then(|| of(&all, byte))
        };
        let deep = |byte: u8| {
            let all: Vec<usize> = (0..model.tokens.len()).filter(|place| model.links(*place) > 1).collect();
            (!all.is_empty()).then(|| of(&all, byte))
        };
        // In histories about tokens that issue tokens, usually chooses a delegation whose token
        // works, and prefers the tokens with the longest chains. Otherwise chooses a stored
        // delegation, usually a recent one.
        let manager = |byte: u8| {
            let works = |at: &usize| model.alive(model.managers[*at].0).is_ok();
            let mut all: Vec<usize> = (0..model.managers.len()).filter(works).collect();
            all.sort_by_key(|at| std::cmp::Reverse(model.links(model.managers[*at].0)));
            if byte % 4 != 3 && model.chains && !all.is_empty() {
                return Some(all[(byte as usize / 4) % all.len().min(4)]);
            }
            let recent = if byte >= 96 { 3 } else { usize::MAX }.min(model.managers.len());
            (recent > 0).then(|| model.managers.len() - 1 - byte as usize % recent)
        };
        Some(match verb {
            b'b' => Self::SetClock(now - of(&[1, SECOND, 60 * SECOND, HOUR, 6 * HOUR, 23 * HOUR], a)),
            b'K' => Self::Keep {
                token: working(a, &|token| token.scopes == 0 && token.bound)
                    .filter(|_| b >= 112)
                    .or(working(a, &|token| token.scopes == 0))
                    .filter(|_| b >= 48)
                    .or(some(a))?,
                how: How { independent: c % 8 == 7, manage: d % 8 != 0, kinds: e % 3 == 2, metadata: f % 3 == 2 },
            },
            b'O' => Self::RevokeOrphans,
            b'h' => Self::Get { token: deep(a).filter(|_| b >= 176).or(bound(a).filter(|_| b >= 96)).or(some(a))? },
            b'o' => Self::SetOwner {
                owner: b as usize % 4 / 3,
                project: maybe(&[0, 1], a),
                // Most of these operations make the owner active, so that no other state lasts
                // long.
                state: [0, 1, 0, 2, 0][c as usize % 5],
            },
            b'm' if model.engine.imports => {
                let ago = of(&[0, HOUR, 20 * DAY, 400 * DAY], b);
                Self::Import(Foreign {
                    number: a as usize % FOREIGN,
                    project: b as usize / 4 % 2,
                    owner: b as usize / 8 % 4 / 3,
                    name: c as usize % 4,
                    service: c >= 192,
                    scopes: [0, 0, 1, 2, 3][d as usize % 5],
                    ranges: if d >= 192 { d as usize % 4 } else { 0 },
                    key: 1 + d / 4 % 2,
                    created: now - ago,
                    expires: maybe(&[HOUR, 30 * DAY, 366 * DAY], e).map(|lifetime| now - ago + lifetime),
                    disabled: (f % 5 == 0).then_some(now - HOUR),
                    revoked: (f % 3 == 0).then_some(now - 2 * HOUR),
                })
            }
            b'W' => {
                let within = manager(a)?;
                let managing = &model.tokens[model.managers[within].0];
                let other_kind = c >= 224;
                Self::Issue(New {
                    project: managing.project ^ usize::from(b % 32 == 31),
                    owner: managing.owner ^ usize::from(b % 32 == 30),
                    name: c as usize % 4,
                    kind: if other_kind { c as usize % 2 } else { 2 },
                    asks_kind: other_kind || c % 2 == 0,
                    metadata: c % 16 == 5,
                    scopes: if model.chains && d < 128 { 0 } else { [0, 0, 1, 2, 3][d as usize % 5] },
                    ranges: if d >= 160 { d as usize % 4 } else { 0 },
                    not_before: None,
                    life: if e < 192 { Life::Default } else { life(e, now) },
                    confirm_within: (f >= 208).then(|| of(&[60 * SECOND, HOUR, 0], f)),
                    key: 1 + f % 4 / 3,
                    within: Some(within),
                    takes_over: None,
                })
            }
            b'Q' => {
                let within = manager(a)?;
                let managing = model.managers[within].0;
                let issued = |token: &Token| token.issued_by == Some(managing);
                let token = match b % 4 {
                    0 => managing,
                    3 => {
                        let Token { owner, project, .. } = model.tokens[managing];
                        working(c, &|other| (other.owner, other.project) == (owner, project)).or(some(c))?
                    }
                    _ => model.tokens.iter().rposition(issued).unwrap_or(managing),
                };
                Self::Rotate {
                    token,
                    grace: of(&[0, HOUR, 8 * DAY, 400 * DAY], d % 7),
                    life: (e < 48).then(|| life(e, now)),
                    retry: (e % 4 != 3).then(|| (usize::from(f >= 208), of(&[60 * SECOND, HOUR], f))),
                    within: Some(within),
                }
            }
            b'w' => Self::SetClock(now + of(&[1, SECOND, 60 * SECOND, HOUR, DAY, 7 * DAY], a)),
            b'j' => {
                let times = model.boundaries();
                let time = *times.get((a as usize * 256 + b as usize) % times.len().max(1))?;
                Self::SetClock(now.max(time + of(&[0, -1, 1], c)))
            }
            b'i' => Self::Issue(New {
                project: a as usize % 2,
                owner: b as usize % 4 / 3,
                name: c as usize % 4,
                // Few tokens of this operation are for agents.
                kind: if c >= 240 { 2 } else { usize::from(c >= 192) },
                asks_kind: true,
                metadata: c % 16 == 5,
                scopes: [0, 0, 1, 2, 3][b as usize / 4 % 5],
                ranges: if a >= 192 { a as usize / 2 % 4 } else { 0 },
                not_before: (d >= 208).then(|| now + of(&[1, DAY, 30 * DAY], d)),
                life: life(e, now),
                confirm_within: (f >= 192).then(|| of(&[60 * SECOND, HOUR, 0], f)),
                key: 1 + d % 4 / 3,
                within: None,
                takes_over: None,
            }),
            // On a store that supports no imports, an import becomes a verification.
            b'v' | b'm' => Self::Verify {
                token: deep(a)
                    .filter(|_| f >= 176)
                    .or(bound(a).filter(|_| f >= 80))
                    .or(working(a, &|_| true).filter(|_| e >= 96))
                    .or(some(a))?,
                project: maybe(&[0, 1], b),
                address: maybe(&[0, 1, 2], c),
                scope: maybe(&[0, 1, 2], d),
            },
            b'R' => Self::Rotate {
                // Often chooses the token that was rotated last, so that many rotations are
                // repeats.
                token: rotated().filter(|_| a >= 128).or(some(a))?,
                grace: of(&[0, HOUR, 8 * DAY, 400 * DAY], b % 7),
                life: (c < 64).then(|| life(c, now)),
                retry: (d >= 64).then(|| (e as usize % 5 / 4, of(&[60 * SECOND, HOUR], f))),
                within: None,
            },
            b'c' => Self::Confirm { token: some(a)?, presented: b % 2 == 1 },
            b'n' => Self::Rename { token: some(a)?, name: b as usize % 4 },
            b'd' => {
                Self::Disable { token: issuing(a).filter(|_| c >= 160).or(rotated().filter(|_| b >= 128)).or(some(a))? }
            }
            b'e' => Self::Enable { token: issuing(a).filter(|_| b >= 160).or(some(a))? },
            b'g' => Self::EndGrace { token: some(a)? },
            b'N' => Self::Narrow {
                token: issuing(a).filter(|_| e >= 160).or(some(a))?,
                scopes: maybe(&[0, 1, 2, 3], b),
                ranges: maybe(&[0, 1, 2, 3], c),
                expires: (d >= 96).then(|| now + of(&[0, 1, DAY, 20 * DAY, 50 * DAY], d)),
            },
            b'x' => Self::Revoke { token: issuing(a).filter(|_| b >= 160).or(some(a))? },
            b'p' => Self::RevokePresented { tokens: [some(a)?, some(b)?] },
            b'G' => Self::RevokeGroup {
                project: maybe(&[0, 1], a),
                group: match b % 4 {
                    0 => Group::Owner(c as usize % 2),
                    1 => Group::Family(model.tokens[some(c)?].family),
                    2 => Group::CreatedBefore(model.tokens[some(c)?].created + i64::from(d % 2)),
                    _ => Group::Key(1 + c % 2),
                },
            },
            b'f' => Self::FlushUsage,
            b'a' => Self::ClaimNotices { lease: of(&[0, HOUR, DAY], a), most: of(&[1, 2, 100], b) },
            b'k' => Self::Acknowledge { token: some(a)?, stage: b % 3 + 1 },
            b'u' => Self::Purge { kept: of(&[0, DAY, 90 * DAY], a) },
            b'y' => Self::SetPolicy(Rules {
                human: Lives { min: 0, max: of(&[366, 30, 60], a) * DAY, default: 30 * DAY, never: b % 2 == 0 },
                service: Lives { min: of(&[0, 2], c) * HOUR, max: 90 * DAY, default: DAY, never: c % 3 == 0 },
                most_live: maybe(&[2, 5], d),
                max_unused: (e >= 128).then_some(10 * DAY),
                agent: Lives {
                    min: 0,
                    max: of(&[366, 7, 60], e) * DAY,
                    default: of(&[20 * DAY, 12 * HOUR], a),
                    never: f % 2 == 0,
                },
                most_issued: of(&[20, 2, 4], f),
                max_depth: of(&[3, 3, 3, 1, 3, 2, 3, 0], f / 3),
            }),
            _ if a % 2 == 0 => Self::List {
                project: b as usize % 2,
                owner: maybe(&[0, 1], c),
                status: maybe(&[0, 1, 2, 3, 4, 5, 6, 7], d),
                order: e as usize % 3,
                descending: e >= 128,
                page: 1 + f as usize % 4,
            },
            _ => Self::Count {
                project: b as usize % 2,
                owner: maybe(&[0, 1], c),
                key: maybe(&[1, 2], d),
                live: maybe(&[true, false], e),
            },
        })
    }
}
