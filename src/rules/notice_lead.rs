//! The lead time of a notice of expiry.

use core::fmt;
use core::time::Duration;

use crate::words::invalid::{Invalid, InvalidField, InvalidKind};
use crate::words::timestamp::Timestamp;

/// The lead time of a notice of expiry: the time between the notice and the expiry of the token, in
/// whole milliseconds. A notice with a shorter lead time is sent later.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(try_from = "u64", into = "u64"))]
pub struct NoticeLead(u64);

const DAY: u64 = 24 * 60 * 60 * 1000;

impl NoticeLead {
    /// A lead time of 30 days.
    pub const MONTH: Self = Self(30 * DAY);
    /// A lead time of 7 days.
    pub const WEEK: Self = Self(7 * DAY);
    /// A lead time of 1 day.
    pub const DAY: Self = Self(DAY);
    /// The lead times of the default [`NoticeSchedule`](crate::notices::NoticeSchedule): 30 days,
    /// 7 days and 1 day.
    pub const ALL: [Self; 3] = [Self::MONTH, Self::WEEK, Self::DAY];

    /// The maximum lead time, in milliseconds. It equals 366 days.
    pub const MAX_MILLIS: u64 = 366 * DAY;

    /// Creates a lead time from a number of milliseconds.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the number is 0 or more than [`MAX_MILLIS`](Self::MAX_MILLIS).
    pub const fn from_millis(millis: u64) -> Result<Self, Invalid> {
        if millis == 0 || millis > Self::MAX_MILLIS {
            return Err(Invalid::new(InvalidField::NoticeLead, InvalidKind::OutOfRange));
        }
        Ok(Self(millis))
    }

    /// Creates a lead time from a number of days.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the number is 0 or more than 366.
    pub const fn from_days(days: u16) -> Result<Self, Invalid> {
        Self::from_millis(days as u64 * DAY)
    }

    /// Returns the lead time in milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Returns `now` plus this lead time. At `now`, a notice with this lead time can be due only
    /// for tokens that expire at or before the returned time.
    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql", feature = "redis"))]
    pub(crate) fn horizon(self, now: Timestamp) -> Timestamp {
        now.saturating_add(Duration::from_millis(self.0))
    }

    /// Returns the shortest lead time in `leads` whose notice is due at `now`, for a token that
    /// expires at `expires_at`. Returns `None` if no notice is due.
    pub(crate) fn begun(leads: &[Self], expires_at: Option<Timestamp>, now: Timestamp) -> Option<Self> {
        let end = expires_at?;
        // The lead time is subtracted from the expiry, because `now` plus the lead time may exceed
        // the year 9999.
        let begun = |lead: &Self| end.saturating_sub(Duration::from_millis(lead.0)) <= now;
        leads.iter().copied().filter(begun).min()
    }
}

impl TryFrom<u64> for NoticeLead {
    type Error = Invalid;

    fn try_from(millis: u64) -> Result<Self, Invalid> {
        Self::from_millis(millis)
    }
}

impl From<NoticeLead> for u64 {
    fn from(lead: NoticeLead) -> Self {
        lead.0
    }
}

impl fmt::Display for NoticeLead {
    /// Writes the lead time in the largest unit that gives a whole number: `30d`, `36h`, `90m`,
    /// `10s` or `1ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 4] = [(DAY, "d"), (DAY / 24, "h"), (60_000, "m"), (1000, "s")];
        let unit = UNITS.into_iter().find(|(millis, _)| self.0.is_multiple_of(*millis)).unwrap_or((1, "ms"));
        write!(f, "{}{}", self.0 / unit.0, unit.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::sample::{MS, at};

    #[test]
    fn a_lead_is_at_least_a_millisecond_and_at_most_a_leap_year() {
        for millis in [1, 366 * DAY] {
            assert_eq!(NoticeLead::from_millis(millis).unwrap().as_millis(), millis);
        }
        for millis in [0, 366 * DAY + 1, u64::MAX] {
            assert_eq!(NoticeLead::try_from(millis).unwrap_err().kind(), InvalidKind::OutOfRange);
        }
    }

    #[test]
    fn the_latest_notice_that_has_begun_is_due() {
        let end = at(0).saturating_add(Duration::from_millis(30 * DAY));
        let begun = |days: u64, more: i64| {
            let now = at(0).saturating_add(Duration::from_millis(days * DAY));
            let now = if more < 0 { now.saturating_sub(MS) } else { now };
            NoticeLead::begun(&NoticeLead::ALL, Some(end), now)
        };
        assert_eq!([begun(0, -1), begun(0, 0)], [None, Some(NoticeLead::MONTH)]);
        assert_eq!([begun(23, -1), begun(23, 0)], [Some(NoticeLead::MONTH), Some(NoticeLead::WEEK)]);
        assert_eq!([begun(29, -1), begun(29, 0)], [Some(NoticeLead::WEEK), Some(NoticeLead::DAY)]);
        assert_eq!(NoticeLead::begun(&NoticeLead::ALL, None, at(0)), None);
        assert_eq!(NoticeLead::begun(&[], Some(end), end), None);
    }

    #[test]
    fn a_lead_is_written_in_its_longest_whole_unit() {
        let text = |millis| NoticeLead::from_millis(millis).unwrap().to_string();
        assert_eq!([text(30 * DAY), text(36 * DAY / 24), text(90 * 60_000)], ["30d", "36h", "90m"]);
        assert_eq!([text(10_000), text(1)], ["10s", "1ms"]);
    }
}
