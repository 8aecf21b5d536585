//! The time limit for exchanges with the Redis servers, and the pause between two attempts.

use core::time::Duration;

use crate::words::store_error::{StoreError, StoreErrorKind};

/// The longest time that an exchange with the servers may take, including the search for the right
/// server.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The pause before the store repeats what failed for a temporary reason.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// Runs an exchange and fails if it takes longer than [`PATIENCE`].
pub(super) async fn in_time<T>(exchange: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(PATIENCE, exchange).await {
        Ok(answer) => answer,
        Err(waited) => Err(StoreError::with_source(StoreErrorKind::Unavailable, waited)),
    }
}
