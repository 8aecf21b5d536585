//! Adapters that connect keyfob to databases, web frameworks, GitHub and `tracing`. Each adapter
//! has a Cargo feature of its own. `http` is the part that all web frameworks share.

#[cfg(feature = "actix")]
pub(crate) mod actix;
#[cfg(feature = "axum")]
pub(crate) mod axum;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "redis"))]
mod fault;
#[cfg(feature = "github")]
pub(crate) mod github;
#[cfg(any(feature = "axum", feature = "tonic"))]
mod guarded_future;
#[cfg(feature = "service")]
pub(crate) mod http;
#[cfg(feature = "mysql")]
pub(crate) mod mysql;
#[cfg(feature = "utoipa")]
pub(crate) mod openapi;
#[cfg(any(feature = "axum", feature = "tonic"))]
mod parts;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(feature = "redis")]
pub(crate) mod redis;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
pub(crate) mod sql;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;
#[cfg(all(feature = "tls", any(feature = "postgres", feature = "mysql", feature = "redis")))]
mod tls;
#[cfg(feature = "tonic")]
pub(crate) mod tonic;
#[cfg(feature = "tracing")]
pub(crate) mod tracing;
