//! What people do with their tokens, and what is written down about it. The pages and the JSON API both stand on it.

pub mod audit;
pub mod expiry;
pub mod groups;
pub mod issued;
pub mod listing;
pub mod names;
pub mod notices;
pub mod own;
pub mod purge;
pub mod refusals;
pub mod scopes;
