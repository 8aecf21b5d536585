//! Conversions between [`Timestamp`] and the time types of other libraries.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::timestamp::Timestamp;

impl From<SystemTime> for Timestamp {
    /// Converts a system time, and rounds it to the millisecond towards the Unix epoch. A time
    /// outside the years 1 to 9999 becomes [`MIN`](Timestamp::MIN) or [`MAX`](Timestamp::MAX).
    #[inline]
    fn from(time: SystemTime) -> Self {
        // In whole seconds first, because this needs no division of 128 bits.
        let millis = |distance: Duration| {
            let seconds = i64::try_from(distance.as_secs()).unwrap_or(i64::MAX);
            seconds.saturating_mul(1000).saturating_add(distance.subsec_millis().into())
        };
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Self::clamped(millis(after)),
            Err(before) => Self::clamped(-millis(before.duration())),
        }
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        let millis = time.as_unix_millis();
        let distance = Duration::from_millis(millis.unsigned_abs());
        let moved = if millis < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
        moved.expect("a system's clock reaches from year 1 to 9999")
    }
}

#[cfg(feature = "time")]
mod of_time {
    use time::OffsetDateTime;

    use crate::words::invalid::{Invalid, InvalidField, InvalidKind};
    use crate::words::timestamp::Timestamp;

    impl From<Timestamp> for OffsetDateTime {
        fn from(time: Timestamp) -> Self {
            let nanos = i128::from(time.as_unix_millis()) * 1_000_000;
            Self::from_unix_timestamp_nanos(nanos).expect("a timestamp is of year 1 to 9999")
        }
    }

    impl TryFrom<OffsetDateTime> for Timestamp {
        type Error = Invalid;

        /// Converts a time, and rounds it down to the millisecond.
        ///
        /// # Errors
        /// Returns [`Invalid`] if the time is outside the years 1 to 9999.
        fn try_from(time: OffsetDateTime) -> Result<Self, Invalid> {
            let millis = i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000_000));
            millis
                .map_err(|_| Invalid::new(InvalidField::Timestamp, InvalidKind::OutOfRange))
                .and_then(Self::from_unix_millis)
        }
    }
}

#[cfg(feature = "chrono")]
mod of_chrono {
    use chrono::{DateTime, TimeZone, Utc};

    use crate::words::invalid::Invalid;
    use crate::words::timestamp::Timestamp;

    impl From<Timestamp> for DateTime<Utc> {
        fn from(time: Timestamp) -> Self {
            Self::from_timestamp_millis(time.as_unix_millis()).expect("a timestamp is of year 1 to 9999")
        }
    }

    impl<Z: TimeZone> TryFrom<DateTime<Z>> for Timestamp {
        type Error = Invalid;

        /// Converts a time, and rounds it down to the millisecond.
        ///
        /// # Errors
        /// Returns [`Invalid`] if the time is outside the years 1 to 9999.
        fn try_from(time: DateTime<Z>) -> Result<Self, Invalid> {
            Self::from_unix_millis(time.timestamp_millis())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDGES: [Timestamp; 3] = [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX];

    #[test]
    fn a_system_time_comes_back() {
        for time in EDGES {
            assert_eq!(Timestamp::from(SystemTime::from(time)), time);
        }
        // A time is rounded towards the epoch. Only durations are rounded up.
        let fine = UNIX_EPOCH + Duration::from_micros(1_999);
        assert_eq!(Timestamp::from(fine).as_unix_millis(), 1);
        let before = UNIX_EPOCH - Duration::from_micros(1_999);
        assert_eq!(Timestamp::from(before).as_unix_millis(), -1);
    }

    #[cfg(feature = "time")]
    #[test]
    fn an_offset_date_time_comes_back() {
        for time in EDGES {
            assert_eq!(Timestamp::try_from(time::OffsetDateTime::from(time)).unwrap(), time);
        }
        let before = time::OffsetDateTime::UNIX_EPOCH - Duration::from_micros(1);
        assert_eq!(Timestamp::try_from(before).unwrap().as_unix_millis(), -1);
        let bound = time::OffsetDateTime::from(Timestamp::MIN) - Duration::from_micros(1);
        assert!(Timestamp::try_from(bound).is_err());
    }

    #[cfg(feature = "chrono")]
    #[test]
    fn a_chrono_time_comes_back() {
        for time in EDGES {
            assert_eq!(Timestamp::try_from(chrono::DateTime::<chrono::Utc>::from(time)).unwrap(), time);
        }
        assert!(Timestamp::try_from(chrono::DateTime::<chrono::Utc>::MAX_UTC).is_err());
        assert!(Timestamp::try_from(chrono::DateTime::<chrono::Utc>::MIN_UTC).is_err());
    }
}
