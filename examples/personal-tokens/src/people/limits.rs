//! The limits on wrong passwords, and tables of counts with a limited number of entries.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use keyfob::Timestamp;

/// The time after which the wrong passwords of an address for an account are forgotten. It begins
/// with the last of them.
pub const FORGOTTEN: Duration = Duration::from_secs(60 * 60);
/// The longest time by which concurrent tries may be counted in the wrong order. A time that is
/// earlier by more than this means that the clock was set back.
pub const DISORDER: Duration = Duration::from_secs(10);
/// The maximum number of entries of one table.
pub const MOST: usize = 8192;

/// A wait that begins after some wrong passwords, and that each further one doubles.
#[derive(Clone, Copy)]
pub struct BackOff {
    /// The number of wrong passwords before the first wait.
    pub free: u32,
    pub first: Duration,
    pub longest: Duration,
}

impl BackOff {
    /// Returns the time to wait before the next try. Zero means no wait.
    pub fn wait(self, wrong: Option<&Wrong>, now: Timestamp) -> Duration {
        let Some(wrong) = wrong.filter(|wrong| !wrong.is_over(now) && wrong.times >= self.free) else {
            return Duration::ZERO;
        };
        let factor = 2_u32.saturating_pow(wrong.times - self.free);
        let pause = self.first.saturating_mul(factor).min(self.longest);
        wrong.last.saturating_add(pause).saturating_since(now)
    }
}

/// A burst of wrong passwords, and then one per interval.
#[derive(Clone, Copy)]
pub struct Rate {
    pub burst: u32,
    pub every: Duration,
}

impl Rate {
    /// Returns the time to wait until the rate allows another wrong password. Zero means no wait.
    pub fn wait(self, debt: Option<&Debt>, now: Timestamp) -> Duration {
        self.left(debt, now).saturating_sub(self.every * (self.burst - 1))
    }

    /// Returns the debt with one more wrong password, and the time that this password added. The
    /// time is shorter than the interval if the debt reached its maximum.
    pub fn count(self, debt: Option<&Debt>, now: Timestamp) -> (Debt, Duration) {
        let left = self.left(debt, now);
        let added = (self.every * self.burst).saturating_sub(left).min(self.every);
        (Debt { until: now.saturating_add(left + added) }, added)
    }

    fn left(self, debt: Option<&Debt>, now: Timestamp) -> Duration {
        let left = debt.map_or(Duration::ZERO, |debt| debt.until.saturating_since(now));
        // A longer time means that the clock was set back.
        if left > self.every * self.burst { Duration::ZERO } else { left }
    }
}

/// The wrong passwords of one address for one account.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Wrong {
    times: u32,
    last: Timestamp,
}

impl Wrong {
    pub fn once_more(earlier: Option<&Self>, now: Timestamp) -> Self {
        let times = earlier.filter(|wrong| !wrong.is_over(now)).map_or(0, |wrong| wrong.times);
        Self { times: times.saturating_add(1), last: now }
    }

    pub fn once_less(&mut self) {
        self.times = self.times.saturating_sub(1);
    }
}

/// The time from which a whole burst is allowed again.
#[derive(Clone, Copy)]
pub struct Debt {
    until: Timestamp,
}

impl Debt {
    /// Removes one wrong password from the debt. `added` is the time that the password added.
    pub fn take_back(&mut self, added: Duration) {
        self.until = self.until.saturating_sub(added);
    }
}

/// The time of the latest try.
#[derive(Default)]
pub struct Latest(Option<Timestamp>);

impl Latest {
    /// Returns the time at which a try counts. The time of a try is read before the tables are
    /// locked, so it may be a little earlier than the time of the latest try. Then the try counts
    /// at the time of the latest try. At its own time, the entries of the latest try would be in
    /// the future and would have no effect.
    pub fn in_order(&mut self, now: Timestamp) -> Timestamp {
        let now = match self.0 {
            Some(latest) if latest.saturating_since(now) <= DISORDER => now.max(latest),
            _ => now,
        };
        self.0 = Some(now);
        now
    }
}

/// An entry of a table with a limited number of entries.
pub trait Entry {
    /// Returns whether the entry no longer has an effect.
    fn is_over(&self, now: Timestamp) -> bool;
    /// Returns a time by which entries are ordered. The earliest ones are dropped first.
    fn order(&self) -> Timestamp;
}

impl Entry for Wrong {
    fn is_over(&self, now: Timestamp) -> bool {
        // If the last try is in the future, the clock was set back.
        self.last > now || now.saturating_since(self.last) >= FORGOTTEN
    }

    fn order(&self) -> Timestamp {
        self.last
    }
}

impl Entry for Debt {
    fn is_over(&self, now: Timestamp) -> bool {
        self.until <= now
    }

    fn order(&self) -> Timestamp {
        self.until
    }
}

/// Inserts an entry. If the table is full, first drops the entries without effect. If the table is
/// still full, drops the earliest quarter, so that an insertion is cheap on average.
pub fn put<K: Hash + Eq, E: Entry>(table: &mut HashMap<K, E>, key: K, entry: E, now: Timestamp) {
    if table.len() >= MOST && !table.contains_key(&key) {
        table.retain(|_, entry| !entry.is_over(now));
        if table.len() >= MOST {
            let mut times: Vec<_> = table.values().map(Entry::order).collect();
            let (_, quarter, _) = times.select_nth_unstable(MOST / 4);
            let quarter = *quarter;
            table.retain(|_, entry| entry.order() > quarter);
        }
    }
    table.insert(key, entry);
}
