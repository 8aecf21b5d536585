//! A limit on the time that a caller waits for a shared call.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

/// Awaits the future `wait` for at most `patience`. If the future takes longer, drops it and
/// returns `None`.
pub(super) async fn within<T>(patience: Duration, wait: impl Future<Output = T>) -> Option<T> {
    let mut wait = pin!(wait);
    // A future that is ready immediately needs no timer. The futures of an in-memory store are.
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

/// Awaits the future `wait` for at most `patience`, measured by tokio's timer.
#[cfg(not(test))]
async fn timed<T>(patience: Duration, wait: impl Future<Output = T>) -> Option<T> {
    // Outside a tokio runtime, tokio's timer would panic. So there the patience has no effect.
    if tokio::runtime::Handle::try_current().is_err() {
        return Some(wait.await);
    }
    tokio::time::timeout(patience, wait).await.ok()
}

/// Awaits the future `wait` in the tests of this crate, where chance replaces the timer. If
/// `patience` is zero, gives up at a random poll and returns `None`. Otherwise never gives up.
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
