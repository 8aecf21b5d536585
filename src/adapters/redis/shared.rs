//! A connection that many calls share, and its replacement.

use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::{ErrorKind, RedisResult};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::patience::{PATIENCE, PAUSE};

/// The time without a reply after which a connection is replaced. It is shorter than [`PATIENCE`],
/// the time limit of a whole exchange.
pub(super) const SILENCE: Duration = Duration::from_secs(4);

/// A connection that many calls share. The next call opens a new connection in three cases: no
/// connection was opened yet, a call has given the connection up, or the calls of at least
/// [`SILENCE`] have got no reply.
pub(super) struct Shared<C>(Mutex<Option<Opening<C>>>);

/// An attempt to open a connection.
struct Opening<C> {
    since: Instant,
    outcome: Outcome<C>,
}

/// The outcome of an attempt to open a connection. It is `None` until the attempt has ended.
type Outcome<C> = watch::Receiver<Option<RedisResult<Arc<Opened<C>>>>>;

impl<C> Opening<C> {
    /// Returns whether a call can wait for this attempt, or use the connection that it has opened.
    fn is_usable(&self) -> bool {
        match &*self.outcome.borrow() {
            Some(Ok(opened)) => opened.silence() < SILENCE,
            Some(Err(_)) => false,
            // The task may have ended with its runtime, or its runtime may stand still.
            None => self.outcome.has_changed().is_ok() && self.since.elapsed() < PATIENCE,
        }
    }
}

impl<C: Send + Sync + 'static> Shared<C> {
    pub(super) fn new(connection: Option<C>) -> Self {
        let opening = |connection| {
            let outcome = watch::channel(Some(Ok(Opened::new(connection)))).1;
            Opening { since: Instant::now(), outcome }
        };
        Self(Mutex::new(connection.map(opening)))
    }

    /// Returns the connection. Waits until it is open. All callers wait for the same attempt to
    /// open it. The attempt continues if the callers stop waiting: otherwise, callers with short
    /// time limits would cancel every attempt to reach a slow server.
    ///
    /// # Errors
    /// Returns [`RedisError`](redis::RedisError) if the attempt fails, or takes longer than
    /// [`PATIENCE`].
    pub(super) async fn get_or_open<F>(&self, open: impl FnOnce() -> F) -> RedisResult<Arc<Opened<C>>>
    where
        F: Future<Output = RedisResult<C>> + Send + 'static,
    {
        let mut outcome = self.outcome(open);
        let outcome = match outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().expect("the call has waited for an outcome"),
            // The runtime is shutting down.
            Err(_) => Err((ErrorKind::Io, "the attempt to connect was cancelled").into()),
        };
        outcome.inspect(|opened| opened.note_call())
    }

    /// Returns the outcome of the attempt that has opened the connection, or that is opening it.
    /// After a failure, the attempt ends only after a pause, so that the servers do not get one
    /// attempt directly after the other.
    fn outcome<F>(&self, open: impl FnOnce() -> F) -> Outcome<C>
    where
        F: Future<Output = RedisResult<C>> + Send + 'static,
    {
        let held = &mut *locked(&self.0);
        if let Some(opening) = held.as_ref().filter(|opening| opening.is_usable()) {
            return opening.outcome.clone();
        }
        let (ended, outcome) = watch::channel(None);
        let attempt = timeout(PATIENCE, open());
        tokio::spawn(async move {
            let late = |_| Err((ErrorKind::Io, "the servers did not accept a connection in time").into());
            let opened = attempt.await.unwrap_or_else(late).map(Opened::new);
            if opened.is_err() {
                sleep(PAUSE).await;
            }
            ended.send_replace(Some(opened));
        });
        *held = Some(Opening { since: Instant::now(), outcome: outcome.clone() });
        outcome
    }

    /// Gives up this connection, so that the next call opens a new connection. Does nothing if a
    /// newer connection is open.
    pub(super) fn give_up(&self, opened: &Arc<Opened<C>>) {
        let held = &mut *locked(&self.0);
        let is_held = |opening: &Opening<C>| {
            let outcome = opening.outcome.borrow();
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
    /// The times of the first and the last call after the last reply, if there was a call.
    called: Mutex<Option<(Instant, Instant)>>,
}

impl<C> Opened<C> {
    fn new(connection: C) -> Arc<Self> {
        Arc::new(Self { connection, called: Mutex::new(None) })
    }

    fn note_call(&self) {
        let now = Instant::now();
        locked(&self.called).get_or_insert((now, now)).1 = now;
    }

    /// Notes the outcome of a call. An error that comes from a server is a reply. Only such an
    /// error has a code.
    pub(super) fn note_outcome<T>(&self, outcome: &RedisResult<T>) {
        if outcome.as_ref().err().is_none_or(|error| error.code().is_some()) {
            *locked(&self.called) = None;
        }
    }

    /// Returns the time between the first and the last call without a reply. A time without calls
    /// is no silence.
    fn silence(&self) -> Duration {
        locked(&self.called).map_or(Duration::ZERO, |(first, last)| last - first)
    }
}

// The data is consistent at each moment of the code that holds a lock of this file, so it can be
// used after a panic.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use redis::ServerErrorKind;

    use super::*;

    fn failure<C>() -> RedisResult<C> {
        Err((ErrorKind::Io, "refused").into())
    }

    #[tokio::test]
    async fn a_connection_is_used_until_it_is_given_up() {
        let shared = Shared::new(None);
        assert!(shared.get_or_open(async || failure()).await.is_err());
        let first = shared.get_or_open(async || Ok(1)).await.unwrap();
        assert_eq!((first.connection, shared.get_or_open(async || Ok(2)).await.unwrap().connection), (1, 1));
        shared.give_up(&first);
        assert_eq!(shared.get_or_open(async || Ok(3)).await.unwrap().connection, 3);
        // A late call gives up only the connection that it used.
        shared.give_up(&first);
        assert_eq!(shared.get_or_open(async || Ok(4)).await.unwrap().connection, 3);
    }

    #[tokio::test]
    async fn a_connection_is_replaced_if_its_calls_get_no_reply() {
        for (silence, connection) in [(SILENCE - Duration::from_millis(1), 1), (SILENCE, 2)] {
            let shared = Shared::new(Some(1));
            let opened = shared.get_or_open(async || Ok(2)).await.unwrap();
            *locked(&opened.called) = Some((Instant::now(), Instant::now() + silence));
            assert_eq!(shared.get_or_open(async || Ok(2)).await.unwrap().connection, connection, "{silence:?}");
        }
        let refused = Err((ErrorKind::Server(ServerErrorKind::TryAgain), "try again").into());
        for (outcome, connection) in [(Ok(()), 1), (refused, 1), (failure(), 2)] {
            let shared = Shared::new(Some(1));
            let opened = shared.get_or_open(async || Ok(2)).await.unwrap();
            *locked(&opened.called) = Some((Instant::now(), Instant::now() + SILENCE));
            opened.note_outcome(&outcome);
            assert_eq!(shared.get_or_open(async || Ok(2)).await.unwrap().connection, connection, "{outcome:?}");
        }
    }

    #[tokio::test]
    async fn an_attempt_of_a_runtime_that_has_ended_is_repeated() {
        let shared = Arc::new(Shared::new(None));
        let other = Arc::clone(&shared);
        let ended = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let pending = async || other.get_or_open(core::future::pending).await;
            runtime.block_on(async { timeout(Duration::from_millis(1), pending()).await.is_err() })
        });
        assert!(ended.join().unwrap());
        assert_eq!(shared.get_or_open(async || Ok(1)).await.unwrap().connection, 1);
    }
}
