//! How acts are sent: reading ones and writing ones, each until it is answered or the time is over.

use core::future::Future;
use core::time::Duration;

use redis::{RedisError, Value};

use super::PATIENCE;
use super::connection::{Address, Connection};
use super::failure::{NotReplicated, failed, is_misrouted, is_unknown_script};
use super::replicas::Replicas;
use super::script::{Act, Answer};
use super::settings;
use crate::service::store_error::{StoreError, StoreErrorKind};

/// Before an act is sent again that a server refused.
const PAUSE: Duration = Duration::from_millis(50);

/// The servers, over two connections: one that waits for a replica has no time for those who read.
pub(super) struct Servers {
    reading: Connection,
    writing: Connection,
    replicas: Replicas,
    /// To each of the host's addresses.
    #[cfg(feature = "cache")]
    clients: Vec<redis::Client>,
}

impl Servers {
    pub(super) async fn connect(urls: &[String]) -> Result<Self, StoreError> {
        in_time(async {
            let address = Address::of(urls).await.map_err(failed)?;
            let reading = address.connect().await.map_err(failed)?;
            settings::check(&reading).await?;
            let writing = address.connect().await.map_err(failed)?;
            #[cfg(feature = "cache")]
            let clients = urls.iter().map(|url| super::connection::client(url)).collect::<Result<_, _>>();
            Ok(Self {
                reading,
                writing,
                replicas: Replicas::default(),
                #[cfg(feature = "cache")]
                clients: clients.map_err(failed)?,
            })
        })
        .await
    }

    /// Of the host's addresses.
    #[cfg(feature = "cache")]
    pub(super) fn clients(&self) -> &[redis::Client] {
        &self.clients
    }

    /// Sends an act that changes nothing.
    pub(super) async fn ask(&self, act: &Act) -> Result<Value, StoreError> {
        in_time(async {
            let (mut by_hash, mut lost) = (true, false);
            loop {
                let error = match self.reading.send(act.slot, &[act.command(by_hash)]).await {
                    Ok(mut answers) => return Ok(answers.swap_remove(0)),
                    Err(error) => error,
                };
                if by_hash && is_unknown_script(&error) {
                    by_hash = false;
                } else if is_misrouted(&error) || (error.is_io_error() && !lost) {
                    // A connection may be long gone; the next is a new one.
                    lost |= error.is_io_error();
                    tokio::time::sleep(PAUSE).await;
                } else {
                    return Err(failed(error));
                }
            }
        })
        .await
    }

    /// Sends an act that changes something, and answers once that is durable. It is sent again only where a server refused it
    /// unseen: where its answer was lost, it may have been done.
    pub(super) async fn change(&self, act: &Act) -> Result<Value, StoreError> {
        in_time(async {
            let mut by_hash = true;
            loop {
                let error = match self.attempt(act, by_hash).await {
                    Ok(Some(answer)) => return Ok(answer),
                    Ok(None) => return Err(StoreError::with_source(StoreErrorKind::Unavailable, NotReplicated)),
                    Err(error) => error,
                };
                if by_hash && is_unknown_script(&error) {
                    by_hash = false;
                } else if is_misrouted(&error) {
                    tokio::time::sleep(PAUSE).await;
                } else {
                    return Err(failed(error));
                }
            }
        })
        .await
    }

    /// The answer to an act; none where a fail-over may undo it.
    async fn attempt(&self, act: &Act, by_hash: bool) -> Result<Option<Value>, RedisError> {
        let master = self.replicas.of(act.slot, &self.writing).await?;
        let mut commands = vec![act.command(by_hash)];
        commands.extend(master.questions());
        let mut answers = self.writing.send(act.slot, &commands).await?;
        let answer = answers.remove(0);
        // Once it is done, nothing that fails may send it again.
        let outlives = self.replicas.outlives(act.slot, &master, &answers, &self.writing).await;
        Ok(outlives.unwrap_or(false).then_some(answer))
    }

    /// As [`ask`](Self::ask), of a script.
    pub(super) async fn read(&self, act: &Act) -> Result<Answer, StoreError> {
        Answer::of(self.ask(act).await?)
    }

    /// As [`change`](Self::change), of a script.
    pub(super) async fn write(&self, act: &Act) -> Result<Answer, StoreError> {
        Answer::of(self.change(act).await?)
    }
}

async fn in_time<T>(exchange: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(PATIENCE, exchange).await {
        Ok(answer) => answer,
        Err(waited) => Err(StoreError::with_source(StoreErrorKind::Unavailable, waited)),
    }
}
