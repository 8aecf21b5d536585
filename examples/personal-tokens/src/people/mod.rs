//! Who uses the service: people, their projects, and whether a token's owner still counts.

pub mod accounts;
pub mod owners;
pub mod projects;
