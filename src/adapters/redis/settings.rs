//! The servers' settings that durability hangs on.

use core::error::Error;
use core::fmt;

use redis::Value;

use super::connection::Connection;
use super::failure::failed;
use crate::words::store_error::{StoreError, StoreErrorKind};

/// A setting, and whether a value of it will do.
type Demand = (&'static str, &'static str, fn(&str) -> bool);

/// What each node must have, in its own words.
const DEMANDS: [Demand; 3] = [
    ("appendonly", "yes", |value| value == "yes"),
    ("appendfsync", "always", |value| value == "always"),
    // What has no time to live is never evicted under `noeviction` and `volatile-…`.
    ("maxmemory-policy", "noeviction", |value| !value.starts_with("allkeys")),
];

/// What each node of a cluster must have besides.
const DEMANDS_OF_A_CLUSTER: [Demand; 1] = [
    // With 0, a replica may be elected that never had a copy, or only an old one.
    ("cluster-replica-validity-factor", "a positive number", |value| value != "0"),
];

/// Looks at every node, because a replica may be the master of tomorrow.
///
/// # Errors
/// [`Other`](StoreErrorKind::Other) if a node may lose what it has acknowledged, or does not let its settings be read.
pub(super) async fn check(connection: &Connection) -> Result<(), StoreError> {
    let of_a_cluster = DEMANDS_OF_A_CLUSTER.into_iter().filter(|_| connection.is_clustered());
    for (setting, wanted, will_do) in DEMANDS.into_iter().chain(of_a_cluster) {
        let mut question = redis::cmd("CONFIG");
        question.arg("GET").arg(setting);
        for (node, answer) in connection.send_to_all(question).await.map_err(failed)? {
            let value = match answer {
                Value::ServerError(refusal) => return Err(failed(refusal.into())),
                answer => match redis::from_redis_value::<Vec<(String, String)>>(answer) {
                    Ok(values) => values.into_iter().next().map(|(_, value)| value),
                    Err(error) => return Err(StoreError::with_source(StoreErrorKind::Other, error)),
                },
            };
            if !value.as_deref().is_some_and(will_do) {
                let weak = WeakSettings { node, setting, value, wanted };
                return Err(StoreError::with_source(StoreErrorKind::Other, weak));
            }
        }
    }
    Ok(())
}

/// A server that may lose what it has acknowledged.
#[derive(Debug)]
struct WeakSettings {
    node: String,
    setting: &'static str,
    value: Option<String>,
    wanted: &'static str,
}

impl fmt::Display for WeakSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, setting, value, wanted } = self;
        let value = value.as_deref().unwrap_or("unknown");
        write!(
            f,
            "the Redis server {node} has {setting} {value}, but must have {wanted}, or it may lose what it acknowledged"
        )
    }
}

impl Error for WeakSettings {}
