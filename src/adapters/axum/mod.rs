//! Guards for the routes of axum.

mod extract;
pub(crate) mod framework;
pub(crate) mod layer;
mod path;
mod respond;
#[cfg(feature = "token-api")]
pub(crate) mod token_api;
