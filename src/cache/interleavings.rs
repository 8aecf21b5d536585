//! Tests of the cache protocol on one key, in every order of the steps of two writers, a group
//! revocation, two fills, a feed loss and an eviction. A test checks that each fault breaks a law.

use std::collections::HashMap;
use std::time::Duration;

use super::protocol::{Epoch, Held, Since, Versioned, fill, look, wrote};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Row {
    version: u64,
    revoked: bool,
}

impl Versioned for Row {
    fn version(&self) -> u64 {
        self.version
    }
    fn is_revoked(&self) -> bool {
        self.revoked
    }
}

/// A fault of the cache that a test simulates, or `None`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    None,
    /// A fill always replaces the entry.
    FillsOverwrite,
    /// A fill replaces an entry that has a newer version.
    VersionsIgnored,
    /// A fill replaces the entry although the record was changed during the fill.
    OvertakingIgnored,
    /// A fill replaces the entry although the project's entries were dropped during the fill.
    EpochIgnored,
    /// An entry never becomes too old to be returned.
    NeverExpires,
    /// The entries stay in the cache after a feed loss.
    LossIgnored,
}

/// The origin of a change: this process, or another process whose changes the feed reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    Us,
    Others,
}

/// The parameters of one test: which process makes each change, the bound in steps, and the fault.
#[derive(Clone, Copy, Debug)]
struct Setting {
    writers: [By; 2],
    matching: By,
    bound: usize,
    fault: Fault,
}

/// The indices of the two writers. The next four constants are indices of other participants.
const WRITERS: [usize; 2] = [0, 1];
const MATCHING: usize = 2;
const FILLS: [usize; 2] = [3, 4];
const LOSS: usize = 5;
const EVICTION: usize = 6;
const STAGES: usize = 7;

#[derive(Clone, Debug)]
struct World {
    done: [u8; STAGES],
    /// The row in the store after each step. The index is the time in steps, and the last row is
    /// the current one. Rows that no law needs any more are `None`.
    rows: Vec<Option<Row>>,
    held: Option<Held<Row>>,
    epoch: Epoch,
    /// For each participant, the time and epoch at which its current change or fill began, if any.
    since: [Option<Since>; STAGES],
    read: [Option<Row>; STAGES],
    overtaken: [bool; STAGES],
    written: [Option<Row>; STAGES],
    lost_at: Option<usize>,
    /// The requirement for a returned row: the minimum version, and whether it must be revoked.
    floor: Row,
    /// The row of the last look-up in the cache, or `None` if the entry was removed since then.
    shown: Option<Row>,
}

fn at(step: usize) -> Duration {
    Duration::from_secs(step as u64)
}

impl Setting {
    /// Returns the number of steps of each participant. A change by this process and a fill take
    /// three steps. Any other change takes two steps: the commit, and the report to the cache.
    fn steps(&self) -> [u8; STAGES] {
        let [one, other] = self.writers.map(|by| if by == By::Us { 3 } else { 2 });
        let evictions = u8::from(self.bound == Self::FAR);
        [one, other, 2, 3, 3, 1, evictions]
    }

    /// A bound of the cache, in steps. It is longer than any test, so no entry gets too old.
    const FAR: usize = 1_000;
}

impl World {
    fn new() -> Self {
        let row = Row { version: 1, revoked: false };
        Self {
            done: [0; STAGES],
            rows: vec![Some(row)],
            held: None,
            epoch: 0,
            since: [None; STAGES],
            read: [None; STAGES],
            overtaken: [false; STAGES],
            written: [None; STAGES],
            lost_at: None,
            floor: row,
            shown: None,
        }
    }

    fn now(&self) -> usize {
        self.rows.len() - 1
    }

    fn row(&self) -> Row {
        self.rows[self.now()].unwrap()
    }

    /// Drops the data that no law and no step needs any more, so that more states are equal.
    fn forget(&mut self, setting: &Setting) {
        let asked = if setting.bound == Setting::FAR { self.now() } else { self.now().saturating_sub(setting.bound) };
        let asked = self.lost_at.map_or(asked, |lost_at| asked.min(lost_at));
        self.rows[..asked].fill(None);
        for who in 0..STAGES {
            if self.done[who] == setting.steps()[who] {
                (self.since[who], self.read[who], self.written[who], self.overtaken[who]) = (None, None, None, false);
            }
        }
    }

