//! How clients say when a token shall end, and how long one that was rotated works still: `null`, or a measure and a value.

use std::fmt;
use std::time::Duration;

use keyfob::Lifetime;
use serde_json::Value;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const DEFAULT_GRACE: Duration = DAY;
/// Whoever needs longer than a month to replace a token has not replaced it.
const MAX_GRACE: Duration = Duration::from_secs(30 * DAY.as_secs());

/// What `expires` may be counted in.
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

    /// So many of them. What no number of seconds can hold is saturated: the policy refuses it as too long, in its own
    /// words.
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

/// The lifetime that a request's `expires` asks for. Absent is the policy's default; `null` is never.
pub fn lifetime(expires: Option<&Value>) -> Result<Lifetime, ExpiryError> {
    match expires {
        None => Ok(Lifetime::Default),
        Some(Value::Null) => Ok(Lifetime::Never),
        Some(value) => span(value).map(Lifetime::For),
    }
}

/// How long a token works still that another takes over from. Absent is a day, `null` is not at all.
pub fn grace(grace: Option<&Value>) -> Result<Duration, ExpiryError> {
    match grace {
        None => Ok(DEFAULT_GRACE),
        Some(Value::Null) => Ok(Duration::ZERO),
        Some(value) => span(value).and_then(|span| if span > MAX_GRACE { Err(ExpiryError::Long) } else { Ok(span) }),
    }
}

fn span(value: &Value) -> Result<Duration, ExpiryError> {
    let fields = value.as_object().filter(|fields| fields.len() == 2).ok_or(ExpiryError::Shape)?;
    let (Some(measure), Some(value)) = (fields.get("measure"), fields.get("value")) else {
        return Err(ExpiryError::Shape);
    };
    let measure = measure.as_str().and_then(Measure::parse).ok_or(ExpiryError::Measure)?;
    match value.as_i64() {
        Some(value) => measure.span(value),
        // A whole number that is larger yet is too long as well.
        None if value.is_u64() => measure.span(i64::MAX),
        None => Err(ExpiryError::Value),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExpiryError {
    Shape,
    Measure,
    Value,
    /// Of a grace.
    Long,
}

impl fmt::Display for ExpiryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shape => "must be null or an object of measure and value",
            Self::Measure => "measure must be seconds, minutes, hours, days or weeks",
            Self::Value => "value must be a whole number of at least 1",
            Self::Long => "must be at most 30 days",
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
    fn each_measure() {
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
    fn graces() {
        let of = |measure: &str, value: i64| grace(Some(&json!({"measure": measure, "value": value})));
        assert_eq!(grace(None), Ok(DAY));
        assert_eq!(grace(Some(&Value::Null)), Ok(Duration::ZERO));
        assert_eq!(of("seconds", 1), Ok(Duration::from_secs(1)));
        assert_eq!(of("days", 30), Ok(MAX_GRACE));
        assert_eq!(of("seconds", 30 * 86_400 + 1), Err(ExpiryError::Long));
        assert_eq!(of("weeks", i64::MAX), Err(ExpiryError::Long));
        assert_eq!(of("days", 0), Err(ExpiryError::Value));
        assert_eq!(of("years", 1), Err(ExpiryError::Measure));
        assert_eq!(grace(Some(&json!(24))), Err(ExpiryError::Shape));
    }

    #[test]
    fn what_is_no_expiry() {
        for value in
            [json!(0), json!(-1), json!(i64::MIN), json!(1.0), json!("1"), json!(null), json!([1]), json!(true)]
        {
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
