//! The settings that all routes of one guard share.

use core::fmt;
use core::net::IpAddr;
use std::sync::Arc;

use super::checks::Checks;
use super::framework::Framework;
use crate::words::places::CredentialPlaces;

/// The settings of a guard that depend on no framework.
#[derive(Clone)]
pub(super) struct GuardConfig {
    pub(super) tokens: Arc<dyn Checks>,
    pub(super) realm: Arc<str>,
    pub(super) basic_challenge: bool,
}

/// The settings of a guard that say how a request is read.
pub(super) struct Reading<F: Framework> {
    pub(super) places: Arc<CredentialPlaces>,
    pub(super) credential: Option<Arc<OwnCredential<F::Request>>>,
    pub(super) address: Option<Arc<ClientAddress<F::Request>>>,
    pub(super) resource_metadata: Option<Arc<ResourceMetadata<F::Request>>>,
}

/// A function of the host that returns the text of the token in a request.
pub(super) type OwnCredential<R> = dyn for<'r> Fn(&'r R) -> Option<&'r str> + Send + Sync;

/// A function of the host that returns the client address of a request.
pub(super) type ClientAddress<R> = dyn Fn(&R) -> Option<IpAddr> + Send + Sync;

/// A function of the host that returns the URL of the protected resource's metadata (RFC 9728) for
/// a request.
pub(super) type ResourceMetadata<R> = dyn Fn(&R) -> Option<String> + Send + Sync;

impl<F: Framework> Clone for Reading<F> {
    fn clone(&self) -> Self {
        let Self { places, credential, address, resource_metadata } = self;
        let (credential, address) = (credential.clone(), address.clone());
        Self { places: Arc::clone(places), credential, address, resource_metadata: resource_metadata.clone() }
    }
}

impl fmt::Debug for GuardConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { realm, basic_challenge, .. } = self;
        let mut guard = f.debug_struct("GuardConfig");
        guard.field("realm", realm).field("basic_challenge", basic_challenge).finish_non_exhaustive()
    }
}
