//! Times, and what stands for many of them.

use std::time::{Duration, Instant};

/// A figure in the middle of them.
pub fn median(mut figures: Vec<f64>) -> f64 {
    assert!(!figures.is_empty());
    let middle = figures.len() / 2;
    *figures.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// An act beside its floor, in nanoseconds for one.
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

/// Times an act and its floor in small batches by turns, so that whatever else the machine does meets both. The median of the batches.
pub async fn by_turns(
    batches: usize,
    of: usize,
    mut act: impl AsyncFnMut(usize) -> Duration,
    mut floor: impl AsyncFnMut(usize) -> Duration,
) -> Beside {
    let (mut acts, mut floors) = (Vec::new(), Vec::new());
    for batch in 0..batches {
        // Who is second finds warm what they share.
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

/// What reading the clock takes, to be subtracted from times that are not much longer.
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

/// A time in words.
pub fn time(nanos: f64) -> String {
    match nanos {
        ..1e3 => format!("{nanos:.0} ns"),
        ..1e4 => format!("{:.2} µs", nanos / 1e3),
        ..1e6 => format!("{:.0} µs", nanos / 1e3),
        _ => format!("{:.2} ms", nanos / 1e6),
    }
}

/// A number with its thousands apart.
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

/// Says on stderr how far it has come.
pub fn progress(what: &str) {
    use std::sync::OnceLock;
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let since = BEGAN.get_or_init(Instant::now).elapsed();
    eprintln!("{:5} s  {what}", since.as_secs());
}
