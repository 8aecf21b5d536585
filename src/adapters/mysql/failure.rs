//! The mapping of MariaDB's and MySQL's errors to [`StoreErrorKind`].

use sqlx::Error;
use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;

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
        Error::Io(_)
        | Error::Protocol(_)
        | Error::PoolTimedOut
        | Error::PoolClosed
        | Error::BeginFailed
        | Error::WorkerCrashed => StoreErrorKind::Unavailable,
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
        // The server shuts down, an administrator or a time limit has closed the connection.
        Error::Database(error) => matches!(number(&**error), Some(1053 | 1927 | 4031)),
        _ => false,
    }
}

/// Returns whether a `SELECT … FOR UPDATE NOWAIT` found the row locked. MariaDB reports this as the
/// end of a wait. MySQL has a number of its own for it.
pub(super) fn is_held(error: &Error) -> bool {
    matches!(error, Error::Database(error) if matches!(number(&**error), Some(1205 | 3572)))
}

/// Returns whether the server has rolled the transaction back to end a deadlock, so that the call
/// can begin again.
pub(super) fn is_deadlock(error: &StoreError) -> bool {
    let source = core::error::Error::source(error).and_then(|source| source.downcast_ref::<Error>());
    matches!(source, Some(Error::Database(error)) if number(&**error) == Some(1213))
}

/// Returns whether the user lacks a privilege for the statement.
pub(super) fn is_denied(error: &Error) -> bool {
    matches!(error, Error::Database(error) if matches!(number(&**error), Some(1044 | 1142 | 1143)))
}

fn number(error: &dyn DatabaseError) -> Option<u16> {
    error.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}

/// Returns the kind of store error for an error that the server reported. The kind depends on the
/// number of the error (<https://mariadb.com/kb/en/mariadb-error-code-reference/>).
fn of_database(error: &dyn DatabaseError) -> StoreErrorKind {
    if error.is_unique_violation() {
        return StoreErrorKind::Conflict;
    }
    match number(error) {
        // The server has no memory, disk or connections left.
        Some(1021 | 1037 | 1038 | 1040 | 1041 | 1114 | 1135 | 1203 | 1226) => StoreErrorKind::Unavailable,
        // The server starts or shuts down, has lost the client, or is not part of its cluster.
        Some(1047 | 1053 | 1152 | 1158..=1161 | 1180 | 1184 | 1927 | 4031) => StoreErrorKind::Unavailable,
        // A lock is held for too long, a deadlock, or a time limit for statements.
        Some(1205 | 1213 | 1317 | 1969 | 3024 | 3572) => StoreErrorKind::Unavailable,
        // The server is read-only.
        Some(1290 | 1792 | 1836) => StoreErrorKind::Unavailable,
        // A table or an index is damaged.
        Some(126 | 127 | 1034 | 1035 | 1194 | 1195 | 1712 | 1877) => StoreErrorKind::Corrupt,
        _ => StoreErrorKind::Other,
    }
}
