//! The laws of a token's life, written anew and plainly: numbers in a list. Nothing of the crate's own judgement is used.

pub const SECOND: i64 = 1000;
pub const HOUR: i64 = 3600 * SECOND;
pub const DAY: i64 = 24 * HOUR;
/// How long a pending token waits.
pub const CONFIRM: i64 = 300 * SECOND;
pub const LEASE: i64 = 600 * SECOND;

#[derive(Clone, Debug)]
pub struct Token {
    pub owner: u8,
    pub project: u8,
    pub name: u8,
    pub scopes: u8,
    pub bound: bool,
    pub created: i64,
    pub expires: Option<i64>,
    pub not_before: Option<i64>,
    pub confirm_by: Option<i64>,
    pub disabled: bool,
    /// When and why.
    pub revoked: Option<(i64, &'static str)>,
    pub grace: Option<i64>,
    pub to: Option<usize>,
    pub from: Option<usize>,
    pub family: usize,
    pub request: Option<u8>,
    pub used: Option<i64>,
    /// Noted, not written.
    pub noted: Option<i64>,
    /// How many of the three notices are through.
    pub told: u8,
    pub lease: Option<i64>,
    pub purged: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub max: i64,
    pub never: bool,
    pub unused: Option<i64>,
    pub most: u64,
}

fn reached(time: Option<i64>, now: i64) -> bool {
    matches!(time, Some(time) if time <= now)
}

/// How many of the notices (30, 7, 1 days before) have begun.
pub fn begun(expires: Option<i64>, now: i64) -> u8 {
    let Some(expires) = expires else { return 0 };
    [30, 7, 1].iter().filter(|days| expires - **days * DAY <= now).count() as u8
}

impl Token {
    pub fn state(&self, now: i64) -> &'static str {
        if self.revoked.is_some() {
            return "revoked";
        }
        if reached(self.grace, now) {
            return "rotated";
        }
        if reached(self.confirm_by, now) {
            return "lapsed";
        }
        if reached(self.expires, now) {
            return "expired";
        }
        if self.disabled {
            return "disabled";
        }
        if self.confirm_by.is_some() {
            return "pending";
        }
        if self.not_before.is_some() && !reached(self.not_before, now) {
            return "not_yet_valid";
        }
        "active"
    }

    pub fn lives(&self, now: i64) -> bool {
        !self.purged && ["active", "not_yet_valid", "pending", "disabled"].contains(&self.state(now))
    }

    pub fn end(&self) -> Option<i64> {
        let mut end = i64::MAX;
        for time in [self.revoked.map(|revoked| revoked.0), self.grace, self.confirm_by, self.expires] {
            end = end.min(time.unwrap_or(i64::MAX));
        }
        (end < i64::MAX).then_some(end)
    }

    pub fn within(&self, rules: &Rules, now: i64) -> bool {
        let short = match self.expires {
            Some(expires) => expires - self.created <= rules.max,
            None => rules.never,
        };
        let last = self.created.max(self.used.unwrap_or(i64::MIN)).max(self.not_before.unwrap_or(i64::MIN));
        short && rules.unused.is_none_or(|unused| now < last + unused)
    }

    pub fn due(&self, now: i64) -> bool {
        let unclaimed = self.lease.is_none_or(|lease| lease <= now);
        let expected = self.lives(now) && self.confirm_by.is_none() && self.to.is_none();
        expected && unclaimed && begun(self.expires, now) > self.told
    }

    /// What a verification answers: a word.
    pub fn verdict(&self, rules: &Rules, now: i64, own: bool, scope: u8, address: Option<u8>) -> &'static str {
        if self.purged {
            return "unknown";
        }
        let state = self.state(now);
        if state != "active" {
            return state;
        }
        if !self.within(rules, now) {
            return "policy";
        }
        if !own {
            return "project";
        }
        // Address 0 is inside the block that a bound token has, 1 is outside.
        if self.bound && address != Some(0) {
            return "address";
        }
        if scope < 3 && self.scopes & (1 << scope) == 0 {
            return "scope";
        }
        "ok"
    }
}
