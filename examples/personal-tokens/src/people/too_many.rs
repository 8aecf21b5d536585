//! The error of a try that comes too early after wrong passwords.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// The error that is returned for a try that comes too early after wrong passwords.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooMany {
    pub wait: Duration,
}

impl TooMany {
    /// Returns the time to wait in whole seconds, at least one.
    pub fn seconds(self) -> u64 {
        u64::try_from(self.wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1)
    }
}

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match self.seconds() {
            seconds @ ..=90 => (seconds, "second"),
            seconds => (seconds.div_ceil(60), "minute"),
        };
        let plural = if number == 1 { "" } else { "s" };
        write!(f, "too many wrong passwords. Try again in {number} {unit}{plural}")
    }
}

impl Error for TooMany {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_is_told_in_seconds_or_minutes() {
        for (millis, text) in [(1, "1 second"), (30_000, "30 seconds"), (90_001, "2 minutes"), (900_000, "15 minutes")]
        {
            let said = TooMany { wait: Duration::from_millis(millis) }.to_string();
            assert_eq!(said, format!("too many wrong passwords. Try again in {text}"));
        }
    }
}
