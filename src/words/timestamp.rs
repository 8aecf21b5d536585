//! A point in time in whole milliseconds.

use core::fmt;
use core::num::NonZeroU64;
use core::str::FromStr;
use core::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::invalid::{Invalid, InvalidField, InvalidKind};

/// A point in time in whole milliseconds, from year 1 to the end of year 9999.
///
/// keyfob defines this type so that its public API depends on no time crate. Times are parsed from
/// RFC 3339 text and displayed as RFC 3339 text. Display writes UTC with milliseconds, so the texts
/// sort in the order of the times.
///
/// **Durations below a millisecond.** If a [`Duration`] is added to a time or subtracted from it,
/// keyfob first rounds the duration up to whole milliseconds. This rule holds for every duration
/// that a service passes: lifetimes, grace periods, times to confirm, leases, retention times and
/// the limits of a [`Policy`](crate::Policy). So a duration above zero never becomes zero.
///
/// ```
/// use core::time::Duration;
/// use keyfob::Timestamp;
///
/// let now: Timestamp = "2026-11-23T12:00:00Z".parse()?;
/// let later = now.checked_add(Duration::from_secs(90)).unwrap();
/// assert_eq!(later.to_string(), "2026-11-23T12:01:30.000Z");
/// assert_eq!(now.as_unix_millis(), 1_795_435_200_000);
/// # Ok::<(), keyfob::Invalid>(())
/// ```
// The number is the milliseconds since MIN, plus one. The number is never zero, so that an Option
// of a Timestamp takes no more memory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(NonZeroU64);

const MIN_MILLIS: i64 = -62_135_596_800_000;
const MAX_MILLIS: i64 = 253_402_300_799_999;

impl Timestamp {
    /// The earliest time, 0001-01-01T00:00:00.000Z.
    pub const MIN: Self = Self::clamped(MIN_MILLIS);
    /// The latest time, 9999-12-31T23:59:59.999Z.
    pub const MAX: Self = Self::clamped(MAX_MILLIS);
    /// The Unix epoch, 1970-01-01T00:00:00.000Z.
    pub const UNIX_EPOCH: Self = Self::clamped(0);

    /// Creates a time from the milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the time is outside the years 1 to 9999.
    pub const fn from_unix_millis(millis: i64) -> Result<Self, Invalid> {
        if millis < MIN_MILLIS || millis > MAX_MILLIS {
            return Err(Invalid::new(InvalidField::Timestamp, InvalidKind::OutOfRange));
        }
        Ok(Self::clamped(millis))
    }

    /// Creates a time from the milliseconds since the Unix epoch. A time outside the years 1 to
    /// 9999 becomes the nearest time in these years.
    pub(super) const fn clamped(millis: i64) -> Self {
        let millis = if millis < MIN_MILLIS {
            MIN_MILLIS
        } else if millis > MAX_MILLIS {
            MAX_MILLIS
        } else {
            millis
        };
        Self(NonZeroU64::new((millis - MIN_MILLIS) as u64 + 1).expect("it is at least 1"))
    }

    /// Returns the milliseconds since the Unix epoch. The number is negative before the epoch.
    pub const fn as_unix_millis(self) -> i64 {
        self.0.get() as i64 - 1 + MIN_MILLIS
    }

    /// Returns the time that is `by` later, or `None` if the result would be after year 9999. `by`
    /// is rounded up to whole milliseconds.
    pub fn checked_add(self, by: Duration) -> Option<Self> {
        let by = i64::try_from(whole_millis(by).as_millis()).ok()?;
        Self::from_unix_millis(self.as_unix_millis().checked_add(by)?).ok()
    }

    /// Returns the time that is `by` later, at most [`MAX`](Self::MAX). `by` is rounded up to whole
    /// milliseconds.
    pub fn saturating_add(self, by: Duration) -> Self {
        self.checked_add(by).unwrap_or(Self::MAX)
    }

    /// Returns the time that is `by` earlier, at least [`MIN`](Self::MIN). `by` is rounded up to
    /// whole milliseconds.
    pub fn saturating_sub(self, by: Duration) -> Self {
        let by = i64::try_from(whole_millis(by).as_millis()).unwrap_or(i64::MAX);
        Self::clamped(self.as_unix_millis().saturating_sub(by))
    }

    /// Returns the start of the UTC day that contains this time.
    pub(crate) fn start_of_day(self) -> Self {
        const DAY: i64 = 24 * 60 * 60 * 1000;
        Self::clamped(self.as_unix_millis().div_euclid(DAY) * DAY)
    }

    /// Returns the duration from `earlier` to this time, or zero if this time is not later.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.get().saturating_sub(earlier.0.get()))
    }
}

/// Returns a duration rounded up to whole milliseconds. All durations that a service passes are
/// rounded in this way before they meet a time or are compared with a limit.
pub(crate) const fn whole_millis(duration: Duration) -> Duration {
    const NANOS: u32 = 1_000_000;
    match duration.subsec_nanos() % NANOS {
        0 => duration,
        part => duration.saturating_add(Duration::from_nanos((NANOS - part) as u64)),
    }
}

