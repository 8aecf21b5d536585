//! What other processes change, by LISTEN.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};

use super::changed::CHANNEL;
use super::handle::PostgresStore;
use super::patience::{PATIENCE, within};
use super::replica::Replica;
use crate::adapters::fault::Faults;
use crate::cache::feed::{Feed, FeedEvent};
use crate::words::ids::TokenKey;

/// How long it may be silent before it is asked whether it is well, and how long until the next try where it is not.
const PAUSE: Duration = Duration::from_secs(1);

/// The changes that [telling](PostgresStore::telling_changes) stores make, for [`Cached::follow`](crate::store::cache::Cached::follow).
///
/// It has a connection of its own beside the pool, and tells itself something each second that is silent, so that a feed that
/// has broken anywhere is known to be lost. On a standby, and behind a pooler that hands on connections by the transaction,
/// PostgreSQL does not notify: there the feed stays lost, and the cache goes by its bound.
pub struct PostgresFeed {
    options: PgConnectOptions,
    /// What is told of, its standbys may not know yet.
    replica: Option<Arc<Replica>>,
    faults: Arc<Faults>,
    listener: Option<PgListener>,
    /// Whether it waits for its own word.
    asked: bool,
}

impl PostgresStore {
    /// The changes that any process makes in this database from now on.
    pub fn feed(&self) -> PostgresFeed {
        let options = self.pool.connect_options().as_ref().clone();
        let (replica, faults) = (self.replica.clone(), Arc::clone(&self.faults));
        PostgresFeed { options, replica, faults, listener: None, asked: false }
    }
}

impl fmt::Debug for PostgresFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresFeed").field("listens", &self.listener.is_some()).finish_non_exhaustive()
    }
}

impl Feed for PostgresFeed {
    async fn next(&mut self) -> FeedEvent {
        let told = self.hear().await;
        if let Some(replica) = &self.replica {
            match &told {
                FeedEvent::Token(TokenKey { project, .. }) | FeedEvent::Project(project) => replica.mark(project),
                FeedEvent::Lost => replica.mark_all(),
                FeedEvent::Nothing => {}
            }
        }
        told
    }
}

impl PostgresFeed {
    async fn hear(&mut self) -> FeedEvent {
        loop {
            let Some(listener) = &mut self.listener else {
                match within(listen(&self.options)).await {
                    Ok(listener) => self.listener = Some(listener),
                    Err(error) => {
                        self.faults.note("cannot listen for changes", &error);
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                self.asked = false;
                return FeedEvent::Lost;
            };
            let patience = if self.asked { PATIENCE } else { PAUSE };
            match tokio::time::timeout(patience, listener.try_recv()).await {
                Ok(Ok(Some(notification))) => {
                    self.asked = false;
                    return FeedEvent::heard(notification.payload());
                }
                Err(_silent) if !self.asked => {
                    let word = sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(&mut *listener);
                    if matches!(tokio::time::timeout(PATIENCE, word).await, Ok(Ok(_))) {
                        self.asked = true;
                        continue;
                    }
                }
                _ => {}
            }
            self.listener = None;
            return FeedEvent::Lost;
        }
    }
}

/// Each listener has a pool of its own: one that was dropped says good-bye on its connection first, and where that is silent keeps
/// its place in the pool for as long.
async fn listen(options: &PgConnectOptions) -> sqlx::Result<PgListener> {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE).connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}
