//! Guards for the routes of axum.

mod extract;
pub(crate) mod framework;
mod layer;
mod respond;
