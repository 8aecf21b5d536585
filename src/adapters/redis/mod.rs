//! A store on Redis or Valkey: a cluster, or a single server.

mod connection;
mod failure;
#[cfg(feature = "cache")]
pub(crate) mod feed;
mod group;
mod list;
mod maintenance;
mod replicas;
mod row;
mod script;
mod servers;
mod settings;
mod store;

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use self::script::{Act, Script};
use self::servers::Servers;
use crate::service::store_error::StoreError;
use crate::words::ids::ProjectId;

/// How long an exchange with the servers may take, with all that it takes to find the right one.
const PATIENCE: Duration = Duration::from_secs(5);
/// The channel on which changes are published; change.lua names it too.
#[cfg(feature = "cache")]
const CHANNEL: &str = "keyfob";

/// A store on Redis Cluster, or on a single Redis or Valkey server: [`TokenStore`](crate::TokenStore) and
/// [`StoreMaintenance`](crate::StoreMaintenance).
///
/// **Each act is one script on the server, in the slot of its project**: all keys of a project are called `keyfob:{project}:…`.
/// What `projects` names stands in other slots, written before the token. There is no
/// [`ImportStore`](crate::ImportStore), as a look-up by an old hash knows no project, and so no slot.
///
/// **What it acknowledges survives a crash and a fail-over.** [`connect`](Self::connect) refuses servers that do not sync each
/// act (`appendonly yes`, `appendfsync always`) or may evict tokens. Where a master has replicas, an act is acknowledged when one of
/// them has it; when none answers within a second, the act is [`Unavailable`](crate::StoreErrorKind::Unavailable), so give a master
/// two replicas if it must outlive one. Reads go to masters only.
///
/// Revoking an owner or a family is one act of a moment, however many tokens there are: a fence is laid over them, which every
/// call honours, and the same call then writes it into the tokens, some at a time. If it cannot finish, a later one does.
///
/// An exchange takes at most 5 seconds, and is [`Unavailable`](crate::StoreErrorKind::Unavailable) then. So is what a fail-over
/// interrupts, and whatever is asked of a project while its slot moves to another node. Such an act may have been done.
///
/// A clone shares the connections. It needs a Tokio runtime with its time and I/O drivers. For `rediss://` addresses, a
/// feature for TLS of the crate `redis` must be on.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use keyfob::{Keyring, Pepper, Prefix, RedisStore, Tokens};
///
/// let store = RedisStore::connect(["redis://10.0.0.1:6379", "redis://10.0.0.2:6379"]).await?;
/// let tokens = Tokens::new(Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?)?, store);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisStore {
    servers: Arc<Servers>,
    feed: bool,
}

impl RedisStore {
    /// Connects to a cluster of which these are some nodes, or to the one server at the one address.
    ///
    /// # Errors
    /// [`Unavailable`](crate::StoreErrorKind::Unavailable) where nobody answers. [`Other`](crate::StoreErrorKind::Other) where an
    /// address is none, or a node may lose what it has acknowledged or does not let its settings be read (`CONFIG GET`); the source
    /// says which.
    pub async fn connect<U: Into<String>>(urls: impl IntoIterator<Item = U>) -> Result<Self, StoreError> {
        let urls: Vec<String> = urls.into_iter().map(Into::into).collect();
        Ok(Self { servers: Arc::new(Servers::connect(&urls).await?), feed: false })
    }

    /// Publishes each change on the channel `keyfob` as it is made: `PROJECT ID` for one token, `PROJECT` for a group or a purge.
    /// Last uses are not published.
    pub fn with_feed(self) -> Self {
        Self { feed: true, ..self }
    }

    /// A call of a script that changes something.
    fn act(&self, script: &'static Script, project: &ProjectId) -> Act {
        script.on(project).arg(if self.feed { "1" } else { "" })
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("feed", &self.feed).finish_non_exhaustive()
    }
}
