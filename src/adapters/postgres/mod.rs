//! The token store in a PostgreSQL database.

mod engine;
mod failure;
#[cfg(feature = "cache")]
pub(crate) mod feed;
pub(crate) mod handle;
mod import;
mod maintenance;
mod migrate;
mod plan;
mod read;
mod replica;
mod store;

use crate::adapters::sql::{changed, patience};
