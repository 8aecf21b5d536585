//! Real programs as clients of guarded routes: what they send, and what they make of a refusal.

mod cargo;
mod curl;
mod docker;
mod git;
mod packages;
mod server;
