//! A cache over any store, which never answers with what is older than it says.

pub(crate) mod cached;
pub(crate) mod counts;
mod deadline;
pub(crate) mod feed;
mod held;
#[cfg(test)]
mod interleavings;
mod protocol;
mod recent;
#[cfg(test)]
mod schedules;
mod shards;
mod store;
#[cfg(test)]
mod waits;
mod writing;
