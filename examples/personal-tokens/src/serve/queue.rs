//! Lets a request wait in a queue of the service without holding its connection's seat against
//! others.

use std::sync::Arc;

use tokio::task_local;
use tokio::time::Instant;

use super::seats::Seat;

task_local! {
    /// The seat of the connection whose request the task handles.
    pub(super) static SEAT: Arc<Seat>;
}

/// Waits for `turn` in a queue of the service. If connections run out meanwhile, the one of this
/// request may be closed for another.
///
/// Each wait for other requests has to go through this. Otherwise requests that wait could take all
/// connections, and the service would not answer anybody until they have had their turn.
pub async fn queued<T>(turn: impl Future<Output = T>) -> T {
    // Outside of a connection, as in tests of the router alone, there is no seat.
    let _waiting = SEAT.try_with(|seat| Waiting::new(Arc::clone(seat)));
    turn.await
}

/// The time in the queue.
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
