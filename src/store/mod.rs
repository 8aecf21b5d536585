//! Store: the contract with a store, and the store in memory.

pub(crate) mod contract;
pub(crate) mod cursor;
pub(crate) mod erased;
pub(crate) mod memory;
pub(crate) mod query;
