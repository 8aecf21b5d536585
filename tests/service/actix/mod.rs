//! Tests of guarded routes with actix-web, from the request to the response. The answers that all
//! frameworks share are in the tests of axum.

mod places;
mod projects;
mod refusals;
mod secrecy;
pub mod world;
