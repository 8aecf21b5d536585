//! Guards for the routes of a service, without any web framework. The adapters for frameworks
//! translate requests and responses.

pub(super) mod admit;
pub(crate) mod authenticated;
pub(crate) mod caller;
mod checks;
mod config;
pub(crate) mod framework;
mod grpc;
pub(crate) mod guard;
#[cfg(feature = "token-api")]
pub(crate) mod member;
mod origin;
mod outer;
mod passed;
pub(crate) mod refusal;
mod refusal_of;
#[cfg(any(feature = "actix", feature = "axum", feature = "tonic"))]
pub(crate) mod response;
pub(crate) mod route;
mod rule;
#[cfg(feature = "token-api")]
pub(crate) mod token_api;
