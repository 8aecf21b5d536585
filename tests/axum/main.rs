//! Guarded routes, from the request to the answer.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod answers;
mod long_lived;
mod places;
mod projects;
#[cfg(feature = "tracing")]
mod secrecy;
mod world;
