//! Refusals as statuses of gRPC.

use std::sync::Arc;

use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use crate::adapters::http::refusal::Refusal;
use crate::adapters::parts;
use crate::rules::error::Error;
use crate::words::invalid::Invalid;

/// Converts the refusal into a status, so that a handler of tonic can use `?` on it. The status has
/// the [code](Refusal::grpc_code) and the detail of the refusal. Its metadata have the reason, and
/// the challenges in `www-authenticate`. The refusal is the source of the status.
impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let metadata = MetadataMap::from_headers(parts::header_map(refusal.grpc_metadata()));
        let code = Code::from(i32::from(refusal.grpc_code()));
        let mut status = Self::with_metadata(code, refusal.detail(), metadata);
        status.set_source(Arc::new(refusal));
        status
    }
}

impl From<Error> for Status {
    /// Converts the error into a [`Refusal`], and the refusal into a status.
    fn from(error: Error) -> Self {
        Refusal::from(error).into()
    }
}

impl From<Invalid> for Status {
    /// Returns a status with the code `INVALID_ARGUMENT` and the reason `invalid`.
    fn from(invalid: Invalid) -> Self {
        Refusal::from(invalid).into()
    }
}
