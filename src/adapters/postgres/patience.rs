//! The time that a call has.

use core::future::Future;
use core::time::Duration;

use super::failure::failed;
use crate::words::store_error::{StoreError, StoreErrorKind};

/// How long a call, or each part of a long one, may take, the wait for a connection with it.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Gives up on what takes too long: a server that answers no more holds nobody.
pub(super) async fn within<T>(act: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    in_time(async { act.await.map_err(failed) }).await
}

pub(super) async fn in_time<T>(act: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let done = tokio::time::timeout(PATIENCE, act).await;
    done.unwrap_or_else(|waited| Err(StoreError::with_source(StoreErrorKind::Unavailable, waited)))
}
