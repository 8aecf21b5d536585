//! The progress output: a bar on a terminal, and a line every few seconds otherwise.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// The time between two lines, if the output is not a terminal.
const LINE: Duration = Duration::from_secs(5);
/// The time between two drawings of the bar.
const FRAME: Duration = Duration::from_millis(100);
/// The width of the bar, in characters.
const WIDTH: u64 = 30;

/// The observer of [`Progress::observed_by`]. It receives the name of the operation and the number
/// of tokens that the operation has processed so far.
type Observer = Box<dyn FnMut(&'static str, u64) + Send>;

/// The progress of one operation after the other. It is written to the error output, so that the
/// standard output has only results.
pub struct Progress {
    operation: &'static str,
    all: u64,
    done: u64,
    began: Instant,
    drawn: Instant,
    style: Style,
}

enum Style {
    Bar,
    Lines,
    Silent,
    #[allow(dead_code, reason = "only tests observe a progress")]
    Observed(Observer),
}

impl Progress {
    /// Creates a progress that draws a bar if the error output is a terminal, and writes lines
    /// otherwise.
    pub fn new() -> Self {
        Self::of(if std::io::stderr().is_terminal() { Style::Bar } else { Style::Lines })
    }

    /// Creates a progress without output.
    pub fn silent() -> Self {
        Self::of(Style::Silent)
    }

    /// Creates a progress that calls a function instead of writing.
    #[allow(dead_code, reason = "only tests observe a progress")]
    pub fn observed_by(observer: impl FnMut(&'static str, u64) + Send + 'static) -> Self {
        Self::of(Style::Observed(Box::new(observer)))
    }

    fn of(style: Style) -> Self {
        let now = Instant::now();
        Self { operation: "", all: 0, done: 0, began: now, drawn: now, style }
    }

    /// Begins an operation on about `all` tokens.
    pub fn begin(&mut self, operation: &'static str, all: u64) {
        let now = Instant::now();
        (self.operation, self.all, self.done, self.began, self.drawn) = (operation, all, 0, now, now);
    }

    /// Reports the number of tokens that the operation has processed so far.
    pub fn set(&mut self, done: u64) {
        self.done = done;
        match &mut self.style {
            Style::Observed(observer) => observer(self.operation, done),
            Style::Bar if self.drawn.elapsed() >= FRAME => self.draw(),
            Style::Lines if self.drawn.elapsed() >= LINE => self.draw(),
            _ => {}
        }
    }

    /// Ends the operation. A bar disappears.
    pub fn end(&mut self) {
        if matches!(self.style, Style::Bar) {
            eprint!("\r\x1b[K");
        }
        self.all = 0;
    }

    /// Prints a message beside the progress.
    pub fn say(&mut self, message: &str) {
        self.end();
        if !matches!(self.style, Style::Silent | Style::Observed(_)) {
            eprintln!("{message}");
        }
    }

    fn draw(&mut self) {
        self.drawn = Instant::now();
        let text = describe(self.operation, self.done, self.all, self.began.elapsed());
        if matches!(self.style, Style::Bar) {
            let full = (WIDTH * self.done).checked_div(self.all).unwrap_or(0).min(WIDTH) as usize;
            eprint!("\r\x1b[K[{}{}] {text}", "#".repeat(full), ".".repeat(WIDTH as usize - full));
            // A progress that cannot be shown is no reason to stop.
            std::io::stderr().flush().ok();
        } else {
            eprintln!("{text}");
        }
    }
}

/// Describes the progress of an operation. The number of all tokens was counted at the start, so
/// it is approximate.
fn describe(operation: &str, done: u64, all: u64, elapsed: Duration) -> String {
    let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
    let left = all.saturating_sub(done) as f64 / rate.max(0.001);
    format!("{operation}: {done} of about {all}, {rate:.0} per second, {left:.0} s left")
}
