//! The token store in a MariaDB or MySQL database.

mod engine;
mod failure;
pub(crate) mod handle;
mod import;
mod maintenance;
mod migrate;
mod read;
mod session;
mod settings;
mod store;
