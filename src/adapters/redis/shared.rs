//! A connection that many calls share, and its replacement.

use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::{ErrorKind, RedisResult};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::patience::PATIENCE;

/// The time without a reply after which a connection is replaced. It is shorter than [`PATIENCE`],
/// the time limit of a whole exchange.
pub(super) const SILENCE: Duration = Duration::from_secs(4);

/// A connection that many calls share. The next call opens a new connection if there is none, if a
/// call has given the connection up, or if no call has got a reply for [`SILENCE`].
pub(super) struct Shared<C>(Mutex<Option<Opening<C>>>);

/// The attempt to open a connection, and its outcome.
type Opening<C> = watch::Receiver<Option<RedisResult<Arc<Opened<C>>>>>;

impl<C: Send + Sync + 'static> Shared<C> {
    pub(super) fn new(connection: Option<C>) -> Self {
        Self(Mutex::new(connection.map(|connection| watch::channel(Some(Ok(Opened::new(connection)))).1)))
    }

    /// Returns the connection. If there is none, waits until it is open. All callers wait for the
    /// same attempt. It continues if they stop waiting: otherwise, callers that are in a hurry
    /// would cancel each attempt of a server that is slow to accept connections.
    pub(super) async fn get_or_open<F>(&self, open: impl FnOnce() -> F) -> RedisResult<Arc<Opened<C>>>
    where
        F: Future<Output = RedisResult<C>> + Send + 'static,
    {
        let mut opening = self.opening(open);
        let outcome = match opening.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().expect("the call has waited for an outcome"),
            // The runtime is shutting down.
            Err(_) => Err((ErrorKind::Io, "the attempt to connect was cancelled").into()),
        };
        outcome.inspect(|opened| opened.note_call())
    }

    /// Returns the attempt that has opened the connection, or that is opening it.
    fn opening<F>(&self, open: impl FnOnce() -> F) -> Opening<C>
    where
        F: Future<Output = RedisResult<C>> + Send + 'static,
    {
        let held = &mut *locked(&self.0);
        if let Some(opening) = held {
            let is_usable = match &*opening.borrow() {
                Some(Ok(opened)) => opened.silence() < SILENCE,
                Some(Err(_)) => false,
                None => opening.has_changed().is_ok(),
            };
            if is_usable {
                return opening.clone();
            }
        }
        let (outcome, opening) = watch::channel(None);
        let attempt = timeout(PATIENCE, open());
        tokio::spawn(async move {
            let late = |_| Err((ErrorKind::Io, "the servers did not accept a connection in time").into());
            outcome.send_replace(Some(attempt.await.unwrap_or_else(late).map(Opened::new)));
        });
        held.insert(opening).clone()
    }

    /// Gives up this connection, so that the next call opens a new connection. Does nothing if a
    /// newer connection is open.
    pub(super) fn give_up(&self, opened: &Arc<Opened<C>>) {
        let held = &mut *locked(&self.0);
        let is_held = |opening: &Opening<C>| {
            let outcome = opening.borrow();
            matches!(&*outcome, Some(Ok(held)) if Arc::ptr_eq(held, opened))
        };
        if held.as_ref().is_some_and(is_held) {
            *held = None;
        }
    }
}

/// An open connection.
pub(super) struct Opened<C> {
    pub(super) connection: C,
    /// The time of the first call after the last reply, if there was a call.
    called: Mutex<Option<Instant>>,
}

impl<C> Opened<C> {
    fn new(connection: C) -> Arc<Self> {
        Arc::new(Self { connection, called: Mutex::new(None) })
    }

    fn note_call(&self) {
        locked(&self.called).get_or_insert_with(Instant::now);
    }

    /// Notes the outcome of a call. An error that comes from a server is a reply. Only such an
    /// error has a code.
    pub(super) fn note_outcome<T>(&self, outcome: &RedisResult<T>) {
        if outcome.as_ref().err().is_none_or(|error| error.code().is_some()) {
            *locked(&self.called) = None;
        }
    }

    /// Returns the time for which calls have been without a reply.
    fn silence(&self) -> Duration {
        locked(&self.called).map_or(Duration::ZERO, |called| called.elapsed())
    }
}

// No code panics while it holds a lock of this file, so a poisoned lock guards consistent data.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
