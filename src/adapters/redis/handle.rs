//! The store as its host has it.

use core::fmt;
use std::sync::Arc;

use super::durability::Durability;
use super::script::{Act, Script};
use super::servers::{Servers, Settings};
use crate::words::ids::ProjectId;
use crate::words::store_error::StoreError;

/// A store on Redis Cluster, or on a single Redis or Valkey server: [`TokenStore`](crate::TokenStore) and
/// [`StoreMaintenance`](crate::store::StoreMaintenance).
///
/// **Each operation is one script on the server, in the slot of its project**: all keys of a project are called `keyfob:{project}:…`.
/// What `projects` names stands in other slots, written before the token. There is no
/// [`ImportStore`](crate::import::ImportStore), as a look-up by an old hash knows no project, and so no slot.
///
/// **What it acknowledges survives a crash and a fail-over.** [`connect`](Self::connect) refuses servers that do not sync each
/// operation (`appendonly yes`, `appendfsync always`) or may evict tokens. If a master has replicas, an operation is acknowledged
/// after all of them have it, see [`Durability`]. While one of them is away, verification goes on, and each operation is applied
/// and answered [`Unavailable`](crate::store::StoreErrorKind::Unavailable) within 2 seconds: "applied on the master, may be lost in a
/// fail-over; repeat". The repeat is acknowledged after the replica is back.
///
/// What is not covered:
/// - Redis Sentinel. It elects a master that this store does not know.
/// - A replica that has just been given another master. The cluster may elect it before it has a copy of that master, so set
///   `cluster-allow-replica-migration no`.
/// - A replica that has just joined, in the moment before its master lists it, if it is cut off from its master at once.
/// - A fail-over that an operator forces with `CLUSTER FAILOVER FORCE` or `TAKEOVER`.
///
/// A replica must have the same address in `CLUSTER NODES` and in `INFO replication`, or it counts as not connected. Set
/// `replica-announce-ip` and `replica-announce-port` as you set `cluster-announce-ip` and `cluster-announce-port`.
///
/// Reads go to masters only. A master that is cut off from the others does not know of its successor: it may answer old reads
/// for `cluster-node-timeout`, so keep that short.
///
/// Revoking an owner or a family is one operation of a moment, however many tokens there are: a fence is laid over them, which
/// every call honours. The same call then writes it into the tokens, for 2 seconds at most. What is left is written by the next
/// call that the fence is in the way of, at the latest by the next purge of the project.
///
/// A call that takes longer than 5 seconds is [`Unavailable`](crate::store::StoreErrorKind::Unavailable). Lists, counts, last uses and
/// notices of many tokens take several exchanges, each of at most 5 seconds. A call is also `Unavailable` if a fail-over
/// interrupts it, or if the slot of its project moves to another node meanwhile. Such an operation may have been done.
///
/// A clone shares the connections. It needs a Tokio runtime with its time and I/O drivers. For `rediss://` addresses, a
/// feature for TLS of the crate `redis` must be on.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use keyfob::{Keyring, Pepper, Prefix, Tokens, store::redis::RedisStore};
///
/// let store = RedisStore::connect(["redis://10.0.0.1:6379", "redis://10.0.0.2:6379"]).await?;
/// let tokens = Tokens::new(Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?), store);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisStore {
    pub(super) servers: Arc<Servers>,
    pub(super) durability: Durability,
    feed: bool,
}

impl RedisStore {
    /// Connects to a cluster of which these are some nodes, or to the one server at the one address. Operations are acknowledged
    /// after [`Durability::EveryReplica`] has them, unless [`with_durability`](Self::with_durability) says otherwise.
    ///
    /// # Errors
    /// Returns [`Unavailable`](crate::store::StoreErrorKind::Unavailable) if no server answers. Returns
    /// [`Other`](crate::store::StoreErrorKind::Other) if an address is malformed, if a node may lose what it has acknowledged, or if it
    /// does not let its settings be read (`CONFIG GET`); the source says which.
    pub async fn connect<U: Into<String>>(urls: impl IntoIterator<Item = U>) -> Result<Self, StoreError> {
        Self::connect_with(urls, Settings::Checked).await
    }

    /// Connects as [`connect`](Self::connect) does, to servers that refuse `CONFIG GET`, as some hosted ones do.
    ///
    /// The caller vouches for the settings of every node, replicas included: `appendonly yes`, `appendfsync always`, no
    /// `maxmemory-policy` that begins with `allkeys`, and in a cluster no `cluster-replica-validity-factor 0`. On a node
    /// without them, **an acknowledged revocation may be lost in a crash**.
    ///
    /// # Errors
    /// Returns [`Unavailable`](crate::store::StoreErrorKind::Unavailable) if no server answers. Returns
    /// [`Other`](crate::store::StoreErrorKind::Other) if an address is malformed.
    pub async fn connect_unchecked<U: Into<String>>(urls: impl IntoIterator<Item = U>) -> Result<Self, StoreError> {
        Self::connect_with(urls, Settings::Unchecked).await
    }

    async fn connect_with<U: Into<String>>(
        urls: impl IntoIterator<Item = U>,
        settings: Settings,
    ) -> Result<Self, StoreError> {
        let urls: Vec<String> = urls.into_iter().map(Into::into).collect();
        let servers = Arc::new(Servers::connect(&urls, settings).await?);
        Ok(Self { servers, durability: Durability::default(), feed: false })
    }

    /// Sets how many replicas must have an operation before it is acknowledged.
    pub fn with_durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// Returns how many failures this store and its clones had in work that no caller waits for: writing the revocation of a
    /// group, which is in force already, into its tokens, and beginning to listen to a feed. With the feature `tracing`, each is
    /// logged with its cause.
    pub fn background_faults(&self) -> u64 {
        self.servers.faults.count()
    }

    /// Publishes each change on the channel `keyfob` as it is made: `PROJECT ID` for one token, `PROJECT` for a group or a purge.
    /// Last uses are not published.
    pub fn with_feed(self) -> Self {
        Self { feed: true, ..self }
    }

    /// A call of a script that changes something.
    pub(super) fn act(&self, script: &'static Script, project: &ProjectId) -> Act {
        script.on(project).arg(if self.feed { "1" } else { "" })
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RedisStore");
        debug.field("durability", &self.durability).field("feed", &self.feed).finish_non_exhaustive()
    }
}
