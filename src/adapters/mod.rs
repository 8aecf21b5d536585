//! Adapters to engines and frameworks, each behind a feature of its own.

#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;
#[cfg(feature = "tracing")]
pub(crate) mod tracing;
