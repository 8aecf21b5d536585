//! Functions that measure times, compute medians, and write times and numbers as text.

use std::time::{Duration, Instant};

/// Returns the median of the figures. Panics if there are no figures.
pub fn median(mut figures: Vec<f64>) -> f64 {
    assert!(!figures.is_empty());
    let middle = figures.len() / 2;
    *figures.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// The time of an operation, and the time of its floor: another operation with which the benchmark
/// compares it.
#[derive(Clone, Copy)]
pub struct Beside {
    /// The time of the operation, in nanoseconds.
    pub act: f64,
    /// The time of the floor (the operation to compare with), in nanoseconds.
    pub floor: f64,
}

impl Beside {
    pub fn ratio(self) -> f64 {
        self.act / self.floor
    }
}

/// Measures an operation and its floor in turns, and returns the median time of each. The floor is
/// the operation with which the first operation is compared.
///
/// Both run in batches: `batches` is the number of batches, and `of` is the number of operations in
/// each batch. Each call of a closure runs one batch, and returns how long the batch took. Small
/// batches ensure that other load on the machine affects the operation and the floor alike.
pub async fn by_turns(
    batches: usize,
    of: usize,
    mut act: impl AsyncFnMut(usize) -> Duration,
    mut floor: impl AsyncFnMut(usize) -> Duration,
) -> Beside {
    let (mut acts, mut floors) = (Vec::new(), Vec::new());
    for batch in 0..batches {
        // The order alternates, because the batch that runs first warms the caches for the other.
        if batch % 2 == 0 {
            acts.push(act(of).await);
            floors.push(floor(of).await);
        } else {
            floors.push(floor(of).await);
            acts.push(act(of).await);
        }
    }
    let median = |times: Vec<Duration>| median(times.iter().map(|time| nanos(*time) / of as f64).collect());
    Beside { act: median(acts), floor: median(floors) }
}

pub fn nanos(time: Duration) -> f64 {
    time.as_nanos() as f64
}

/// Returns how long one reading of the clock takes, in nanoseconds. The caller subtracts this time
/// from measured times that are not much longer.
pub fn clock_cost() -> f64 {
    let mut last = Instant::now();
    let costs = (0..100_000).map(|_| {
        let now = Instant::now();
        let cost = now - last;
        last = now;
        nanos(cost)
    });
    median(costs.collect())
}

/// Returns a time in nanoseconds as text, with the unit ns, µs or ms.
pub fn time(nanos: f64) -> String {
    match nanos {
        ..1e3 => format!("{nanos:.0} ns"),
        ..1e4 => format!("{:.2} µs", nanos / 1e3),
        ..1e6 => format!("{:.0} µs", nanos / 1e3),
        _ => format!("{:.2} ms", nanos / 1e6),
    }
}

/// Returns a number as text, with commas between the thousands.
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Prints a progress message to stderr. The message begins with the seconds since the first
/// progress message.
pub fn progress(what: &str) {
    use std::sync::OnceLock;
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let since = BEGAN.get_or_init(Instant::now).elapsed();
    eprintln!("{:5} s  {what}", since.as_secs());
}
