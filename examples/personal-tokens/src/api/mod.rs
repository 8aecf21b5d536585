//! The JSON API: what a session does with tokens ([`tokens`]), and what a token opens ([`guard`], [`whoami`]).
//!
//! [`routes`] lists all of it, and [`openapi`] describes it; the tests hold the two together.

pub mod delegate;
pub mod error;
pub mod extract;
pub mod guard;
pub mod models;
pub mod objects;
pub mod openapi;
pub mod resource;
pub mod routes;
pub mod tokens;
pub mod whoami;
