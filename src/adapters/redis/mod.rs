//! The token store on Redis, in a cluster or on a single server.

mod connection;
pub(crate) mod durability;
mod failure;
#[cfg(feature = "cache")]
pub(crate) mod feed;
mod group;
pub(crate) mod handle;
mod list;
mod maintenance;
pub(crate) mod options;
mod patience;
mod replicas;
mod rounds;
mod row;
mod script;
mod servers;
mod settings;
mod shared;
mod store;
mod walk;
