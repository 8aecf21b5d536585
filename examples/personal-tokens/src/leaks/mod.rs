//! Tokens that were found where they should not be: who reports them ([`reports`], [`github`]) and
//! how often ([`reporter`]), and how their owners hear of it ([`told`]).

pub mod deliveries;
pub mod github;
pub mod reporter;
pub mod reports;
pub mod told;
