//! Parses lifetimes and grace periods in requests. Each is `null`, or an object with a `measure`
//! (the unit) and a `value` (the number of units).

use std::fmt;
use std::time::Duration;

use keyfob::Lifetime;
use serde_json::Value;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HOUR: u64 = 60 * 60;
const DEFAULT_GRACE: Duration = DAY;

/// The unit of a lifetime or a grace period.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Measure {
    Seconds,
    Minutes,
    Hours,
    Days,
    Weeks,
}

impl Measure {
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "seconds" => Self::Seconds,
            "minutes" => Self::Minutes,
            "hours" => Self::Hours,
            "days" => Self::Days,
            "weeks" => Self::Weeks,
            _ => return None,
        })
    }

    fn seconds(self) -> u64 {
        match self {
            Self::Seconds => 1,
            Self::Minutes => 60,
            Self::Hours => 60 * 60,
            Self::Days => 24 * 60 * 60,
            Self::Weeks => 7 * 24 * 60 * 60,
        }
    }

    /// Returns a lifetime of `value` units. A lifetime that overflows becomes the maximum duration,
    /// which the policy then refuses as too long.
    ///
    /// # Errors
    /// Returns [`ExpiryError::Value`] if the value is less than 1.
    pub fn times(self, value: i64) -> Result<Lifetime, ExpiryError> {
        self.span(value).map(Lifetime::For)
    }

    fn span(self, value: i64) -> Result<Duration, ExpiryError> {
        match u64::try_from(value) {
            Err(_) | Ok(0) => Err(ExpiryError::Value),
            Ok(value) => Ok(Duration::from_secs(value.saturating_mul(self.seconds()))),
        }
    }
}

/// Returns the lifetime that the field `expires` requests. If the field is absent, returns the
/// default of the policy. If the field is `null`, the token never expires.
///
/// # Errors
/// Returns [`ExpiryError`] if the field is neither `null` nor an object with a valid `measure` (the
/// unit) and a valid `value`.
pub fn lifetime(expires: Option<&Value>) -> Result<Lifetime, ExpiryError> {
    match expires {
        None => Ok(Lifetime::Default),
        Some(Value::Null) => Ok(Lifetime::Never),
        Some(value) => span(value).map(Lifetime::For),
    }
}

/// Returns the grace period that the field `grace` requests. If the field is absent, returns a day,
/// or `max` if `max` is shorter. If the field is `null`, returns zero, so the old token ends
/// immediately. A grace period longer than `max` is not an error here, because the rotation refuses
/// it.
///
/// # Errors
/// Returns [`ExpiryError`] if the field is neither `null` nor an object with a valid `measure` (the
/// unit) and a valid `value`.
pub fn grace(grace: Option<&Value>, max: Duration) -> Result<Duration, ExpiryError> {
    match grace {
        None => Ok(DEFAULT_GRACE.min(max)),
        Some(Value::Null) => Ok(Duration::ZERO),
        Some(value) => span(value),
    }
}

/// Returns the time within which a new token must be confirmed, as the field `confirm_within`
/// requests. If the field is absent or `null`, returns `None`: the token works immediately.
///
/// # Errors
/// Returns [`ExpiryError`] if the field is neither `null` nor an object with a valid `measure` (the
/// unit) and a valid `value`.
pub fn confirm_within(within: Option<&Value>) -> Result<Option<Duration>, ExpiryError> {
    match within {
        None | Some(Value::Null) => Ok(None),
        Some(value) => span(value).map(Some),
    }
}

/// Returns the grace periods that the rotation form offers, in hours, the shortest first. These are
/// some usual periods below `max`, and the shorter one of `max` and 30 days.
pub fn offered_graces(max: Duration) -> Vec<u64> {
    const USUAL: [u64; 5] = [0, 1, 24, 7 * 24, 30 * 24];
    let max = max.as_secs() / HOUR;
    let mut offered: Vec<u64> = USUAL.into_iter().filter(|hours| *hours < max).collect();
    offered.push(max.min(30 * 24));
    offered.dedup();
    offered
}

