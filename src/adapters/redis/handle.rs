//! The public type of the Redis store.

use core::fmt;
use std::sync::Arc;

use super::durability::Durability;
use super::options::RedisOptions;
use super::script::{Act, Script};
use super::servers::Servers;
use crate::words::ids::ProjectId;
use crate::words::store_error::StoreError;

/// A token store on Redis Cluster or on a single Redis server. The store implements
/// [`TokenStore`](crate::TokenStore) and [`StoreMaintenance`](crate::store::StoreMaintenance).
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use keyfob::{Keyring, Pepper, Prefix, Tokens, store::redis::RedisStore};
///
/// let nodes = ["redis://10.0.0.1:6379", "redis://10.0.0.2:6379"];
/// let store = RedisStore::connect(nodes).await?;
/// let keyring = Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?);
/// let tokens = Tokens::new(keyring, store);
/// # Ok(())
/// # }
/// ```
///
/// **Each operation is one script on the server, in the slot of its project.** All keys of a
/// project begin with `keyfob:{project}:`. The store also keeps sets of projects, which
/// [`projects`](crate::store::StoreMaintenance::projects) reads. These sets are in other slots. The
/// store writes them before it writes a token. The store does not implement
/// [`ImportStore`](crate::import::ImportStore), because a look-up by an old hash names no project
/// and therefore no slot.
///
/// A clone shares the connections. The store needs a Tokio runtime with its time and I/O drivers
/// enabled. Addresses that begin with `rediss://` need the feature `tls`.
///
/// # Durability
///
/// **An acknowledged operation survives a crash and a fail-over.** [`connect`](Self::connect)
/// refuses servers that do not sync each operation (`appendonly yes`, `appendfsync always`) or that
/// may evict tokens. If a master has replicas, an operation is acknowledged after all of the
/// replicas have it (see [`Durability`]). While one replica is unreachable, verification continues.
/// The master still applies changes of tokens, but the calls fail within 2 seconds with
/// [`Unavailable`](crate::store::StoreErrorKind::Unavailable): "applied on the master, may be lost
/// in a fail-over; repeat". A repeat of the operation is acknowledged after the replica is back.
///
/// These cases are not covered:
/// - Redis Sentinel. It elects a master that this store does not know.
/// - A replica that has just been assigned to another master. The cluster may elect the replica
///   before the replica has a copy of that master's data. To prevent this, set
///   `cluster-allow-replica-migration no`.
/// - A replica that has just joined and is cut off from its master before the master lists it.
/// - A fail-over that an operator forces with `CLUSTER FAILOVER FORCE` or `TAKEOVER`.
///
/// A replica must have the same address in `CLUSTER NODES` and in `INFO replication`. Otherwise,
/// the store treats the replica as not connected. Set `replica-announce-ip` and
/// `replica-announce-port` to the same values as `cluster-announce-ip` and `cluster-announce-port`.
///
/// Reads go to masters only. A master that is cut off from the other masters does not know that
/// another server has replaced it. Such a master may return outdated data for up to
/// `cluster-node-timeout`, so keep this time short.
///
/// # Revoking groups
///
/// Revoking an owner or a family takes effect in a single operation, however many tokens there are.
/// For a large group, the operation writes one entry, called a fence. From then on, every call
/// treats the tokens of the group as revoked. The same call then writes the revocation into the
/// tokens, for up to 2 seconds. If tokens are left, the next call that the fence blocks writes the
/// revocation into them. A fence always blocks a purge of the project.
///
/// # Time limits
///
/// A call that takes longer than 5 seconds fails with `Unavailable`. Lists, counts, last uses and
/// notices of many tokens take several exchanges with the server, each of at most 5 seconds. A call
/// also fails with `Unavailable` if a fail-over interrupts it, or if the slot of its project moves
/// to another node. An operation that fails with `Unavailable` may have taken effect.
#[derive(Clone)]
pub struct RedisStore {
    pub(super) servers: Arc<Servers>,
    pub(super) durability: Durability,
    feed: bool,
}

impl RedisStore {
    /// Connects to a cluster through some of its nodes, or to a single server at its address. The
    /// store acknowledges an operation after every replica has it ([`Durability::EveryReplica`]),
    /// unless [`with_durability`](Self::with_durability) sets another mode.
    ///
    /// # Errors
    /// - Returns [`Unavailable`](crate::store::StoreErrorKind::Unavailable) if no server replies.
    /// - Returns [`Other`](crate::store::StoreErrorKind::Other) if no address is given, if an
    ///   address is malformed, or if several addresses are given for a single server. Also returns
    ///   this error if the settings of a node are too weak to keep acknowledged writes, if a node
    ///   refuses `CONFIG GET`, or if the certificate of a node is not trusted. The source of the
    ///   error names the cause.
    pub async fn connect<U: Into<String>>(urls: impl IntoIterator<Item = U>) -> Result<Self, StoreError> {
        Self::connect_with(RedisOptions::new(urls)).await
    }

    /// Connects in the same way as [`connect`](Self::connect), with options for TLS and for the
    /// check of the servers' settings.
    ///
    /// # Errors
    /// Returns the errors of [`connect`](Self::connect). Also returns
    /// [`Other`](crate::store::StoreErrorKind::Other) if the options contain a malformed
    /// certificate, or a certificate and an address that does not begin with `rediss://`.
    pub async fn connect_with(options: RedisOptions) -> Result<Self, StoreError> {
        let servers = Arc::new(Servers::connect(&options).await?);
        Ok(Self { servers, durability: Durability::default(), feed: false })
    }

    /// Sets the number of replicas that must have an operation before it is acknowledged.
    pub fn with_durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// Returns the number of failures of this store and its clones that no call returned as an
    /// error:
    ///
    /// - the revocation of a group could not be written into the tokens of the group (the
    ///   revocation is in force nevertheless);
    /// - a feed could not start to listen.
    ///
    /// With the feature `tracing`, each failure is logged with its cause.
    pub fn background_faults(&self) -> u64 {
        self.servers.faults.count()
    }

    /// Returns the store with notifications: the store publishes each change on the channel
    /// `keyfob` when it makes the change. The message is `PROJECT ID` for a change of one token,
    /// and `PROJECT` for a revocation of a group or a purge. Last uses are not published.
    pub fn with_feed(self) -> Self {
        Self { feed: true, ..self }
    }

    /// Returns a call of a script that changes something in this project. The first argument of the
    /// call says whether the script publishes the change.
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
