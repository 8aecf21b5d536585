//! A time limit for a future that works with any executor. A thread waits for the limit and then
//! wakes the task of the future.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Poll, Waker};
use core::time::Duration;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

/// The reasons why [`within`] has no result of the future.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NoResult {
    /// The future did not end within the limit.
    TimedOut,
    /// The system has no thread for the limit.
    NoThread,
}

/// Runs a future, and drops it if it does not end within the limit.
///
/// When the limit has passed, the thread that waits for it calls `rings`, also if the future blocks
/// its own thread and cannot be dropped.
pub(super) async fn within<F: Future>(
    limit: Duration,
    rings: impl FnOnce() + Send + 'static,
    future: F,
) -> Result<F::Output, NoResult> {
    let mut future = pin!(future);
    let mut rings = Some(rings);
    let mut alarm: Option<Alarm> = None;
    poll_fn(move |context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Ok(output));
        }
        // A future that never waits needs no thread.
        if let Some(rings) = rings.take() {
            match Alarm::set(limit, rings) {
                Some(set) => alarm = Some(set),
                None => return Poll::Ready(Err(NoResult::NoThread)),
            }
        }
        match &alarm {
            Some(alarm) if alarm.has_rung(context.waker()) => Poll::Ready(Err(NoResult::TimedOut)),
            _ => Poll::Pending,
        }
    })
    .await
}

/// A thread that waits for a limit. Dropping this value ends the thread.
struct Alarm(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_dropped: bool,
    has_rung: bool,
    waker: Option<Waker>,
}

impl Alarm {
    /// Starts the thread. Returns `None` if the system has no thread.
    fn set(limit: Duration, rings: impl FnOnce() + Send + 'static) -> Option<Self> {
        let shared = Arc::<Shared>::default();
        let waiting = Arc::clone(&shared);
        let thread = thread::Builder::new().name("keyfob-conformance".to_owned());
        thread.spawn(move || waiting.wait(limit, rings)).ok()?;
        Some(Self(shared))
    }

    /// Returns whether the limit has passed. If not, wakes this waker when it has.
    fn has_rung(&self, waker: &Waker) -> bool {
        let mut state = self.0.state();
        state.waker = Some(waker.clone());
        state.has_rung
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.0.state().is_dropped = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, limit: Duration, rings: impl FnOnce()) {
        let started = Instant::now();
        let mut state = self.state();
        loop {
            if state.is_dropped {
                return;
            }
            let Some(left) = limit.checked_sub(started.elapsed()).filter(|left| !left.is_zero()) else { break };
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.has_rung = true;
        let waker = state.waker.take();
        drop(state);
        rings();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
