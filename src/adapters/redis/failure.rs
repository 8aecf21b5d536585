//! What Redis's errors mean.

use core::error::Error;
use core::fmt;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::replicas::Master;
use crate::words::store_error::{StoreError, StoreErrorKind};

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

/// An operation that is applied on its master, and that a fail-over may undo.
#[derive(Clone, Debug)]
pub(super) enum NotReplicated {
    /// The replica at this address is not connected to its master.
    Disconnected(String),
    /// The replica at this address is connected, but has not acknowledged the operation. It may be taking its first copy.
    Silent(String),
    /// The server that did the operation is no longer the master, or no longer has the history with the operation.
    Succeeded,
    /// The master did not say which replicas there are, or how far they have come.
    Unasked(RedisError),
}

impl NotReplicated {
    /// This replica of a master lacks the operation.
    pub(super) fn of(replica: &str, master: &Master) -> Self {
        if master.is_connected(replica) {
            Self::Silent(replica.to_owned())
        } else {
            Self::Disconnected(replica.to_owned())
        }
    }
}

impl From<NotReplicated> for StoreError {
    fn from(error: NotReplicated) -> Self {
        Self::with_source(StoreErrorKind::Unavailable, error)
    }
}

impl fmt::Display for NotReplicated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("applied on the master, may be lost in a fail-over; repeat: ")?;
        match self {
            Self::Disconnected(replica) => write!(f, "the replica {replica} is not connected to its master"),
            Self::Silent(replica) => write!(f, "the replica {replica} has not acknowledged it"),
            Self::Succeeded => f.write_str("another server became the master meanwhile"),
            Self::Unasked(_) => f.write_str("the master did not say what its replicas have"),
        }
    }
}

impl Error for NotReplicated {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unasked(error) => Some(error),
            Self::Disconnected(_) | Self::Silent(_) | Self::Succeeded => None,
        }
    }
}
