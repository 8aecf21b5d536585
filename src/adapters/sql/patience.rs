//! The time limit for calls of the stores on a database server.

use core::future::Future;
use core::time::Duration;

use super::lease::Engine;
use crate::words::store_error::{StoreError, StoreErrorKind};

/// The longest time that a call, or each part of a long call, may take, including the wait for a
/// connection.
pub(in crate::adapters) const PATIENCE: Duration = Duration::from_secs(5);

/// Runs a query, and fails if it takes longer than [`PATIENCE`], so that a server that does not
/// reply cannot block the caller.
pub(in crate::adapters) async fn within<E: Engine, T>(
    act: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    in_time(async { act.await.map_err(E::failed) }).await
}

pub(in crate::adapters) async fn in_time<T>(act: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let done = tokio::time::timeout(PATIENCE, act).await;
    done.unwrap_or_else(|waited| Err(StoreError::with_source(StoreErrorKind::Unavailable, waited)))
}
