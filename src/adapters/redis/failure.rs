//! The mapping of Redis's errors to [`StoreErrorKind`].

use core::error::Error;
use core::fmt;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::replicas::Master;
use crate::words::store_error::{StoreError, StoreErrorKind};

/// The text of the error that a script raises if a row is corrupt.
const CORRUPT_ROW: &str = "keyfob: corrupt row";

/// Converts an error of the crate `redis` into a store error. The error of `redis` determines the
/// kind of the store error, and becomes its source.
pub(super) fn failed(error: RedisError) -> StoreError {
    #[cfg(feature = "tls")]
    if let Some(error) = crate::adapters::tls::failed(&error) {
        return error;
    }
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
            // Out of memory; a disk that cannot be written; too few replicas; a script that runs
            // for too long; a blocked client whose server has become a replica.
            Some("OOM" | "MISCONF" | "NOREPLICAS" | "BUSY" | "UNBLOCKED") => StoreErrorKind::Unavailable,
            // The value of the key has another type than the store writes.
            Some("WRONGTYPE") => StoreErrorKind::Corrupt,
            _ => StoreErrorKind::Other,
        },
    };
    StoreError::with_source(kind, error)
}

/// Returns whether the server refused a command without running it, for a temporary reason: the
/// client does not know the cluster's new topology yet, or the slot is moving to another node.
pub(super) fn is_misrouted(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(
            ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::TryAgain | ServerErrorKind::ReadOnly
        )
    )
}

/// Returns whether the server does not know a script by its hash.
pub(super) fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// Returns the store error for a stored value that does not fit its type. `error` must not contain
/// the value.
pub(super) fn corrupt(error: impl Into<Box<dyn Error + Send + Sync>>) -> StoreError {
    StoreError::with_source(StoreErrorKind::Corrupt, error)
}

/// The reason why a fail-over may undo an operation that the master has applied.
#[derive(Clone, Debug)]
pub(super) enum NotReplicated {
    /// The replica at this address is not connected to its master.
    Disconnected(String),
    /// The replica at this address is connected, but has not acknowledged the operation. It may
    /// still be copying the data of its master.
    Silent(String),
    /// The server that ran the operation is no longer the master, or it has begun another stream of
    /// writes, which may lack the operation.
    Succeeded,
    /// The master did not report which replicas it has, or which writes they have.
    Unasked(RedisError),
}

impl NotReplicated {
    /// Returns the reason why a replica lacks an operation, according to the report of the
    /// replica's master.
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
            Self::Unasked(_) => f.write_str("the master did not report what its replicas have"),
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
