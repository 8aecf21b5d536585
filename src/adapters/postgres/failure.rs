//! What PostgreSQL's errors mean.

use sqlx::Error;
use sqlx::error::DatabaseError;

use crate::words::store_error::{StoreError, StoreErrorKind};

/// The error by meaning, with its cause.
pub(super) fn failed(error: Error) -> StoreError {
    let kind = match &error {
        Error::Database(error) => of_database(&**error),
        // A connection that is cut within a message is told as one that breaks the protocol.
        Error::Io(_) | Error::Protocol(_) | Error::PoolTimedOut | Error::PoolClosed | Error::BeginFailed => {
            StoreErrorKind::Unavailable
        }
        Error::ColumnDecode { .. } | Error::Decode(_) => StoreErrorKind::Corrupt,
        _ => StoreErrorKind::Other,
    };
    StoreError::with_source(kind, error)
}

/// Whether the connection was lost: the server has ended it, perhaps while it lay idle.
pub(super) fn is_lost(error: &Error) -> bool {
    match error {
        Error::Io(_) | Error::Protocol(_) => true,
        // Administrator's command; crash of another process; starting up or shutting down.
        Error::Database(error) => matches!(error.code().as_deref(), Some("57P01" | "57P02" | "57P03")),
        _ => false,
    }
}

/// Whether a lock was not had in time, as `lock_timeout` says: another transaction holds it.
pub(super) fn is_held(error: &Error) -> bool {
    matches!(error, Error::Database(error) if error.code().as_deref() == Some(HELD))
}

/// Lock not available.
const HELD: &str = "55P03";

/// By SQLSTATE, <https://www.postgresql.org/docs/current/errcodes-appendix.html>: mostly by its class, the first two
/// characters.
fn of_database(error: &dyn DatabaseError) -> StoreErrorKind {
    if error.is_unique_violation() {
        return StoreErrorKind::Conflict;
    }
    let code = error.code().unwrap_or_default();
    match code.get(..2) {
        // Connection; serialization and deadlock; resources; operator's intervention; system; a standby.
        Some("08" | "40" | "53" | "57" | "58") => StoreErrorKind::Unavailable,
        _ if code == HELD || code == "25006" => StoreErrorKind::Unavailable,
        _ if code == "XX001" || code == "XX002" => StoreErrorKind::Corrupt,
        _ => StoreErrorKind::Other,
    }
}
