//! A value that one thread computes and one task awaits.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Creates a promise and the future that returns its value.
pub(super) fn promise<T>() -> (Promise<T>, Promised<T>) {
    let state = Arc::new(Shared(Mutex::new(State { value: None, waker: None, is_over: false })));
    (Promise(Arc::clone(&state)), Promised(state))
}

/// The side that computes the value. If it is dropped without a value, the future returns `None`.
pub(super) struct Promise<T>(Arc<Shared<T>>);

/// The future that returns the value.
pub(super) struct Promised<T>(Arc<Shared<T>>);

struct Shared<T>(Mutex<State<T>>);

struct State<T> {
    value: Option<T>,
    waker: Option<Waker>,
    /// Whether one of the two sides was dropped.
    is_over: bool,
}

impl<T> Shared<T> {
    // No code panics while it holds this lock.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Promise<T> {
    /// Returns whether the future was dropped, so that the value is no longer needed.
    pub(super) fn is_abandoned(&self) -> bool {
        self.0.lock().is_over
    }

    pub(super) fn keep(self, value: T) {
        self.0.lock().value = Some(value);
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        let waker = {
            let mut state = self.0.lock();
            state.is_over = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Drop for Promised<T> {
    fn drop(&mut self) {
        self.0.lock().is_over = true;
    }
}

impl<T> Future for Promised<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.0.lock();
        if state.is_over {
            return Poll::Ready(state.value.take());
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use core::pin::pin;
    use core::sync::atomic::{AtomicBool, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    fn poll(promised: &mut Promised<u8>, woken: &Arc<Woken>) -> Poll<Option<u8>> {
        pin!(promised).poll(&mut Context::from_waker(&Arc::clone(woken).into()))
    }

    #[test]
    fn a_kept_promise_wakes_its_future() {
        let ((promise, mut promised), woken) = (promise(), Arc::<Woken>::default());
        assert_eq!(poll(&mut promised, &woken), Poll::Pending);
        promise.keep(7);
        assert!(woken.0.load(Ordering::SeqCst));
        assert_eq!(poll(&mut promised, &woken), Poll::Ready(Some(7)));
    }

    #[test]
    fn a_dropped_promise_returns_none() {
        let ((promise, mut promised), woken) = (promise(), Arc::<Woken>::default());
        assert_eq!(poll(&mut promised, &woken), Poll::Pending);
        drop(promise);
        assert!(woken.0.load(Ordering::SeqCst));
        assert_eq!(poll(&mut promised, &woken), Poll::Ready(None));
    }

    #[test]
    fn a_promise_knows_that_its_future_was_dropped() {
        let (promise, promised) = promise::<u8>();
        assert!(!promise.is_abandoned());
        drop(promised);
        assert!(promise.is_abandoned());
    }
}
