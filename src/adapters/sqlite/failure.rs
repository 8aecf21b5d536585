//! The mapping of SQLite's errors to [`StoreErrorKind`].

use sqlx::Error;
use sqlx::error::DatabaseError;

use crate::words::store_error::{StoreError, StoreErrorKind};

/// Converts an error of sqlx into a store error. The error of sqlx determines the kind of the store
/// error, and becomes its source.
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

/// Returns whether the error means that another connection holds a lock on the file.
pub(super) fn is_busy(error: &Error) -> bool {
    error.as_database_error().and_then(primary_code) == Some(5)
}

fn primary_code(error: &dyn DatabaseError) -> Option<i32> {
    error.code().and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xff)
}

/// Converts the result code of an error (<https://www.sqlite.org/rescode.html>) into a kind of
/// store error. sqlx reports the extended code, whose low byte is the primary code.
fn of_database(error: &dyn DatabaseError) -> StoreErrorKind {
    if error.is_unique_violation() {
        return StoreErrorKind::Conflict;
    }
    // 1811 is SQLITE_CONSTRAINT_TRIGGER. The schema has no trigger, so an operator has added this
    // one to block writes.
    if error.code().as_deref() == Some("1811") {
        return StoreErrorKind::Unavailable;
    }
    match primary_code(error) {
        // These codes are BUSY, LOCKED, NOMEM, INTERRUPT, IOERR, FULL, CANTOPEN and PROTOCOL.
        Some(5 | 6 | 7 | 9 | 10 | 13 | 14 | 15) => StoreErrorKind::Unavailable,
        // These codes are CORRUPT and NOTADB.
        Some(11 | 26) => StoreErrorKind::Corrupt,
        _ => StoreErrorKind::Other,
    }
}
