//! A feed that uses `LISTEN` to receive the changes that other processes make.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use sqlx::Postgres;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};

use super::handle::{CHANNEL, PostgresStore};
use super::replica::Replica;
use crate::adapters::fault::Faults;
use crate::adapters::sql::patience::{PATIENCE, within};
use crate::cache::feed::{Feed, FeedEvent};
use crate::words::ids::TokenKey;

/// The time without a notification after which the feed checks its connection. It is also the pause
/// before the feed connects again after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// A feed that receives the changes made by every [`PostgresStore`] with
/// [notifications](PostgresStore::telling_changes). Pass the feed to
/// [`Cached::follow`](crate::store::cache::Cached::follow).
///
/// The feed has its own connection outside the pool. After a second without a notification, the
/// feed sends a notification to itself. If this notification does not arrive, the feed reports that
/// changes may have been missed. So the feed detects a break at any point of the connection.
///
/// PostgreSQL does not deliver notifications on a standby, or through a pooler that assigns
/// connections per transaction. In both cases, the feed receives no changes, and the cache relies
/// on its staleness bound.
pub struct PostgresFeed {
    options: PgConnectOptions,
    /// The standbys that the store reads from. A standby may lack a change that the feed reports.
    /// So the feed makes the store read the project from the primary until a standby has the
    /// change.
    replica: Option<Arc<Replica>>,
    faults: Arc<Faults>,
    listener: Option<PgListener>,
    /// Whether the feed waits for the notification that it sent to itself.
    asked: bool,
}

impl PostgresStore {
    /// Returns a feed of the changes that any process makes in this database from now on.
    pub fn feed(&self) -> PostgresFeed {
        let options = self.access.pool.connect_options().as_ref().clone();
        let (replica, faults) = (self.replica.clone(), Arc::clone(&self.access.faults));
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
                match within::<Postgres, _>(listen(&self.options)).await {
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

/// Connects a listener through a pool that only this listener uses. After a listener is dropped,
/// sqlx sends a last message to the server, and waits long if the server does not reply. In a
/// shared pool, the connection would keep its place during this time.
async fn listen(options: &PgConnectOptions) -> sqlx::Result<PgListener> {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE).connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}
