//! The JSON API: the routes with which signed-in people manage tokens ([`tokens`]), and the routes
//! that require a token ([`guard`], [`whoami`]) or accept one ([`token_or_session`]).
//!
//! [`routes`] lists all routes, and [`openapi`] describes them. Tests check that the list and the
//! description agree.

pub mod delegate;
pub mod error;
pub mod extract;
pub mod guard;
pub mod models;
pub mod objects;
pub mod openapi;
pub mod resource;
pub mod routes;
pub mod token_or_session;
pub mod tokens;
pub mod whoami;