/// Returns the grace period that a form names in hours.
///
/// # Errors
/// Returns [`ExpiryError::Value`] if the text is not a whole number. Returns [`ExpiryError::Long`]
/// if the grace period is longer than `max`, even if the number overflows.
pub fn grace_in_hours(hours: &str, max: Duration) -> Result<Duration, ExpiryError> {
    let digits = hours.trim();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ExpiryError::Value);
    }
    // Only digits are left, so a number that cannot be parsed overflows.
    let seconds = digits.parse::<u64>().ok().and_then(|hours| hours.checked_mul(HOUR));
    seconds.map(Duration::from_secs).filter(|grace| *grace <= max).ok_or(ExpiryError::Long { max })
}

/// Returns a duration as text, such as "30 days", in the largest unit that expresses it exactly.
pub fn in_units(bound: Duration) -> String {
    let seconds = bound.as_secs();
    let units = [(DAY.as_secs(), "day"), (HOUR, "hour"), (60, "minute"), (1, "second")];
    let exact = |(unit, _): &(u64, &str)| seconds >= *unit && seconds.is_multiple_of(*unit);
    let (unit, name) = units.into_iter().find(exact).unwrap_or((1, "second"));
    let plural = if seconds == unit { "" } else { "s" };
    format!("{} {name}{plural}", seconds / unit)
}

fn span(value: &Value) -> Result<Duration, ExpiryError> {
    let fields = value.as_object().filter(|fields| fields.len() == 2).ok_or(ExpiryError::Shape)?;
    let (Some(measure), Some(value)) = (fields.get("measure"), fields.get("value")) else {
        return Err(ExpiryError::Shape);
    };
    let measure = measure.as_str().and_then(Measure::parse).ok_or(ExpiryError::Measure)?;
    // Some clients send the text of their input field instead of a number.
    if let Value::String(digits) = value {
        return measure.span(whole_number(digits)?);
    }
    match value.as_i64() {
        Some(value) => measure.span(value),
        // A whole number that does not fit into `i64` is too long as well.
        None if value.is_u64() => measure.span(i64::MAX),
        None => Err(ExpiryError::Value),
    }
}

