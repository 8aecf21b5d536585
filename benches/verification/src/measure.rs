//! Measures several operations by turns in one process, and compares their times in pairs.

use std::hint::black_box;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The number of rounds. In each round, each operation runs for one slice.
pub const ROUNDS: usize = 15;
/// The approximate time of a slice.
const SLICE: Duration = Duration::from_millis(20);

/// An operation that is measured. A call runs the operation as often as the argument says.
pub type Act<'a> = Box<dyn FnMut(u64) + 'a>;

/// Creates an [`Act`] from a closure that runs an operation once.
pub fn act<'a, T>(mut once: impl FnMut() -> T + 'a) -> Act<'a> {
    Box::new(move |times| {
        for _ in 0..times {
            black_box(once());
        }
    })
}

/// The processor time that each operation took per call in each round, in nanoseconds.
pub struct Times(Vec<(&'static str, Vec<f64>)>);

/// Measures operations by turns.
///
/// Other programs on the machine and the frequency of the processor affect all operations of a
/// round alike. So the ratio of two operations in one round is more stable than their times. The
/// order of the operations alternates from round to round. The measured time is the time that this
/// thread spent on a processor. So the time of a program that interrupts the thread is not counted.
pub fn by_turns(mut acts: Vec<(&'static str, Act<'_>)>) -> Times {
    let calls: Vec<u64> = acts.iter_mut().map(|(_, act)| calls_in_a_slice(act)).collect();
    let mut times: Vec<_> = acts.iter().map(|(name, _)| (*name, Vec::with_capacity(ROUNDS))).collect();
    for round in 0..ROUNDS {
        for turn in 0..acts.len() {
            let at = if round % 2 == 0 { turn } else { acts.len() - 1 - turn };
            times[at].1.push(took(&mut acts[at].1, calls[at]).as_nanos() as f64 / calls[at] as f64);
        }
    }
    Times(times)
}

/// Returns how many calls take one slice. The calls that find this number warm up the operation.
fn calls_in_a_slice(act: &mut Act<'_>) -> u64 {
    let mut calls = 1;
    loop {
        let time = took(act, calls);
        if time * 2 >= SLICE {
            return (calls as f64 * SLICE.as_secs_f64() / time.as_secs_f64()).ceil() as u64;
        }
        calls *= 2;
    }
}

/// Returns the processor time that these calls take.
fn took(act: &mut Act<'_>, calls: u64) -> Duration {
    let began = processor_time();
    act(calls);
    processor_time() - began
}

/// Returns the time that this thread has spent on a processor.
pub fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

impl Times {
    fn of(&self, name: &str) -> &[f64] {
        &self.0.iter().find(|(known, _)| *known == name).expect("this operation is measured").1
    }

    /// Returns the median time of the operation with this name, in nanoseconds.
    pub fn median(&self, name: &str) -> f64 {
        median(self.of(name).to_vec())
    }

    /// Compares an operation with the sum of other operations, round by round.
    pub fn beside(&self, act: &str, floor: &[&str]) -> Beside {
        self.compare(self.of(act).to_vec(), floor)
    }

    /// Compares an operation with the sum of other operations, round by round. First subtracts the
    /// time of `part`, which the measured operation needs but which does not belong to it.
    pub fn without(&self, act: &str, part: &str, floor: &[&str]) -> Beside {
        self.compare(self.of(act).iter().zip(self.of(part)).map(|(act, part)| act - part).collect(), floor)
    }

    fn compare(&self, acts: Vec<f64>, floor: &[&str]) -> Beside {
        let sum = |round: usize| floor.iter().map(|name| self.of(name)[round]).sum();
        let floors: Vec<f64> = (0..ROUNDS).map(sum).collect();
        let ratio = Spread::of(acts.iter().zip(&floors).map(|(act, floor)| act / floor).collect());
        Beside { act: median(acts), floor: median(floors), ratio }
    }

    /// Returns by how many nanoseconds an operation takes longer than another, round by round.
    pub fn beyond(&self, act: &str, floor: &str) -> Spread {
        Spread::of(self.of(act).iter().zip(self.of(floor)).map(|(act, floor)| act - floor).collect())
    }
}

/// The times of an operation and of its floor, and their ratio.
pub struct Beside {
    /// The median time of the operation, in nanoseconds.
    pub act: f64,
    /// The median time of the floor, in nanoseconds.
    pub floor: f64,
    pub ratio: Spread,
}

/// The median, the minimum and the maximum of one figure in all rounds.
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// Summarizes the figures of all rounds.
    pub fn of(figures: Vec<f64>) -> Self {
        let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
        let most = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self { median: median(figures), least, most }
    }
}

/// Returns the median of the figures. Panics if there are no figures.
pub fn median(mut figures: Vec<f64>) -> f64 {
    let middle = figures.len() / 2;
    *figures.select_nth_unstable_by(middle, f64::total_cmp).1
}
