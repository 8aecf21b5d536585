//! A cache over any store, which never answers with what is older than it says.

pub(crate) mod cached;
pub(crate) mod counts;
mod deadline;
pub(crate) mod feed;
#[cfg(test)]
mod interleavings;
mod protocol;
#[cfg(test)]
mod schedules;
mod shards;
#[cfg(test)]
mod waits;
