//! A cache in front of a store. The cache returns no record that is older than a given bound.

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
