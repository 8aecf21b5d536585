//! The token store in a SQLite file.

mod engine;
mod failure;
pub(crate) mod handle;
mod import;
mod maintenance;
mod migrate;
#[cfg(all(test, feature = "conformance"))]
mod mutants;
#[cfg(test)]
mod plans;
mod store;
