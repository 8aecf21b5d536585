//! Guards for the routes of axum and tower services.

mod admit;
pub(crate) mod authenticated;
mod checks;
mod config;
pub(crate) mod guard;
pub(crate) mod layer;
mod origin;
pub(crate) mod refusal;
mod refusal_of;
mod rule;
