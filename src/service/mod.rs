//! Service: the store contract, and what runs on it.

#[cfg(feature = "conformance")]
pub mod conformance;
pub(crate) mod cursor;
pub(crate) mod forward;
pub(crate) mod import;
pub(crate) mod imported;
pub(crate) mod memory;
pub(crate) mod query;
pub(crate) mod store;
pub(crate) mod store_error;
pub(crate) mod tokens;
