//! A limit on the time that a caller waits for a shared call.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

/// Awaits `wait` for at most `patience`. Drops it and returns `None` if it takes longer.
pub(super) async fn within<T>(patience: Duration, wait: impl Future<Output = T>) -> Option<T> {
    let mut wait = pin!(wait);
    // A future that is ready immediately, such as one of a store in memory, needs no timer.
    let at_once = poll_fn(|context| {
        Poll::Ready(match wait.as_mut().poll(context) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        })
    });
    match at_once.await {
        Some(answer) => Some(answer),
        None => timed(patience, wait).await,
    }
}

/// Awaits `wait` with the timer of tokio.
#[cfg(not(test))]
async fn timed<T>(patience: Duration, wait: impl Future<Output = T>) -> Option<T> {
    // Outside a tokio runtime its timer would panic. On another runtime the patience is not
    // measured.
    if tokio::runtime::Handle::try_current().is_err() {
        return Some(wait.await);
    }
    tokio::time::timeout(patience, wait).await.ok()
}

/// Awaits `wait` with a timer that chance controls, for the tests of this crate: a patience of zero
/// ends at a random poll, and any other patience never ends.
#[cfg(test)]
async fn timed<T>(patience: Duration, wait: impl Future<Output = T>) -> Option<T> {
    use shuttle::rand::Rng;

    let mut wait = pin!(wait);
    poll_fn(|context| {
        if patience.is_zero() {
            if shuttle::rand::thread_rng().gen_bool(0.2) {
                return Poll::Ready(None);
            }
            context.waker().wake_by_ref();
        }
        wait.as_mut().poll(context).map(Some)
    })
    .await
}
