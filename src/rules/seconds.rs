//! Serialization of durations as whole numbers of seconds, for configuration files. A fraction of a
//! second is rounded up, so that a duration above zero does not become zero.

use core::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(whole(duration))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_secs)
}

fn whole(duration: &Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

/// Serialization of optional durations as whole numbers of seconds.
pub(super) mod or_none {
    use core::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in crate::rules) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        duration.as_ref().map(super::whole).serialize(serializer)
    }

    pub(in crate::rules) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_secs))
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug)]
    struct Limits {
        #[serde(with = "super")]
        most: Duration,
        #[serde(with = "super::or_none", default)]
        unused: Option<Duration>,
    }

    #[test]
    fn durations_are_written_as_whole_seconds_and_read_back() {
        for (limits, text) in [
            (Limits { most: Duration::from_secs(2), unused: None }, r#"{"most":2,"unused":null}"#),
            (Limits { most: Duration::ZERO, unused: Some(Duration::from_secs(60)) }, r#"{"most":0,"unused":60}"#),
        ] {
            assert_eq!(serde_json::to_string(&limits).unwrap(), text);
            assert_eq!(serde_json::from_str::<Limits>(text).unwrap(), limits);
        }
        let fractions = Limits { most: Duration::from_nanos(1), unused: Some(Duration::from_millis(1_001)) };
        assert_eq!(serde_json::to_string(&fractions).unwrap(), r#"{"most":1,"unused":2}"#);
    }

    #[test]
    fn negative_and_broken_seconds_are_refused() {
        for text in
            [r#"{"most":-1}"#, r#"{"most":1.5}"#, r#"{"most":"1"}"#, r#"{"most":null}"#, r#"{"most":1,"unused":-1}"#]
        {
            assert!(serde_json::from_str::<Limits>(text).is_err(), "{text}");
        }
    }
}
