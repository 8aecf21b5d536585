//! What Redis's errors mean.

use core::error::Error;
use core::fmt;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::service::store_error::{StoreError, StoreErrorKind};

/// What a script raises where a row is not as it must be.
const CORRUPT_ROW: &str = "keyfob: corrupt row";

/// The error by meaning, with its cause.
pub(super) fn failed(error: RedisError) -> StoreError {
    let kind = match error.kind() {
        ErrorKind::Io | ErrorKind::ClusterConnectionNotFound => StoreErrorKind::Unavailable,
        ErrorKind::Server(
            ServerErrorKind::Moved
            | ServerErrorKind::Ask
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::BusyLoading
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ReadOnly,
        ) => StoreErrorKind::Unavailable,
        ErrorKind::Server(ServerErrorKind::ResponseError)
            if error.detail().is_some_and(|detail| detail.contains(CORRUPT_ROW)) =>
        {
            StoreErrorKind::Corrupt
        }
        _ => match error.code() {
            // Out of memory, a disk that does not write, too few replicas, another script that takes too long, a link to a
            // master that is down.
            Some("OOM" | "MISCONF" | "NOREPLICAS" | "BUSY" | "UNBLOCKED") => StoreErrorKind::Unavailable,
            // A key of another type than ours.
            Some("WRONGTYPE") => StoreErrorKind::Corrupt,
            _ => StoreErrorKind::Other,
        },
    };
    StoreError::with_source(kind, error)
}

/// Whether the server refused a command unseen, for a reason that passes as soon as the client knows the cluster's new shape, or
/// a slot has arrived where it moves to.
pub(super) fn is_misrouted(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(
            ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::TryAgain | ServerErrorKind::ReadOnly
        )
    )
}

/// Whether the server does not know a script by its hash.
pub(super) fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// A value does not fit its type. No cause echoes it.
pub(super) fn corrupt(error: impl Into<Box<dyn Error + Send + Sync>>) -> StoreError {
    StoreError::with_source(StoreErrorKind::Corrupt, error)
}

/// An act that a fail-over might undo.
#[derive(Debug)]
pub(super) struct NotReplicated;

impl fmt::Display for NotReplicated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no replica has acknowledged the act, which may be lost with its master")
    }
}

impl Error for NotReplicated {}
