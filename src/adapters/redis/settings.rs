//! The check of the server settings on which durability depends.

use core::error::Error;
use core::fmt;

use redis::Value;

use super::connection::Connection;
use super::failure::failed;
use crate::words::store_error::{StoreError, StoreErrorKind};

/// A required setting: its name, its required value as a text for people, and a function that
/// checks a value.
type Demand = (&'static str, &'static str, fn(&str) -> bool);

/// The settings that each server must have.
const DEMANDS: [Demand; 3] = [
    ("appendonly", "yes", |value| value == "yes"),
    ("appendfsync", "always", |value| value == "always"),
    // Tokens have no time to live, so `noeviction` and the `volatile-…` policies never evict them.
    ("maxmemory-policy", "noeviction", |value| !value.starts_with("allkeys")),
];

/// The additional settings that each node of a cluster must have.
const DEMANDS_OF_A_CLUSTER: [Demand; 1] = [
    // With 0, the cluster may elect a replica that has no copy of the data, or only an old copy.
    ("cluster-replica-validity-factor", "a positive number", |value| value != "0"),
];

/// Checks the settings of every node, because a replica may become the master.
///
/// # Errors
/// Returns [`Other`](StoreErrorKind::Other) if a node has settings with which it may lose
/// acknowledged writes, or if it refuses `CONFIG GET`.
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

/// A setting with which a server may lose acknowledged writes.
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
            "the Redis server {node} has {setting} {value}, but must have {wanted}, or it may lose acknowledged changes"
        )
    }
}

impl Error for WeakSettings {}
