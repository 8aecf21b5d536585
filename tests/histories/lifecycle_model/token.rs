//! A token of the model with its status, and the policy that the model applies. This module uses no
//! code of the crate.

use crate::lifecycle_model::act::{DAY, Foreign, Life, New, SCOPES};

#[derive(Clone, Copy, Debug)]
pub struct Lives {
    pub min: i64,
    pub max: i64,
    pub default: i64,
    pub never: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub human: Lives,
    pub service: Lives,
    pub agent: Lives,
    pub most_live: Option<u64>,
    /// The maximum number of live tokens that may be bound to one issuer.
    pub most_issued: u64,
    /// The maximum number of issuers above a bound token.
    pub max_depth: usize,
    pub max_unused: Option<i64>,
}

/// A token in its expected state. Times are in milliseconds. Links to other tokens are indices into
/// the model's list of tokens.
#[derive(Clone, PartialEq, Debug)]
pub struct Token {
    pub id: String,
    pub project: usize,
    pub owner: usize,
    pub name: usize,
    /// The kind of the token: 0 for a person, 1 for a service, 2 for an agent.
    pub kind: usize,
    pub metadata: bool,
    pub scopes: usize,
    pub ranges: usize,
    pub key: u8,
    pub created: i64,
    /// The index of the managing token with whose delegation this token was created, if any.
    pub made_by: Option<usize>,
    /// The index of the issuer of this token. The successor in a rotation has the same issuer as
    /// the old token.
    pub issued_by: Option<usize>,
    /// Whether this token works only while its issuer works.
    pub bound: bool,
    /// The index of this token in the table of the earlier service, if this token was imported.
    pub foreign: Option<usize>,
    pub confirm_by: Option<i64>,
    pub not_before: Option<i64>,
    pub expires: Option<i64>,
    pub grace: Option<i64>,
    pub revoked: Option<(i64, &'static str)>,
    pub disabled: Option<i64>,
    pub last_used: Option<i64>,
    pub family: usize,
    pub from: Option<usize>,
    pub to: Option<usize>,
    pub request: Option<usize>,
    /// The number of the last notice: 0 for no notice, and 1 to 3 for the notices 30, 7 and 1 days
    /// before expiry.
    pub stage: u8,
    pub lease: Option<i64>,
    pub version: u64,
}

/// The time before expiry at which each notice is due, in milliseconds.
pub const AHEAD: [i64; 3] = [30 * DAY, 7 * DAY, DAY];

pub fn stage(expires: Option<i64>, now: i64) -> u8 {
    expires.map_or(0, |end| AHEAD.iter().filter(|ahead| now >= end - **ahead).count() as u8)
}

/// Returns whether the scopes at the index `granted` grant the scope `needed`. `a:*` grants every
/// scope that begins with `a:`.
pub fn grants(granted: usize, needed: &str) -> bool {
    SCOPES[granted].split_whitespace().any(|one| match one.strip_suffix(":*") {
        Some(stem) => needed == one || needed.split_once(':').is_some_and(|(head, _)| head == stem),
        None => needed == one,
    })
}

/// For each entry of `RANGES`, the indices of the entries that it covers.
pub const COVERS: [&[usize]; 4] = [&[0, 1, 2, 3], &[1, 2], &[2], &[3]];
/// For each entry of `RANGES`, the indices of the entries of `ADDRESSES` that it allows.
pub const ALLOWS: [&[usize]; 4] = [&[0, 1, 2], &[0, 1], &[0], &[2]];

impl Token {
    /// Creates the token that results from an import of `old` at the time `now`.
    pub fn imported(old: &Foreign, now: i64, place: usize) -> Self {
        Self {
            id: String::new(),
            project: old.project,
            owner: old.owner,
            name: old.name,
            kind: usize::from(old.service),
            metadata: false,
            scopes: old.scopes,
            ranges: old.ranges,
            key: old.key,
            created: old.created,
            made_by: None,
            issued_by: None,
            bound: false,
            foreign: Some(old.number),
            confirm_by: None,
            not_before: None,
            expires: old.expires,
            grace: None,
            revoked: old.revoked.map(|at| (at, "cessation_of_operation")),
            disabled: old.disabled,
            last_used: None,
            family: place,
            from: None,
            to: None,
            request: None,
            stage: stage(old.expires, now),
            lease: None,
            version: 1,
        }
    }

