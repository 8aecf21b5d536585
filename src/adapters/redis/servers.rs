//! How operations are sent: reading ones and writing ones, each until it is answered or the time is over.

use redis::{ErrorKind, RedisError, Value};

use super::connection::{Address, Connection, PAUSE};
use super::durability::Durability;
use super::failure::{NotReplicated, failed, is_misrouted, is_unknown_script};
use super::patience::in_time;
use super::rounds::Rounds;
use super::script::{Act, Answer};
use crate::adapters::fault::Faults;
use crate::adapters::redis::replicas;
use crate::adapters::redis::settings;
use crate::words::store_error::StoreError;

/// The servers, over three connections: those who read wait neither for those who write nor for replicas, and those who write
/// do not wait for another's replicas.
pub(super) struct Servers {
    reading: Connection,
    writing: Connection,
    rounds: Rounds,
    pub(super) faults: Faults,
    /// To each of the host's addresses.
    #[cfg(feature = "cache")]
    clients: Vec<redis::Client>,
}

/// Whether the servers' settings are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Settings {
    Checked,
    /// The caller vouches for them.
    Unchecked,
}

/// What a master has done, and replicas may not have.
pub(super) struct Applied<T> {
    pub(super) answer: T,
    /// The history that it is part of.
    history: Result<String, NotReplicated>,
}

impl<T> Applied<T> {
    fn map<U>(self, map: impl FnOnce(T) -> Result<U, StoreError>) -> Result<Applied<U>, StoreError> {
        Ok(Applied { answer: map(self.answer)?, history: self.history })
    }
}

impl Servers {
    pub(super) async fn connect(urls: &[String], settings: Settings) -> Result<Self, StoreError> {
        in_time(async {
            let address = Address::of(urls).await.map_err(failed)?;
            let reading = address.connect().await.map_err(failed)?;
            if settings == Settings::Checked {
                settings::check(&reading).await?;
            }
            let writing = address.connect().await.map_err(failed)?;
            let waiting = address.connect().await.map_err(failed)?;
            #[cfg(feature = "cache")]
            let clients =
                urls.iter().map(|url| crate::adapters::redis::connection::client(url)).collect::<Result<_, _>>();
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

    /// Of the host's addresses.
    #[cfg(feature = "cache")]
    pub(super) fn clients(&self) -> &[redis::Client] {
        &self.clients
    }

    /// Sends an operation that changes nothing.
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

    /// Sends an operation that changes something, and answers after the master has done it. It is sent again only if a server
    /// refused it unseen: if its answer was lost, it may have been done.
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

    /// The history is asked for before the operation: if the server names the same one afterwards, it was a master all the time
    /// and still has the operation.
    async fn attempt(&self, act: &Act, by_hash: bool) -> Result<Applied<Value>, RedisError> {
        let commands = [replicas::history_question(), act.command(by_hash)];
        let answers = self.writing.send(act.slot, &commands).await?;
        let [info, answer] = <[Value; 2]>::try_from(answers)
            .map_err(|_| RedisError::from((ErrorKind::UnexpectedReturnType, "not an answer for each command")))?;
        // Once it is done, nothing that fails may send it again.
        let answer = answer.extract_error()?;
        let history = match info.extract_error().and_then(replicas::history) {
            Ok(Some(history)) => Ok(history),
            Ok(None) => Err(NotReplicated::Succeeded),
            Err(error) => Err(NotReplicated::Unasked(error)),
        };
        Ok(Applied { answer, history })
    }

    /// Answers after the replicas have an operation.
    ///
    /// # Errors
    /// [`Unavailable`](crate::store::StoreErrorKind::Unavailable) if a fail-over may undo it.
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

    /// Sends an operation that changes something, and answers after that is durable.
    pub(super) async fn change(&self, act: &Act, durability: Durability) -> Result<Value, StoreError> {
        in_time(async { self.confirm(act, self.apply(act).await?, durability).await }).await
    }

    /// As [`ask`](Self::ask), of a script.
    pub(super) async fn read(&self, act: &Act) -> Result<Answer, StoreError> {
        Answer::of(self.ask(act).await?)
    }

    /// As [`change`](Self::change), of a script.
    pub(super) async fn write(&self, act: &Act, durability: Durability) -> Result<Answer, StoreError> {
        Answer::of(self.change(act, durability).await?)
    }

    /// Runs a script that changes something, and answers after the master has done it: a fail-over may undo it.
    pub(super) async fn write_to_master(&self, act: &Act) -> Result<Applied<Answer>, StoreError> {
        self.apply(act).await?.map(Answer::of)
    }
}
