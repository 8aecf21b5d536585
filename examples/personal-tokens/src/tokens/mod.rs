//! The operations on tokens that the pages and the JSON API share.

pub mod act;
pub mod aged;
pub mod audit;
pub mod counts;
pub mod expiry;
pub mod gone;
pub mod groups;
pub mod issued;
pub mod key_counts;
pub mod listing;
pub mod names;
pub mod notices;
pub mod own;
pub mod purge;
pub mod refusals;
pub mod scopes;
pub mod trail;
pub mod uses;
pub mod via;