impl fmt::Display for Timestamp {
    /// Writes the time as RFC 3339 text in UTC, always with milliseconds, so that the texts sort in
    /// the order of the times.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.as_unix_millis()) * 1_000_000;
        let time = OffsetDateTime::from_unix_timestamp_nanos(nanos).expect("a timestamp is of year 1 to 9999");
        let ((year, month, day), (hour, minute, second, milli)) =
            ((time.year(), u8::from(time.month()), time.day()), time.time().as_hms_milli());
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({self})")
    }
}

impl FromStr for Timestamp {
    type Err = Invalid;

    /// Parses an RFC 3339 text with any offset, and rounds the time down to the millisecond.
    ///
    /// # Errors
    /// Returns [`Invalid`] if the text is not RFC 3339, or if the time is outside the years 1 to
    /// 9999.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let time = OffsetDateTime::parse(text, &Rfc3339)
            .map_err(|_| Invalid::new(InvalidField::Timestamp, InvalidKind::Shape))?;
        let millis = time.unix_timestamp_nanos().div_euclid(1_000_000);
        let millis =
            i64::try_from(millis).map_err(|_| Invalid::new(InvalidField::Timestamp, InvalidKind::OutOfRange))?;
        Self::from_unix_millis(millis)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_range() {
        assert_eq!(Timestamp::MIN.to_string(), "0001-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Timestamp::from_unix_millis(MIN_MILLIS), Ok(Timestamp::MIN));
        assert_eq!(Timestamp::from_unix_millis(MAX_MILLIS), Ok(Timestamp::MAX));
        for millis in [MIN_MILLIS - 1, MAX_MILLIS + 1, i64::MIN, i64::MAX] {
            assert!(Timestamp::from_unix_millis(millis).is_err());
        }
        assert_eq!(Timestamp::UNIX_EPOCH.as_unix_millis(), 0);
    }

    #[test]
    fn sums_stop_at_the_ends() {
        let ms = Duration::from_millis;
        assert_eq!(Timestamp::MAX.checked_add(ms(0)), Some(Timestamp::MAX));
        assert_eq!(Timestamp::MAX.checked_add(ms(1)), None);
        assert_eq!(Timestamp::MIN.checked_add(Duration::MAX), None);
        assert_eq!(Timestamp::UNIX_EPOCH.saturating_add(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::UNIX_EPOCH.saturating_sub(Duration::MAX), Timestamp::MIN);
        assert_eq!(Timestamp::UNIX_EPOCH.saturating_since(Timestamp::MAX), ms(0));
        assert_eq!(Timestamp::MAX.saturating_since(Timestamp::MAX.saturating_sub(ms(7))), ms(7));
    }

    #[test]
    fn durations_are_rounded_up_to_whole_milliseconds() {
        let nanos = Duration::from_nanos;
        for (given, millis) in [(0, 0), (1, 1), (999_999, 1), (1_000_000, 1), (1_000_001, 2), (1_999_999, 2)] {
            let epoch = Timestamp::UNIX_EPOCH;
            assert_eq!(whole_millis(nanos(given)), Duration::from_millis(millis as u64), "{given}");
            assert_eq!(epoch.checked_add(nanos(given)).unwrap().as_unix_millis(), millis, "{given}");
            assert_eq!(epoch.saturating_add(nanos(given)).as_unix_millis(), millis, "{given}");
            assert_eq!(epoch.saturating_sub(nanos(given)).as_unix_millis(), -millis, "{given}");
        }
        assert_eq!(Timestamp::MAX.checked_add(nanos(1)), None);
        assert_eq!(Timestamp::MAX.saturating_add(nanos(1)), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.saturating_sub(nanos(1)), Timestamp::MIN);
        assert_eq!(whole_millis(Duration::MAX), Duration::MAX);
        assert_eq!(Timestamp::UNIX_EPOCH.checked_add(Duration::MAX), None);
    }

    #[test]
    fn texts_are_read_with_any_offset_and_to_the_millisecond() {
        let parse = |text: &str| text.parse::<Timestamp>();
        assert_eq!(parse("1970-01-01T02:00:00.0019+02:00").unwrap().as_unix_millis(), 1);
        assert_eq!(parse("1969-12-31T23:59:59.9999Z").unwrap().as_unix_millis(), -1);
        for text in ["", "2026-11-23", "2026-11-23 12:00", "2026-13-01T00:00:00Z"] {
            assert_eq!(parse(text).unwrap_err().kind(), InvalidKind::Shape, "{text}");
        }
        assert_eq!(parse("0000-01-01T00:00:00Z").unwrap_err().kind(), InvalidKind::OutOfRange);
    }

    #[test]
    fn an_option_takes_no_more_memory() {
        assert_eq!(size_of::<Option<Timestamp>>(), size_of::<Timestamp>());
    }
}