    pub fn status(&self, now: i64) -> &'static str {
        let past = |time: Option<i64>| time.is_some_and(|time| now >= time);
        match self {
            _ if self.revoked.is_some() => "revoked",
            _ if past(self.grace) => "rotated",
            _ if past(self.confirm_by) => "lapsed",
            _ if past(self.expires) => "expired",
            _ if self.disabled.is_some() => "disabled",
            _ if self.confirm_by.is_some() => "pending",
            _ if self.not_before.is_some_and(|begin| begin > now) => "not_yet_valid",
            _ => "active",
        }
    }

    /// Returns the time at which the token ends if it is confirmed in time and not revoked. Returns
    /// `None` if the token then never ends.
    pub fn end(&self) -> Option<i64> {
        [self.grace, self.expires].into_iter().flatten().min()
    }

    /// Returns the index of the issuer that the token is bound to, or `None` if the token is
    /// independent.
    pub fn bound_to(&self) -> Option<usize> {
        self.issued_by.filter(|_| self.bound)
    }

    /// Returns whether the token could work if the clock were set back by a day. This is true if
    /// the token is not revoked and did not end more than a day ago.
    pub fn can_still_work(&self, now: i64) -> bool {
        let mut ends = [self.grace, self.confirm_by, self.expires].into_iter().flatten();
        self.revoked.is_none() && ends.all(|end| end >= now - DAY)
    }

    pub fn live(&self, now: i64) -> bool {
        !["revoked", "rotated", "lapsed", "expired"].contains(&self.status(now))
    }

    pub fn due(&self, now: i64) -> bool {
        let told = self.live(now) && self.confirm_by.is_none() && self.to.is_none();
        told && stage(self.expires, now) > self.stage && self.lease.is_none_or(|lease| now >= lease)
    }
}

impl Rules {
    pub fn lives(&self, kind: usize) -> &Lives {
        [&self.human, &self.service, &self.agent][kind]
    }

    /// Returns the rule that a lifetime breaks, if any.
    pub fn wrong(&self, kind: usize, lifetime: Option<i64>) -> Option<&'static str> {
        let Lives { min, max, never, .. } = *self.lives(kind);
        match lifetime {
            None => (!never).then_some("never_expires"),
            Some(lifetime) if lifetime > max => Some("too_long"),
            Some(lifetime) => (lifetime < min).then_some("too_short"),
        }
    }

    /// Returns the rule that the lifetime of a token breaks, if any. If the token expires before
    /// its creation because the clock was set back, its lifetime counts as zero.
    pub fn outside(&self, token: &Token) -> Option<&'static str> {
        self.wrong(token.kind, token.expires.map(|end| (end - token.created).max(0)))
    }

    pub fn breach(&self, token: &Token, now: i64) -> Option<&'static str> {
        let begun = token.created.max(token.not_before.unwrap_or(i64::MIN)).max(token.last_used.unwrap_or(i64::MIN));
        let unused = self.max_unused.is_some_and(|most| now - begun >= most);
        self.outside(token).or(unused.then_some("unused"))
    }

    /// Creates a token at the time `now`, or returns the name of the rule that the token breaks. If
    /// `last` is given, the token must expire at this time or earlier. A bound token must have an
    /// expiry.
    pub fn mint(
        &self,
        new: &New,
        now: i64,
        place: usize,
        last: Option<i64>,
        is_bound: bool,
    ) -> Result<Token, &'static str> {
        let lives = self.lives(new.kind);
        let expires = match new.life {
            Life::Never => None,
            Life::Default => Some(now + lives.default.max(lives.min).min(lives.max)),
            Life::For(0) => return Err("no_lifetime"),
            Life::For(lifetime) => Some(now + lifetime),
            Life::Until(end) => Some(end),
        };
        if let Some(wrong) = self.wrong(new.kind, expires.map(|end| end - now)) {
            return Err(wrong);
        }
        if last.is_some_and(|last| expires.is_none_or(|end| end > last)) {
            return Err("expiry");
        }
        if expires.is_none() && is_bound {
            return Err("never_expires");
        }
        let confirm_by = new.confirm_within.map(|within| now + within);
        if expires.is_some_and(|end| end <= new.not_before.unwrap_or(now)) || confirm_by == Some(now) {
            return Err("no_lifetime");
        }
        Ok(Token {
            id: String::new(),
            project: new.project,
            owner: new.owner,
            name: new.name,
            kind: new.kind,
            metadata: new.metadata,
            scopes: new.scopes,
            ranges: new.ranges,
            key: new.key,
            created: now,
            made_by: None,
            issued_by: None,
            bound: false,
            foreign: None,
            confirm_by,
            not_before: new.not_before,
            expires,
            grace: None,
            revoked: None,
            disabled: None,
            last_used: None,
            family: place,
            from: None,
            to: None,
            request: None,
            stage: stage(expires, now),
            lease: None,
            version: 1,
        })
    }
}
