//! The exchanges with the Redis servers. An exchange sends a read or a write, and repeats it within
//! the time limit if a server has refused it for a temporary reason.

use redis::{ErrorKind, RedisError, Value};

use super::connection::{Address, Connection};
use super::durability::Durability;
use super::failure::{NotReplicated, failed, is_misrouted, is_unknown_script};
use super::options::RedisOptions;
use super::patience::{PAUSE, in_time};
use super::rounds::Rounds;
use super::script::{Act, Answer};
use crate::adapters::fault::Faults;
use crate::adapters::redis::replicas;
use crate::adapters::redis::settings;
use crate::words::store_error::StoreError;

/// The Redis servers, with separate connections for reads, for writes and for waiting for replicas.
/// So reads wait neither for writes nor for replicas, and writes do not wait for the replicas of
/// other writes.
pub(super) struct Servers {
    reading: Connection,
    writing: Connection,
    rounds: Rounds,
    pub(super) faults: Faults,
    /// The clients for the addresses of the store, one client for each address.
    #[cfg(feature = "cache")]
    clients: Vec<redis::Client>,
}

/// The reply to an operation that the master has applied. The replicas of the master may not have
/// the operation yet.
pub(super) struct Applied<T> {
    pub(super) answer: T,
    /// The name of the history (the master's stream of writes) that contains the operation, or the
    /// reason why the name is unknown.
    history: Result<String, NotReplicated>,
}

impl<T> Applied<T> {
    fn map<U>(self, map: impl FnOnce(T) -> Result<U, StoreError>) -> Result<Applied<U>, StoreError> {
        Ok(Applied { answer: map(self.answer)?, history: self.history })
    }
}

impl Servers {
    pub(super) async fn connect(options: &RedisOptions) -> Result<Self, StoreError> {
        in_time(async {
            let address = Address::of(options).await.map_err(failed)?;
            let reading = address.connect().await.map_err(failed)?;
            if options.checked {
                settings::check(&reading).await?;
            }
            let writing = address.connect().await.map_err(failed)?;
            let waiting = address.connect().await.map_err(failed)?;
            #[cfg(feature = "cache")]
            let clients = options.urls.iter().map(|url| options.client(url)).collect::<Result<_, _>>();
            Ok(Self {
                reading,
                writing,
                rounds: Rounds::new(waiting),
                faults: Faults::default(),
                #[cfg(feature = "cache")]
                clients: clients.map_err(failed)?,
            })
        })
        .await
    }

    /// Returns the clients for the addresses of the store, one client for each address.
    #[cfg(feature = "cache")]
    pub(super) fn clients(&self) -> &[redis::Client] {
        &self.clients
    }

    /// Sends a command that changes nothing. Repeats the command once if the connection was lost.
    /// Repeats it until the time limit if the wrong server received it.
    pub(super) async fn ask(&self, act: &Act) -> Result<Value, StoreError> {
        in_time(async {
            let (mut by_hash, mut lost) = (true, false);
            loop {
                let error = match self.reading.send_one(act.slot, act.command(by_hash)).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => error,
                };
                if by_hash && is_unknown_script(&error) {
                    by_hash = false;
                } else if is_misrouted(&error) || (error.is_io_error() && !lost) {
                    // The connection may have been lost long ago. The next attempt opens a new
                    // connection.
                    lost |= error.is_io_error();
                    tokio::time::sleep(PAUSE).await;
                } else {
                    return Err(failed(error));
                }
            }
        })
        .await
    }

    /// Sends a command that changes something, and returns after the master has run it. Repeats the
    /// command only if a server has refused the command without running it. If the reply is lost,
    /// the call fails, although the master may have run the command.
    async fn apply(&self, act: &Act) -> Result<Applied<Value>, StoreError> {
        in_time(async {
            let mut by_hash = true;
            loop {
                let error = match self.attempt(act, by_hash).await {
                    Ok(applied) => return Ok(applied),
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

    /// Makes one attempt to send a command. First asks the server for the name of its history (its
    /// stream of writes). If the server names the same history after the command, it was a master
    /// all the time and still has the operation.
    async fn attempt(&self, act: &Act, by_hash: bool) -> Result<Applied<Value>, RedisError> {
        let commands = [replicas::history_question(), act.command(by_hash)];
        let answers = self.writing.send(act.slot, &commands).await?;
        let [info, answer] = <[Value; 2]>::try_from(answers)
            .map_err(|_| RedisError::from((ErrorKind::UnexpectedReturnType, "a command has no reply")))?;
        // From here on, the operation has been applied, and no failure may repeat it.
        let answer = answer.extract_error()?;
        let history = match info.extract_error().and_then(replicas::history) {
            Ok(Some(history)) => Ok(history),
            Ok(None) => Err(NotReplicated::Succeeded),
            Err(error) => Err(NotReplicated::Unasked(error)),
        };
        Ok(Applied { answer, history })
    }

    /// Waits until the replicas have an operation that the master has applied. Returns the reply to
    /// the operation.
    ///
    /// # Errors
    /// Returns [`Unavailable`](crate::store::StoreErrorKind::Unavailable) if a fail-over may undo
    /// the operation.
    pub(super) async fn confirm<T>(
        &self,
        act: &Act,
        applied: Applied<T>,
        durability: Durability,
    ) -> Result<T, StoreError> {
        let history = applied.history?;
        in_time(async { Ok(self.rounds.wait(act.slot, &act.near(), &history, durability).await?) }).await?;
        Ok(applied.answer)
    }

    /// Sends a command that changes something, and returns after the change is durable.
    pub(super) async fn change(&self, act: &Act, durability: Durability) -> Result<Value, StoreError> {
        in_time(async { self.confirm(act, self.apply(act).await?, durability).await }).await
    }

    /// Runs a script that changes nothing.
    pub(super) async fn read(&self, act: &Act) -> Result<Answer, StoreError> {
        Answer::of(self.ask(act).await?)
    }

    /// Runs a script that changes something, and returns after the change is durable.
    pub(super) async fn write(&self, act: &Act, durability: Durability) -> Result<Answer, StoreError> {
        Answer::of(self.change(act, durability).await?)
    }

    /// Runs a script that changes something, and returns after the master has run it. A fail-over
    /// may undo the change.
    pub(super) async fn write_to_master(&self, act: &Act) -> Result<Applied<Answer>, StoreError> {
        self.apply(act).await?.map(Answer::of)
    }
}
