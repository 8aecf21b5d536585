//! Tokens that were found where they should not be: who reports them ([`reports`], [`github`]), and how their owners hear of it
//! ([`told`]).

pub mod github;
pub mod reports;
pub mod told;
