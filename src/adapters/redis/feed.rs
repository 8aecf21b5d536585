//! A feed that uses pub/sub to receive the changes that other processes make.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ProtocolVersion, PushInfo, PushKind, RedisResult, Value};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::connection::REACH;
use super::failure::failed;
use super::handle::RedisStore;
use super::patience::{PATIENCE, in_time};
use super::script::Act;
use super::servers::Servers;
use crate::cache::feed::{Feed, FeedEvent};
use crate::words::store_error::StoreError;

/// The channel on which the scripts publish changes. change.lua repeats this name.
const CHANNEL: &str = "keyfob";

/// The time without a message after which the feed checks its connection. It is also the pause
/// before the feed connects again after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// A feed that receives the changes made by every [`RedisStore`] with
/// [notifications](RedisStore::with_feed). Pass the feed to
/// [`Cached::follow`](crate::store::cache::Cached::follow).
///
/// The feed listens at one of the addresses of the store that created the feed. After a second
/// without a message, the feed publishes a message itself. If this message does not arrive, the
/// feed reports that changes may have been missed.
pub struct RedisFeed {
    servers: Arc<Servers>,
    listening: Option<Listening>,
    /// Whether the feed has published a message to check its connection, and no message has arrived
    /// since then.
    asked: bool,
    /// The number of attempts to listen so far. It selects the address of the next attempt.
    begun: usize,
}

struct Listening {
    pushed: UnboundedReceiver<PushInfo>,
    /// The connection of the subscription. Dropping the connection ends the subscription.
    _connection: MultiplexedConnection,
}

impl RedisStore {
    /// Returns a feed of the changes that any process makes from now on.
    pub fn feed(&self) -> RedisFeed {
        RedisFeed { servers: Arc::clone(&self.servers), listening: None, asked: false, begun: 0 }
    }
}

impl fmt::Debug for RedisFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisFeed").field("listens", &self.listening.is_some()).finish_non_exhaustive()
    }
}

impl Feed for RedisFeed {
    async fn next(&mut self) -> FeedEvent {
        loop {
            let Some(listening) = &mut self.listening else {
                match self.listen().await {
                    Ok(listening) => self.listening = Some(listening),
                    Err(error) => {
                        self.servers.faults.note("cannot listen for changes", &error);
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                self.asked = false;
                return FeedEvent::Lost;
            };
            let patience = if self.asked { PATIENCE } else { PAUSE };
            match tokio::time::timeout(patience, listening.pushed.recv()).await {
                Ok(Some(PushInfo { kind: PushKind::Message, data })) => {
                    self.asked = false;
                    return match data.as_slice() {
                        [_, Value::BulkString(word)] => FeedEvent::heard(&String::from_utf8_lossy(word)),
                        _ => FeedEvent::Lost,
                    };
                }
                Ok(Some(PushInfo { kind: PushKind::Subscribe, .. })) => continue,
                Err(_silent) if !self.asked => {
                    let word = Act::plain("PUBLISH", CHANNEL).arg("");
                    if self.servers.ask(&word).await.is_ok() {
                        self.asked = true;
                        continue;
                    }
                }
                _ => {}
            }
            self.listening = None;
            return FeedEvent::Lost;
        }
    }
}

impl RedisFeed {
    /// Connects to the next of the store's addresses, and listens for changes there.
    async fn listen(&mut self) -> Result<Listening, StoreError> {
        let clients = self.servers.clients();
        let client = &clients[self.begun % clients.len()];
        self.begun = self.begun.wrapping_add(1);
        in_time(async { Listening::to(client).await.map_err(failed) }).await
    }
}

impl Listening {
    async fn to(client: &Client) -> RedisResult<Self> {
        let info = client.get_connection_info();
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(info.clone().set_redis_settings(settings))?;
        let (push, pushed) = unbounded_channel();
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(REACH)).set_response_timeout(Some(PATIENCE));
        let config = config.set_push_sender(push);
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        connection.subscribe(CHANNEL).await?;
        Ok(Self { pushed, _connection: connection })
    }
}
