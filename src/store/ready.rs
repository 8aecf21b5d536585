//! An executor for tests over a store in memory, without a runtime.

use core::pin::pin;
use core::task::{Context, Poll, Waker};

/// Runs a future that never waits, such as one of a store in memory, and returns its output.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => unreachable!("a store in memory never waits"),
    }
}