    /// Marks the fills in progress as overtaken, because the cache learned of a change of the key.
    fn overtake(&mut self) {
        for fill in FILLS {
            self.overtaken[fill] |= self.since[fill].is_some();
        }
    }

    /// Returns the state in a few bytes, because the test stores millions of states.
    fn packed(&self) -> Box<[u8]> {
        let row = |row: Option<Row>| row.map_or(0, |row| (row.version as u8) << 1 | u8::from(row.revoked));
        let since = |since: Option<Since>| {
            since.map_or([u8::MAX; 2], |since| [since.asked_at.as_secs() as u8, since.epoch as u8])
        };
        let held = self.held.as_ref();
        let mut packed = Vec::with_capacity(64);
        packed.extend(self.done);
        packed.extend(self.rows.iter().copied().map(row));
        packed.extend(since(held.map(|held| held.since)));
        packed.extend([
            row(held.and_then(|held| held.found)),
            self.epoch as u8,
            row(Some(self.floor)),
            row(self.shown),
        ]);
        packed.push(self.lost_at.map_or(u8::MAX, |lost_at| lost_at as u8));
        for who in 0..STAGES {
            packed.extend(since(self.since[who]));
            packed.extend([row(self.read[who]), row(self.written[who]), u8::from(self.overtaken[who])]);
        }
        packed.into()
    }

    fn must_show(&mut self, row: Row) {
        self.floor.version = self.floor.version.max(row.version);
        self.floor.revoked |= row.revoked;
    }

    /// Makes the next step of one participant.
    fn step(mut self, who: usize, setting: &Setting) -> Self {
        // The last stage of every participant is 2. So one with two steps begins with stage 1.
        let stage = 3_u8.saturating_sub(setting.steps()[who]) + self.done[who];
        self.done[who] += 1;
        let row = self.row();
        self.rows.push(Some(row));
        // No test reaches the bound `FAR`, so there the time of a call does not matter.
        let asked_at = if setting.bound == Setting::FAR { 0 } else { self.now() };
        let since = Since { asked_at: at(asked_at), epoch: self.epoch };
        let by = match who {
            MATCHING => setting.matching,
            0 | 1 => setting.writers[who],
            _ => By::Us,
        };
        match (who, stage) {
            (LOSS, _) => {
                self.lost_at = Some(self.now());
                if setting.fault != Fault::LossIgnored {
                    self.epoch += 1;
                }
            }
            (EVICTION, _) => {
                self.held = None;
                self.shown = None;
            }
            (_, 0) => self.since[who] = Some(since),
            (MATCHING | 0 | 1, 1) => {
                // The first writer renames. The second one and the group revoke a live token.
                let now = self.now();
                let ends = who != WRITERS[0];
                if !(row.revoked && ends) {
                    self.rows[now] = Some(Row { version: row.version + 1, revoked: row.revoked || ends });
                }
                self.written[who] = self.rows[now];
            }
            (0 | 1, _) => self.heard_of(who, by),
            (MATCHING, _) => {
                let told = by == By::Us || self.lost_at.is_none();
                if told {
                    self.must_show(self.written[who].unwrap());
                    self.epoch += 1;
                }
            }
            (_, 1) => self.read[who] = Some(row),
            _ => self.land(who, setting),
        }
        self.forget(setting);
        self
    }

    /// Applies a change to the cache if this process made it or a working feed reports it.
    fn heard_of(&mut self, who: usize, by: By) {
        let row = self.written[who].unwrap();
        match by {
            By::Us => {
                let written = Held { found: Some(row), since: self.since[who].unwrap() };
                self.held = wrote(self.held.take(), written);
            }
            By::Others if self.lost_at.is_none() => {
                self.held = None;
                self.shown = None;
            }
            By::Others => return,
        }
        self.must_show(row);
        self.overtake();
    }

