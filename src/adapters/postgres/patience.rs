//! The time limit for calls of the PostgreSQL store.

use core::future::Future;
use core::time::Duration;

use super::failure::failed;
use crate::words::store_error::{StoreError, StoreErrorKind};

/// The longest time that a call, or each part of a long call, may take, including the wait for a
/// connection.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Runs a query, and fails if it takes longer than [`PATIENCE`], so that a server that does not
/// reply cannot block the caller.
pub(super) async fn within<T>(act: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    in_time(async { act.await.map_err(failed) }).await
}

pub(super) async fn in_time<T>(act: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let done = tokio::time::timeout(PATIENCE, act).await;
    done.unwrap_or_else(|waited| Err(StoreError::with_source(StoreErrorKind::Unavailable, waited)))
}
