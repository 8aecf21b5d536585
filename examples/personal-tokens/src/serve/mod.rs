//! Serves connections within limits, so that a client cannot block the service by keeping
//! connections open.
//!
//! `axum::serve` has no timeouts and no limit of connections. So this module calls hyper directly,
//! as axum's own examples do.

mod body;
mod queue;
mod seats;

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::iter;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use keyfob::http::Refusal;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;

use crate::app::with_fixed_headers;
use body::{Answer, Coming, Late, Rest, is_read};
use queue::SEAT;
use seats::{NoTurn, Seat, Seats};

pub use queue::queued;

/// The limits on connections. The service checks each time limit separately.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The maximum number of open connections. If a new connection would exceed this number, the
    /// service closes the connection that has waited longest for the headers of a request. If no
    /// connection waits for headers, the service closes a connection with a request instead: the
    /// one whose request has waited longest for its body or in a queue of the service.
    ///
    /// One connection in 32 is reserved for connections without a request in progress and for
    /// `/health/live`, so that the process is not considered dead while all other requests wait for
    /// a database. If all other connections have a request in progress, a new request gets status
    /// 503.
    pub connections: usize,
    /// The minimum time for which a connection waits before it may be closed for another
    /// connection.
    pub at_least: Duration,
    /// The maximum time from the start of a connection until the headers of its first request are
    /// complete.
    pub headers: Duration,
    /// The maximum time from the end of a request until the headers of the next request on the same
    /// connection are complete. A proxy keeps idle connections for about a minute. This service
    /// must wait for longer, so that the proxy does not use a connection that the service is
    /// closing.
    pub idle: Duration,
    /// The maximum time from the headers of a request until its body is complete.
    pub body: Duration,
    /// The maximum time for which the service waits until the client reads more of a response.
    pub write: Duration,
    /// The maximum size of the buffer from which the requests of a connection are read, in bytes.
    /// It also limits the size of a request's headers.
    pub read_ahead: usize,
}

impl Default for Limits {
    /// Returns the limits for a process that may open 1,024 files, which is the usual limit. Half
    /// of the files are for connections.
    fn default() -> Self {
        Self {
            connections: 512,
            at_least: Duration::from_millis(100),
            headers: Duration::from_secs(15),
            idle: Duration::from_secs(75),
            body: Duration::from_secs(30),
            write: Duration::from_secs(30),
            read_ahead: 32 * 1024,
        }
    }
}

/// Serves connections until `stop` completes. Then waits until the requests in progress have ended.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: impl Future<Output = ()>) {
    let seats = Arc::new(Seats::new(limits.connections, limits.at_least));
    // Each connection holds a receiver, so `closed` returns when the last connection has ended.
    let (stopping, stopped) = watch::channel(false);
    let mut stop = pin!(stop);
    loop {
        let accept = async {
            let (stream, peer) = accept(&listener, &seats).await;
            (stream, peer, seats.take().await)
        };
        let (stream, peer, seat) = tokio::select! {
            accepted = accept => accepted,
            () = &mut stop => break,
        };
        tokio::spawn(attend(stream, peer, seat, router.clone(), limits, stopped.clone()));
    }
    for (stream, peer) in established(listener) {
        let seat = seats.take().await;
        tokio::spawn(attend(stream, peer, seat, router.clone(), limits, stopped.clone()));
    }
    drop(stopped);
    stopping.send_replace(true);
    stopping.closed().await;
}

/// Accepts the next connection. If this fails, for example because the process cannot open more
/// files, closes a waiting connection and tries again to accept the next connection.
async fn accept(listener: &TcpListener, seats: &Seats) -> (TcpStream, SocketAddr) {
    loop {
        let error = match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => error,
        };
        // The client disconnected before it was accepted.
        if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
            continue;
        }
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "cannot accept a connection; the process may have too many open files"
        );
        seats.make_room(Instant::now());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Closes the listener. Returns the connections that clients have established and that were not
/// accepted yet. Otherwise they would be reset, and a proxy that has sent a `POST` on one of them
/// would have to report an error, because it cannot know that the request was not read.
fn established(listener: TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    // The listener of tokio knows only the connections that its last wait has reported.
    let accept = |listener: &std::net::TcpListener| {
        let (stream, peer) = listener.accept()?;
        stream.set_nonblocking(true)?;
        Ok::<_, io::Error>((TcpStream::from_std(stream)?, peer))
    };
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    iter::from_fn(|| accept(&listener).ok()).collect()
}

