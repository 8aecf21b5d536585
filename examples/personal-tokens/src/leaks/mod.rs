//! Leaked tokens: the routes that receive reports ([`reports`], [`github`]), the rates of reporters
//! ([`reporter`]), and what owners see ([`told`]).

pub mod deliveries;
pub mod github;
pub mod reporter;
pub mod reports;
pub mod told;
