//! Guarding the routes of axum and tower services.

pub(crate) mod authenticated;
pub(crate) mod guard;
pub(crate) mod layer;
pub(crate) mod refusal;
mod refusal_of;
mod rule;
