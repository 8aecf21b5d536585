//! The JSON API: the operations of a session on tokens ([`tokens`]), and the routes that a token
//! opens ([`guard`], [`whoami`]).
//!
//! [`routes`] lists all routes, and [`openapi`] describes them. Tests compare the two.

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
