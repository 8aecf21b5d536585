//! Tests of guarded services of tonic, with clients of tonic and of Python's library grpcio.

mod calls;
pub mod codec;
mod contents;
mod guards;
mod old;
mod python;
mod server;
mod statuses;
mod streams;
