//! The token store in a PostgreSQL database.

mod changed;
mod failure;
#[cfg(feature = "cache")]
pub(crate) mod feed;
mod gate;
mod groups;
pub(crate) mod handle;
mod import;
mod lease;
mod maintenance;
mod migrate;
mod patience;
mod plan;
mod read;
mod replica;
mod store;
mod turn;
