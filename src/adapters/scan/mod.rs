//! What leaks: tokens found in text, and kept out of logs.

pub(crate) mod rules;
