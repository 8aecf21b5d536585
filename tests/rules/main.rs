//! Tokens as text, the checks of one token and the rules about it: no store, or one in memory that only counts.

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
