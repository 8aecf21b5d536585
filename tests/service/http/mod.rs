//! The answers of guarded routes: one table of requests and answers, which runs through each web
//! framework.

#[cfg(feature = "actix")]
mod actix;
#[cfg(feature = "axum")]
mod axum;
mod rows;
pub mod table;
#[cfg(feature = "tonic")]
mod tonic;
pub mod world;
