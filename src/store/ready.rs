//! A minimal executor without a runtime, for tests with the store in memory.

use core::pin::pin;
use core::task::{Context, Poll, Waker};

/// Polls a future once and returns its output. The future must be ready at the first poll, as all
/// futures of the store in memory are.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => unreachable!("a store in memory never waits"),
    }
}
