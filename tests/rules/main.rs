//! The text of tokens, the check of one token, and the rules around it. These tests use no store,
//! or one in memory that counts its calls.

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod allocations;
mod attack;
mod check;
mod forgery;
mod format;
mod heap;
mod keys;
mod messages;
mod policy;
mod record;
mod secrecy;
mod text;
