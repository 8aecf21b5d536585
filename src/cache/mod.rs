//! A cache over any store. Each record it returns is at most as old as the stated bound.

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
