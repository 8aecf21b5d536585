//! The future of a guarded tower service.

use core::pin::Pin;
use core::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

pin_project! {
    /// The future of a guarded service. `F` is the future of the inner service and `R` its
    /// response. `T` is the response of the guarded service. Only a verification that must wait has
    /// a box.
    pub struct GuardedFuture<F, R, T, E> {
        #[pin]
        state: State<F, R, T, E>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, R, T, E> {
        Inner { #[pin] inner: F, convert: fn(R) -> T },
        Refused { response: Option<T> },
        Waiting { waiting: Boxed<T, E> },
    }
}

type Boxed<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl<F, R, T, E> GuardedFuture<F, R, T, E> {
    /// Creates the future of an admitted request: the future of the inner service.
    pub(super) fn inner(inner: F, convert: fn(R) -> T) -> Self {
        Self { state: State::Inner { inner, convert } }
    }

    /// Creates the future of a refused request, with the response.
    pub(super) fn refused(response: T) -> Self {
        Self { state: State::Refused { response: Some(response) } }
    }

    /// Creates the future of a request whose verification must wait.
    pub(super) fn waiting(waiting: impl Future<Output = Result<T, E>> + Send + 'static) -> Self {
        Self { state: State::Waiting { waiting: Box::pin(waiting) } }
    }
}

impl<F: Future<Output = Result<R, E>>, R, T, E> Future for GuardedFuture<F, R, T, E> {
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Inner { inner, convert } => Poll::Ready(ready!(inner.poll(context)).map(convert)),
            StateProjection::Refused { response } => {
                Poll::Ready(Ok(response.take().expect("a future is not polled after it is ready")))
            }
            StateProjection::Waiting { waiting } => waiting.as_mut().poll(context),
        }
    }
}
