//! A store in an embedded SQLite database.

mod failure;
pub(crate) mod handle;
mod import;
mod maintenance;
#[cfg(test)]
mod plans;
mod store;
