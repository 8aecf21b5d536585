//! The JSON API: what a session does with tokens ([`tokens`]), and what a token opens ([`guard`], [`whoami`]).

pub mod guard;
pub mod models;
pub mod problem;
pub mod tokens;
pub mod whoami;
