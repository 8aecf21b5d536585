//! The bodies of requests and responses. The body of a request must arrive before a deadline. The
//! service counts a request as in progress until the body of the response has been sent.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::seats::{Seat, Turn};

/// A flag that is set when the deadline of a request body has passed.
#[derive(Clone, Default)]
pub(super) struct Late(Arc<AtomicBool>);

impl Late {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The rest of a request body that the handler has not read.
#[derive(Clone, Default)]
pub(super) struct Rest(Arc<Mutex<Option<Incoming>>>);

impl Rest {
    /// Returns the rest, if there is any.
    pub(super) fn take(&self) -> Option<Incoming> {
        let rest = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        rest.filter(|rest| !rest.is_end_stream())
    }
}

/// Reads the rest of a body, and returns whether this succeeded. Fails if the rest has more than
/// `most` bytes, or does not arrive within `patience`.
pub(super) async fn is_read(rest: Incoming, most: usize, patience: Duration) -> bool {
    rest.size_hint().lower() <= most as u64
        && timeout(patience, Limited::new(rest, most).collect()).await.is_ok_and(|read| read.is_ok())
}

/// The body of a request. Reading it fails if the body is not complete at its deadline.
pub(super) struct Coming {
    /// `None` after the body has ended.
    body: Option<Incoming>,
    seat: Arc<Seat>,
    deadline: Instant,
    /// The timer of the deadline. It exists while the handler waits for the body.
    waiting: Option<Pin<Box<Sleep>>>,
    late: Late,
    /// The place for the body if the handler does not read it to its end.
    rest: Rest,
}

impl Coming {
    pub(super) fn new(body: Incoming, seat: Arc<Seat>, deadline: Instant, late: Late, rest: Rest) -> Self {
        Self { body: Some(body), seat, deadline, waiting: None, late, rest }
    }
}

impl HttpBody for Coming {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(frame))),
            Poll::Ready(ended) => {
                this.body = None;
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
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        if self.waiting.is_some() {
            self.seat.work();
        }
        *self.rest.0.lock().unwrap_or_else(PoisonError::into_inner) = self.body.take();
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
