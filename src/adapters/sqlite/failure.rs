//! What SQLite's errors mean.

use sqlx::Error;
use sqlx::error::DatabaseError;

use crate::words::store_error::{StoreError, StoreErrorKind};

/// The error by meaning, with its cause.
pub(super) fn failed(error: Error) -> StoreError {
    let kind = match &error {
        Error::Database(error) => of_database(&**error),
        Error::Io(_) | Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed | Error::BeginFailed => {
            StoreErrorKind::Unavailable
        }
        Error::ColumnDecode { .. } | Error::Decode(_) => StoreErrorKind::Corrupt,
        _ => StoreErrorKind::Other,
    };
    StoreError::with_source(kind, error)
}

/// Whether somebody else holds a lock on the file.
pub(super) fn is_busy(error: &Error) -> bool {
    error.as_database_error().and_then(primary_code) == Some(5)
}

fn primary_code(error: &dyn DatabaseError) -> Option<i32> {
    error.code().and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xff)
}

/// By result code, <https://www.sqlite.org/rescode.html>; sqlx gives the extended one, whose low byte is the primary.
fn of_database(error: &dyn DatabaseError) -> StoreErrorKind {
    if error.is_unique_violation() {
        return StoreErrorKind::Conflict;
    }
    // CONSTRAINT_TRIGGER: the schema has no trigger, so it is one by which the operator keeps the tokens as they are.
    if error.code().as_deref() == Some("1811") {
        return StoreErrorKind::Unavailable;
    }
    match primary_code(error) {
        // BUSY, LOCKED, NOMEM, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL.
        Some(5 | 6 | 7 | 9 | 10 | 13 | 14 | 15) => StoreErrorKind::Unavailable,
        // CORRUPT, NOTADB.
        Some(11 | 26) => StoreErrorKind::Corrupt,
        _ => StoreErrorKind::Other,
    }
}
