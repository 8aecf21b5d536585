//! Tests of guarded routes with axum, from the request to the response.

mod answers;
mod beside;
mod inner;
mod long_lived;
mod places;
mod projects;
mod refusals;
#[cfg(feature = "tracing")]
mod secrecy;
mod waiting;
pub mod world;
