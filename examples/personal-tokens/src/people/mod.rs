//! The users of the service: people, their projects, and whether the owner of a token may still use
//! the token.

pub mod accounts;
pub mod guesses;
pub mod limits;
pub mod owners;
pub mod projects;
