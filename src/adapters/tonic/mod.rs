//! Guards for the services of tonic.

pub(crate) mod framework;
pub(crate) mod layer;
pub(crate) mod methods;
pub(crate) mod request;
mod status;
