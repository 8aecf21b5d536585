//! Tests of pure rules: the text of tokens, the check of one token, policies, and changes of a
//! record. These tests use no store, or a store in memory.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod allocations;
mod attack;
mod check;
mod forgery;
mod format;
#[cfg(all(feature = "axum", feature = "tonic"))]
mod guarded;
mod heap;
mod keys;
mod messages;
mod minted_text;
mod policy;
mod record;
mod scopes;
mod secrecy;
mod text;
