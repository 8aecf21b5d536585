//! Guards for the resources and scopes of actix-web.

mod extract;
pub(crate) mod framework;
pub(crate) mod middleware;
mod respond;
#[cfg(feature = "token-api")]
pub(crate) mod token_api;
