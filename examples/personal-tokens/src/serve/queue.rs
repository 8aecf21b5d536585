//! Lets a request wait in a queue of the service. Meanwhile its connection may be closed for a new
//! one.

use std::sync::Arc;

use tokio::task_local;
use tokio::time::Instant;

use super::seats::Seat;

task_local! {
    /// The seat of the connection whose request the task handles.
    pub(super) static SEAT: Arc<Seat>;
}

/// Waits for `turn` in a queue of the service. If connections run out meanwhile, the connection of
/// this request may be closed for another.
///
/// Every wait for other requests has to go through this function. Otherwise waiting requests could
/// take all connections, and the service would answer no other request until their turn has come.
pub async fn queued<T>(turn: impl Future<Output = T>) -> T {
    // There is no seat outside a connection, for example in tests of the router alone.
    let _waiting = SEAT.try_with(|seat| Waiting::new(Arc::clone(seat)));
    turn.await
}

/// The time of a request in a queue. Dropping it ends the wait.
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
