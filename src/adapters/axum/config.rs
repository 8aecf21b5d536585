//! The settings that all routes of one guard share.

use core::fmt;
use core::net::IpAddr;
use std::sync::Arc;

use axum::http::request::Parts;

use super::checks::Checks;

/// The settings of a [`Guard`](crate::axum::Guard). Each layer of the guard has a copy.
#[derive(Clone)]
pub(super) struct GuardConfig {
    pub(super) tokens: Arc<dyn Checks>,
    pub(super) realm: Arc<str>,
    pub(super) api_key: bool,
    pub(super) address: Option<Arc<ClientAddress>>,
    pub(super) resource_metadata: Option<Arc<ResourceMetadata>>,
}

/// A function of the host that returns the client address of a request.
pub(super) type ClientAddress = dyn Fn(&Parts) -> Option<IpAddr> + Send + Sync;

/// A function of the host that returns the URL of the protected resource's metadata (RFC 9728) for
/// a request.
pub(super) type ResourceMetadata = dyn Fn(&Parts) -> Option<String> + Send + Sync;

impl fmt::Debug for GuardConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { realm, api_key, .. } = self;
        f.debug_struct("Guard").field("realm", realm).field("api_key", api_key).finish_non_exhaustive()
    }
}
