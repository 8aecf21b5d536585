//! Lets a request wait in a queue of the service. While the request waits, its connection may be
//! closed to make room for a new connection.

use std::sync::Arc;

use tokio::task_local;
use tokio::time::Instant;

use super::seats::Seat;

task_local! {
    /// The seat of the connection whose request the current task handles. Each connection takes one
    /// of the limited seats.
    pub(super) static SEAT: Arc<Seat>;
}

/// Waits until `turn` completes. During this wait, the current request counts as queued. If all
/// connections are in use and a new client connects, the service may close the connection of a
/// queued request to make room for the new one.
///
/// Use this function whenever a request has to wait for other requests. Requests that wait without
/// this function could take all connections. The service would then not respond to any other
/// request until they are done.
pub async fn queued<T>(turn: impl Future<Output = T>) -> T {
    // There is no seat outside a connection, for example in tests of the router alone.
    let _waiting = SEAT.try_with(|seat| Waiting::new(Arc::clone(seat)));
    turn.await
}

/// A guard that marks a connection as waiting in a queue. Dropping the guard removes the mark.
struct Waiting(Arc<Seat>);

impl Waiting {
    fn new(seat: Arc<Seat>) -> Self {
        seat.wait_in_queue(Instant::now());
        Self(seat)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.work();
    }
}
