//! The properties of a request that a guard uses, except the token.

use core::net::IpAddr;
use std::sync::Arc;

use crate::rules::access::{Access, ProjectRequirement};

/// The client of a request, and the URL of the metadata of the requested resource. Cloning this
/// value copies no text.
#[derive(Clone)]
pub(super) struct Origin {
    pub(super) address: Option<IpAddr>,
    /// The value of the `User-Agent` header, if the service records it and the token is verified.
    pub(super) client: Option<Arc<[u8]>>,
    /// The URL of the metadata of the resource.
    pub(super) resource_metadata: Option<Arc<str>>,
}

impl Origin {
    /// Adds the address and the `User-Agent` of the client to `access`, which describes the
    /// requirements of the request.
    pub(super) fn locate<'a, P: ProjectRequirement>(
        &self,
        access: Access<'a, P>,
        client: Option<&'a [u8]>,
    ) -> Access<'a, P> {
        let access = match self.address {
            Some(address) => access.from_address(address),
            None => access,
        };
        match client {
            Some(client) => access.by_client(client),
            None => access,
        }
    }
}
