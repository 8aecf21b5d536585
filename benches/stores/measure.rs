//! Measuring times, summarizing them, and writing them as text.

use std::time::{Duration, Instant};

/// Returns the median of the figures. There must be at least one.
pub fn median(mut figures: Vec<f64>) -> f64 {
    assert!(!figures.is_empty());
    let middle = figures.len() / 2;
    *figures.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// The times of an operation and of its floor, in nanoseconds per operation.
#[derive(Clone, Copy)]
pub struct Beside {
    pub act: f64,
    pub floor: f64,
}

impl Beside {
    pub fn ratio(self) -> f64 {
        self.act / self.floor
    }
}

/// Times an operation and its floor in turns, and returns the medians of the batches.
///
/// There are `batches` batches of `of` operations each. The batches are small, so that other load
/// on the machine affects the operation and the floor alike.
pub async fn by_turns(
    batches: usize,
    of: usize,
    mut act: impl AsyncFnMut(usize) -> Duration,
    mut floor: impl AsyncFnMut(usize) -> Duration,
) -> Beside {
    let (mut acts, mut floors) = (Vec::new(), Vec::new());
    for batch in 0..batches {
        // The order alternates because the first of the two warms the caches for the second.
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

/// Returns the time of reading the clock, in nanoseconds. Subtract it from times that are not much
/// longer.
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

/// Returns a time as text, in ns, µs or ms.
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

/// Prints a progress message to stderr, with the seconds since the first message.
pub fn progress(what: &str) {
    use std::sync::OnceLock;
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let since = BEGAN.get_or_init(Instant::now).elapsed();
    eprintln!("{:5} s  {what}", since.as_secs());
}
