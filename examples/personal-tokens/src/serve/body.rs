//! The bodies of requests and responses. The body of a request must arrive before a deadline. The
//! service counts a request as in progress until the body of the response has been sent.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

use super::seats::{Seat, Turn};

/// A flag that is set when the deadline of a request body has passed.
#[derive(Clone, Default)]
pub(super) struct Late(Arc<AtomicBool>);

impl Late {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The body of a request. Reading it fails if the body is not complete at its deadline.
pub(super) struct Coming {
    body: Incoming,
    seat: Arc<Seat>,
    deadline: Instant,
    /// The timer of the deadline. It exists while the handler waits for the body.
    waiting: Option<Pin<Box<Sleep>>>,
    late: Late,
}

impl Coming {
    pub(super) fn new(body: Incoming, seat: Arc<Seat>, deadline: Instant, late: Late) -> Self {
        Self { body, seat, deadline, waiting: None, late }
    }
}

impl HttpBody for Coming {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(frame))),
            Poll::Ready(ended) => {
                if this.waiting.take().is_some() {
                    this.seat.work();
                }
                Poll::Ready(ended.map(|ended| ended.map_err(BodyError::Broken)))
            }
            Poll::Pending => {
                let (seat, deadline) = (&this.seat, this.deadline);
                let end = this.waiting.get_or_insert_with(|| {
                    seat.wait_for_body(Instant::now());
                    Box::pin(sleep_until(deadline))
                });
                match end.as_mut().poll(cx) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(()) => {
                        this.waiting = None;
                        this.seat.work();
                        this.late.0.store(true, Ordering::Relaxed);
                        Poll::Ready(Some(Err(BodyError::Late)))
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        if self.waiting.is_some() {
            self.seat.work();
        }
    }
}

/// The reason why the body of a request could not be read.
#[derive(Debug)]
pub(super) enum BodyError {
    Broken(hyper::Error),
    Late,
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(error) => error.fmt(f),
            Self::Late => f.write_str("the body did not arrive in time"),
        }
    }
}

impl Error for BodyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Broken(error) => error.source(),
            Self::Late => None,
        }
    }
}

/// The body of a response. The request is in progress until hyper has taken the whole body.
pub(super) struct Answer {
    body: Body,
    _turn: Turn,
}

impl Answer {
    pub(super) fn new(body: Body, turn: Turn) -> Self {
        Self { body, _turn: turn }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
