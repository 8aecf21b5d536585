//! What a guard knows of a request beside its token.

use core::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderValue;

use crate::rules::access::{Access, ProjectRequirement};

/// Where a request comes from, and the metadata of what it asks for. A clone copies no text.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) address: Option<IpAddr>,
    /// The value of `User-Agent`.
    pub(super) client: Option<HeaderValue>,
    /// Where the metadata of the resource is.
    pub(super) resource_metadata: Option<Arc<str>>,
}

impl Origin {
    /// Adds it to what the request needs.
    pub(super) fn locate<'a, P: ProjectRequirement>(&'a self, access: Access<'a, P>) -> Access<'a, P> {
        let access = match self.address {
            Some(address) => access.from_address(address),
            None => access,
        };
        match &self.client {
            Some(client) => access.by_client(client.as_bytes()),
            None => access,
        }
    }
}
