//! Formats times and time spans for the pages.

use keyfob::Timestamp;

/// A time in the forms that a page needs. A script replaces the forms in UTC by the local time of
/// the reader.
pub struct Time {
    /// The time in words, relative to the current time.
    pub words: String,
    /// The time in RFC 3339 form.
    pub exact: String,
    /// The time in full, in UTC.
    pub full: String,
    /// The date in UTC.
    pub date: String,
}

impl Time {
    pub fn ago(time: Timestamp, now: Timestamp) -> Self {
        Self::new(time, ago(time, now))
    }

    pub fn ahead(time: Timestamp, now: Timestamp) -> Self {
        Self::new(time, ahead(time, now))
    }

    fn new(time: Timestamp, words: String) -> Self {
        Self { words, exact: time.to_string(), full: on_page(time), date: date(time) }
    }
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Returns a past time in words, such as "5 minutes ago".
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    match now.saturating_since(then).as_secs() {
        0..MINUTE => "just now".into(),
        seconds => format!("{} ago", span(seconds)),
    }
}

/// Returns a future time in words, such as "in 30 days". The span is rounded up to a whole second,
/// so that a token that was just issued for 30 days shows exactly this text.
pub fn ahead(then: Timestamp, now: Timestamp) -> String {
    let seconds = then.saturating_since(now).as_millis().div_ceil(1000);
    format!("in {}", span(u64::try_from(seconds).unwrap_or(u64::MAX)))
}

/// Returns a time span in words. A span below two hours is in minutes, and a span below two days is
/// in hours. So rounding to whole hours or days changes a span by at most a quarter.
fn span(seconds: u64) -> String {
    let (unit, name) = match seconds {
        0..MINUTE => (1, "second"),
        _ if seconds < 2 * HOUR && seconds != HOUR => (MINUTE, "minute"),
        _ if seconds < 2 * DAY => (HOUR, "hour"),
        _ => (DAY, "day"),
    };
    let count = (seconds + unit / 2) / unit;
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {name}{plural}")
}

/// Returns a grace period of this many hours in words, such as "7 more days".
pub fn grace(hours: u64) -> String {
    let (count, unit) = if hours > 0 && hours.is_multiple_of(24) { (hours / 24, "day") } else { (hours, "hour") };
    match count {
        0 => "None: it ends immediately".into(),
        1 => format!("1 more {unit}"),
        count => format!("{count} more {unit}s"),
    }
}

/// Returns the day of a time in UTC, such as "29 Nov".
pub fn day(time: Timestamp) -> String {
    on_page(time).split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// Returns the date of a time in UTC, such as "29 Nov 2026".
pub fn date(time: Timestamp) -> String {
    on_page(time).split(',').next().map_or_else(String::new, Into::into)
}

/// Returns a time in the form that sentences on the page use, such as "29 Nov 2026, 14:05 UTC".
pub fn on_page(time: Timestamp) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = time.to_string();
    // The text is in RFC 3339 form, and the year has four digits.
    let number = |at| text.get(at..at + 2).and_then(|digits| digits.parse::<usize>().ok());
    match (text.get(..4), number(5), number(8), text.get(11..16)) {
        (Some(year), Some(month @ 1..=12), Some(day), Some(clock)) => {
            format!("{day} {} {year}, {clock} UTC", MONTHS[month - 1])
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn spans_at_each_bound() {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().expect("a time");
        for (seconds, text) in [
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "1 minute"),
            (89, "1 minute"),
            (90, "2 minutes"),
            (300, "5 minutes"),
            (HOUR, "1 hour"),
            (HOUR + MINUTE, "61 minutes"),
            (2 * HOUR - 1, "120 minutes"),
            (2 * HOUR, "2 hours"),
            (DAY, "24 hours"),
            (2 * DAY - 1, "48 hours"),
            (2 * DAY, "2 days"),
            (7 * DAY, "7 days"),
            (30 * DAY, "30 days"),
            (366 * DAY, "366 days"),
        ] {
            let then = now.saturating_add(Duration::from_secs(seconds));
            assert_eq!(ahead(then, now), format!("in {text}"));
            let told = if seconds < MINUTE { "just now".into() } else { format!("{text} ago") };
            assert_eq!(ago(now, then), told);
        }
        let almost = now.saturating_add(Duration::from_millis(30 * DAY * 1000 - 20));
        assert_eq!(ahead(almost, now), "in 30 days");
        assert_eq!(date(now), "23 Nov 2026");
        assert_eq!(day(now), "23 Nov");
        assert_eq!(on_page(now), "23 Nov 2026, 12:00 UTC");
        assert_eq!(on_page("2027-01-01T00:00:00Z".parse().expect("a time")), "1 Jan 2027, 00:00 UTC");
    }
}