/// Serves one connection until it ends.
async fn attend(
    stream: TcpStream,
    peer: SocketAddr,
    seat: Seat,
    router: Router,
    limits: Limits,
    mut stopping: watch::Receiver<bool>,
) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.write));
    let seat = Arc::new(seat);
    let service = {
        let seat = Arc::clone(&seat);
        service_fn(move |request| respond(request, peer, Arc::clone(&seat), router.clone(), limits.body))
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_buf_size(limits.read_ahead)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = first_request_is_late(&seat, limits.headers) => return,
        () = seat.cut() => {
            tracing::debug!(%peer, "connection closed to make room for another");
            return;
        }
        () = stop_of(&mut stopping, &seat) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        // This is not a warning, because usually the client caused it, and an operator cannot fix
        // it.
        tracing::debug!(%peer, error = &error as &dyn std::error::Error, "connection failed");
    }
}

/// The time in which the client of a connection that it has just opened sends its first request.
const JUST_OPENED: Duration = Duration::from_secs(1);

/// Completes when the connection must end, because the server stops. hyper then closes a connection
/// on which it has read nothing yet, although the client may have sent a request. So such a
/// connection gets some more time.
async fn stop_of(stopping: &mut watch::Receiver<bool>, seat: &Seat) {
    // An error means that the server is gone. Then the connection ends too.
    drop(stopping.wait_for(|stopping| *stopping).await);
    if !seat.has_begun() {
        tokio::time::sleep(JUST_OPENED).await;
    }
}

/// Completes after `patience` if the connection has not begun a request. If the connection has
/// begun a request, the function never completes.
async fn first_request_is_late(seat: &Seat, patience: Duration) {
    tokio::time::sleep(patience).await;
    if seat.has_begun() {
        pending::<()>().await;
    }
}

/// The error of a request whose connection is being closed to make room for another connection.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is closed to make room for another")
    }
}

impl std::error::Error for Cut {}

async fn respond(
    request: Request<Incoming>,
    peer: SocketAddr,
    seat: Arc<Seat>,
    router: Router,
    patience: Duration,
) -> Result<Response<Body>, Cut> {
    // Only this route is answered without waiting for anything else.
    let is_for_health = request.uri().path() == "/health/live";
    let turn = match seat.begin(is_for_health) {
        Ok(turn) => turn,
        // If the connection is being closed, its client would not receive the response.
        Err(NoTurn::Cut) => return Err(Cut),
        Err(NoTurn::Busy) => return Ok(busy().await),
    };
    let (late, rest) = (Late::default(), Rest::default());
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(ConnectInfo(peer));
    // Such a client sends the body only after the service has asked for it.
    let waits_for_answer = parts.headers.contains_key(header::EXPECT);
    let body = Coming::new(body, Arc::clone(&seat), Instant::now() + patience, late.clone(), rest.clone());
    let handled = SEAT.scope(Arc::clone(&seat), router.oneshot(Request::from_parts(parts, body)));
    let mut response = handled.await.unwrap_or_else(|error: Infallible| match error {});
    if late.is_set() {
        response = too_late().await;
    } else if let Some(rest) = rest.take() {
        // Many clients send the headers and the body separately. If the handler responds without
        // the body, hyper would close the connection without a notice, and the client would lose
        // this response or its next request. So the service reads a short rest first. If the rest
        // is long or late, the response says that the connection ends.
        seat.wait_for_body(Instant::now());
        let is_read = !waits_for_answer && is_read(rest, MOST_REST, REST_PATIENCE).await;
        seat.work();
        if !is_read {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
    Ok(response.map(|body| Body::new(Answer::new(body, turn))))
}

/// The maximum number of bytes that the service reads of a body that no handler needs.
const MOST_REST: usize = 64 * 1024;
/// The maximum time for which the service waits for them.
const REST_PATIENCE: Duration = Duration::from_secs(1);

async fn too_late() -> Response<Body> {
    let detail = "the body of the request did not arrive in time";
    closing(Refusal::new(StatusCode::REQUEST_TIMEOUT, "too_slow", detail)).await
}

async fn busy() -> Response<Body> {
    let detail = "too many requests are in progress; send it again";
    let mut response = closing(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)).await;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// Returns a response after which the connection is closed.
async fn closing(refusal: Refusal) -> Response<Body> {
    let mut response = with_fixed_headers(refusal.into_response()).await;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