    fn land(&mut self, who: usize, setting: &Setting) {
        let mut since = self.since[who].unwrap();
        if setting.fault == Fault::EpochIgnored {
            since.epoch = self.epoch;
        }
        let overwrites = setting.fault == Fault::FillsOverwrite;
        let overtaken = self.overtaken[who] && !overwrites && setting.fault != Fault::OvertakingIgnored;
        let standing = self.held.clone().filter(|_| !overwrites && setting.fault != Fault::VersionsIgnored);
        let landing = Held { found: self.read[who], since };
        let landed = fill(standing, landing, overtaken, self.epoch, at(setting.bound));
        if !landed.lost {
            self.held = landed.held;
        }
    }

    /// Returns which law (1 to 4) the current entry of the cache breaks, if any.
    fn broken(&mut self, setting: &Setting) -> Option<u8> {
        let (now, bound) = (self.now(), setting.bound);
        let trusted = if setting.fault == Fault::NeverExpires { usize::MAX / 2 } else { bound };
        let answer = look(self.held.as_ref(), at(now), self.epoch, at(trusted))?.found?;
        let was_so_since = |from: usize| self.rows[from.min(now)..].contains(&Some(answer));
        if bound != Setting::FAR && !was_so_since(now.saturating_sub(bound)) {
            return Some(1);
        }
        if answer.version < self.floor.version || (self.floor.revoked && !answer.revoked) {
            return Some(2);
        }
        if self.lost_at.is_some_and(|lost_at| !was_so_since(lost_at)) {
            return Some(3);
        }
        if self.shown.is_some_and(|shown| answer.version < shown.version) {
            return Some(4);
        }
        self.shown = Some(answer);
        None
    }
}

/// Returns the number of orders of the remaining steps, or the number of a law that one breaks.
fn walk(mut world: World, setting: &Setting, known: &mut HashMap<Box<[u8]>, u128>) -> Result<u128, u8> {
    if let Some(law) = world.broken(setting) {
        return Err(law);
    }
    let packed = world.packed();
    if let Some(orders) = known.get(&packed) {
        return Ok(*orders);
    }
    let mut orders = 0;
    let mut ended = true;
    for (who, steps) in setting.steps().iter().enumerate() {
        if world.done[who] < *steps {
            ended = false;
            orders += walk(world.clone().step(who, setting), setting, known)?;
        }
    }
    let orders = if ended { 1 } else { orders };
    known.insert(packed, orders);
    Ok(orders)
}

/// Returns the parameters of all tests. If the bound can pass during a test, there are many more
/// states. So such a test has no eviction, and only other processes write.
fn settings(fault: Fault) -> [Setting; 5] {
    use By::{Others, Us};
    [
        ([Us, Us], Us, Setting::FAR),
        ([Us, Others], Others, Setting::FAR),
        ([Others, Us], Us, Setting::FAR),
        ([Others, Others], Others, Setting::FAR),
        ([Others, Others], Others, 4),
    ]
    .map(|(writers, matching, bound)| Setting { writers, matching, bound, fault })
}

fn keeps_the_laws_in_every_order(setting: Setting) {
    let orders = walk(World::new(), &setting, &mut HashMap::new());
    let factorial = |steps: u8| (1..=u128::from(steps)).product::<u128>();
    let all = setting.steps().iter().fold(factorial(setting.steps().iter().sum()), |all, one| all / factorial(*one));
    assert_eq!(orders, Ok(all), "{setting:?}");
}

#[test]
fn every_order_keeps_the_laws() {
    std::thread::scope(|scope| {
        for setting in settings(Fault::None) {
            scope.spawn(move || keeps_the_laws_in_every_order(setting));
        }
    });
}

#[test]
fn a_missing_defence_is_found() {
    // Each fault is tested only in the setting that finds it first. All settings take a minute.
    for (fault, law, place) in [
        (Fault::FillsOverwrite, 2, 0),
        (Fault::VersionsIgnored, 4, 0),
        (Fault::OvertakingIgnored, 2, 0),
        (Fault::EpochIgnored, 2, 0),
        (Fault::NeverExpires, 1, 4),
        (Fault::LossIgnored, 3, 0),
    ] {
        assert_eq!(walk(World::new(), &settings(fault)[place], &mut HashMap::new()), Err(law), "{fault:?}");
    }
}
