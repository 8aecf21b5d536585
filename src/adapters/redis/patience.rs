//! The time that an exchange with the servers has.

use core::time::Duration;

use crate::words::store_error::{StoreError, StoreErrorKind};

/// How long an exchange with the servers may take, with all that it takes to find the right one.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Ends an exchange that takes too long.
pub(super) async fn in_time<T>(exchange: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(PATIENCE, exchange).await {
        Ok(answer) => answer,
        Err(waited) => Err(StoreError::with_source(StoreErrorKind::Unavailable, waited)),
    }
}
