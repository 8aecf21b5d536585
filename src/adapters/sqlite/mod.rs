//! A store on embedded SQLite.

mod failure;
pub(crate) mod handle;
mod import;
mod maintenance;
#[cfg(test)]
mod plans;
mod store;