/// Parses a whole number that consists of decimal digits only. A number that overflows becomes the
/// maximum.
fn whole_number(digits: &str) -> Result<i64, ExpiryError> {
    match !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Ok(digits.parse().unwrap_or(i64::MAX)),
        false => Err(ExpiryError::Value),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExpiryError {
    Shape,
    Measure,
    Value,
    /// The grace period is longer than `max`.
    Long {
        max: Duration,
    },
}

impl fmt::Display for ExpiryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Long { max } => return write!(f, "must be at most {}", in_units(*max)),
            Self::Shape => "must be null or an object of measure and value",
            Self::Measure => "measure must be seconds, minutes, hours, days or weeks",
            Self::Value => "value must be a whole number of at least 1",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn asks(expires: Value, expected: Result<Lifetime, ExpiryError>) {
        assert_eq!(lifetime(Some(&expires)), expected, "{expires}");
    }

    fn seconds(seconds: u64) -> Result<Lifetime, ExpiryError> {
        Ok(Lifetime::For(Duration::from_secs(seconds)))
    }

    #[test]
    fn each_measure_is_read() {
        assert_eq!(lifetime(None), Ok(Lifetime::Default));
        asks(Value::Null, Ok(Lifetime::Never));
        asks(json!({"measure": "seconds", "value": 1}), seconds(1));
        asks(json!({"measure": "minutes", "value": 5}), seconds(300));
        asks(json!({"measure": "hours", "value": 2}), seconds(7_200));
        asks(json!({"measure": "days", "value": 30}), seconds(2_592_000));
        asks(json!({"measure": "weeks", "value": 4}), seconds(2_419_200));
    }

    #[test]
    fn huge_values_are_long_and_never_wrap() {
        asks(json!({"measure": "weeks", "value": i64::MAX}), seconds(u64::MAX));
        asks(json!({"measure": "seconds", "value": u64::MAX}), seconds(i64::MAX as u64));
        asks(json!({"measure": "days", "value": 1e300}), Err(ExpiryError::Value));
    }

    #[test]
    fn number_written_as_text_is_read_as_a_number() {
        asks(json!({"measure": "days", "value": "30"}), seconds(2_592_000));
        asks(json!({"measure": "days", "value": "030"}), seconds(2_592_000));
        asks(json!({"measure": "weeks", "value": i64::MAX.to_string()}), seconds(u64::MAX));
        asks(json!({"measure": "weeks", "value": "9".repeat(400)}), seconds(u64::MAX));
        for value in ["", "0", "-1", "+1", "1.0", "1e3", " 1", "1 ", "0x1", "one", "١"] {
            asks(json!({"measure": "days", "value": value}), Err(ExpiryError::Value));
        }
    }

    #[test]
    fn time_to_confirm_is_read() {
        assert_eq!(confirm_within(None), Ok(None));
        assert_eq!(confirm_within(Some(&Value::Null)), Ok(None));
        let minutes = |value: Value| confirm_within(Some(&json!({"measure": "minutes", "value": value})));
        assert_eq!(minutes(json!(5)), Ok(Some(Duration::from_secs(300))));
        assert_eq!(minutes(json!("5")), Ok(Some(Duration::from_secs(300))));
        assert_eq!(minutes(json!(0)), Err(ExpiryError::Value));
        assert_eq!(confirm_within(Some(&json!(5))), Err(ExpiryError::Shape));
    }

    #[test]
    fn grace_periods_are_read() {
        let max = 30 * DAY;
        let of = |measure: &str, value: i64| grace(Some(&json!({"measure": measure, "value": value})), max);
        assert_eq!(grace(None, max), Ok(DAY));
        assert_eq!(grace(None, DAY / 2), Ok(DAY / 2));
        assert_eq!(grace(Some(&Value::Null), max), Ok(Duration::ZERO));
        assert_eq!(of("seconds", 1), Ok(Duration::from_secs(1)));
        assert_eq!(of("days", 30), Ok(max));
        // These are longer than `max`. The rotation refuses them, as a test of the API shows.
        assert_eq!(of("seconds", 30 * 86_400 + 1), Ok(max + Duration::from_secs(1)));
        assert_eq!(of("weeks", i64::MAX), Ok(Duration::from_secs(u64::MAX)));
        assert_eq!(of("days", 0), Err(ExpiryError::Value));
        assert_eq!(of("years", 1), Err(ExpiryError::Measure));
        assert_eq!(grace(Some(&json!(24)), max), Err(ExpiryError::Shape));
    }

    #[test]
    fn grace_periods_in_hours_are_read() {
        let max = 30 * DAY;
        let too_long = Err(ExpiryError::Long { max });
        assert_eq!(grace_in_hours("0", max), Ok(Duration::ZERO));
        assert_eq!(grace_in_hours(" 720 ", max), Ok(max));
        for hours in ["721", "4294967295", &u64::MAX.to_string(), &(u128::from(u64::MAX) + 1).to_string()] {
            assert_eq!(grace_in_hours(hours, max), too_long, "{hours}");
        }
        for hours in ["", " ", "x", "-1", "+1", "1.5", "1e3"] {
            assert_eq!(grace_in_hours(hours, max), Err(ExpiryError::Value), "{hours:?}");
        }
    }

    #[test]
    fn bounds_are_shown_in_the_largest_exact_unit() {
        for (seconds, text) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (61, "61 seconds"),
            (60, "1 minute"),
            (5_400, "90 minutes"),
            (3_600, "1 hour"),
            (86_400, "1 day"),
            (90_000, "25 hours"),
            (2_592_000, "30 days"),
        ] {
            assert_eq!(in_units(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn malformed_expiries_are_refused() {
        for value in [json!(0), json!(-1), json!(i64::MIN), json!(1.0), json!(null), json!([1]), json!(true)] {
            asks(json!({"measure": "days", "value": value}), Err(ExpiryError::Value));
        }
        for measure in [json!("Days"), json!("months"), json!(""), json!(1), json!(null)] {
            asks(json!({"measure": measure, "value": 1}), Err(ExpiryError::Measure));
        }
        for expires in [
            json!("never"),
            json!(30),
            json!([]),
            json!({}),
            json!({"measure": "days"}),
            json!({"measure": "days", "value": 1, "more": 1}),
        ] {
            asks(expires, Err(ExpiryError::Shape));
        }
    }
}
