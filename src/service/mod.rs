//! Service: the store contract, and what runs on it.

#[cfg(feature = "cache")]
pub(crate) mod cache;
pub(crate) mod change;
#[cfg(feature = "conformance")]
pub mod conformance;
pub(crate) mod cursor;
pub(crate) mod dry_run;
mod emit;
pub(crate) mod events;
pub(crate) mod forward;
pub(crate) mod import;
pub(crate) mod imported;
pub(crate) mod issue;
pub(crate) mod keys;
pub(crate) mod leak;
pub(crate) mod memory;
pub(crate) mod notices;
pub(crate) mod owners;
pub(crate) mod projects;
pub(crate) mod purge;
pub(crate) mod query;
pub(crate) mod revoke;
pub(crate) mod rotate;
mod sampler;
pub(crate) mod store;
pub(crate) mod store_error;
pub(crate) mod tokens;
pub(crate) mod usage;
pub(crate) mod verify;
