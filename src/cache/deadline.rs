//! How long a caller waits for what others may keep from ending.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

/// Awaits `wait`, but no longer than `patience`: then it is dropped, and there is no answer.
pub(super) async fn within<T>(patience: Duration, wait: impl Future<Output = T>) -> Option<T> {
    let mut wait = pin!(wait);
    // What need not be waited for, as of a store in memory, needs no timer.
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

#[cfg(not(test))]
async fn timed<T>(patience: Duration, wait: impl Future<Output = T>) -> Option<T> {
    // Outside a runtime tokio's timer would panic. A host on another one measures the patience by
    // none.
    if tokio::runtime::Handle::try_current().is_err() {
        return Some(wait.await);
    }
    tokio::time::timeout(patience, wait).await.ok()
}

/// In the crate's own tests chance ends a patience of zero, at any poll, and nothing ends another
/// one.
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
