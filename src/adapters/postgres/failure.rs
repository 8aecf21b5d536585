//! The mapping of PostgreSQL's errors to [`StoreErrorKind`].

use sqlx::Error;
use sqlx::error::DatabaseError;

use crate::words::store_error::{StoreError, StoreErrorKind};

/// Converts an error of sqlx into a store error. The error of sqlx determines the kind of the store
/// error, and becomes its source.
pub(super) fn failed(error: Error) -> StoreError {
    #[cfg(feature = "tls")]
    if let Some(error) = crate::adapters::tls::failed(&error) {
        return error;
    }
    let kind = match &error {
        Error::Database(error) => of_database(&**error),
        // sqlx reports a connection that is cut within a message as a protocol error.
        Error::Io(_) | Error::Protocol(_) | Error::PoolTimedOut | Error::PoolClosed | Error::BeginFailed => {
            StoreErrorKind::Unavailable
        }
        Error::ColumnDecode { .. } | Error::Decode(_) => StoreErrorKind::Corrupt,
        _ => StoreErrorKind::Other,
    };
    StoreError::with_source(kind, error)
}

/// Returns whether the error means that the connection was lost. The server may have closed the
/// connection while it was idle.
pub(super) fn is_lost(error: &Error) -> bool {
    match error {
        Error::Io(_) | Error::Protocol(_) => true,
        // The SQLSTATEs for an administrator's command, for the crash of another server process,
        // and for a start or shutdown of the server.
        Error::Database(error) => matches!(error.code().as_deref(), Some("57P01" | "57P02" | "57P03")),
        _ => false,
    }
}

/// Returns whether `lock_timeout` ended the statement, because another transaction holds the lock.
pub(super) fn is_held(error: &Error) -> bool {
    matches!(error, Error::Database(error) if error.code().as_deref() == Some(HELD))
}

/// The SQLSTATE of `lock_not_available`, the error with which `lock_timeout` ends a statement.
const HELD: &str = "55P03";

/// Returns the kind of store error for an error that PostgreSQL reported. The kind depends on the
/// SQLSTATE of the error (<https://www.postgresql.org/docs/current/errcodes-appendix.html>). In
/// most cases, the kind depends only on the class: the first two characters of the SQLSTATE.
fn of_database(error: &dyn DatabaseError) -> StoreErrorKind {
    if error.is_unique_violation() {
        return StoreErrorKind::Conflict;
    }
    let code = error.code().unwrap_or_default();
    match code.get(..2) {
        // These classes are connection errors, serialization failures and deadlocks, lack of
        // resources, operator intervention, and system errors.
        Some("08" | "40" | "53" | "57" | "58") => StoreErrorKind::Unavailable,
        _ if code == HELD || code == "25006" => StoreErrorKind::Unavailable,
        _ if code == "XX001" || code == "XX002" => StoreErrorKind::Corrupt,
        _ => StoreErrorKind::Other,
    }
}
