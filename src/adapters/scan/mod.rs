//! What leaks: tokens found in text, and kept out of logs.

pub(crate) mod finder;
mod heads;
#[cfg(feature = "tracing-subscriber")]
pub(crate) mod log;
pub(crate) mod redactor;
pub(crate) mod rules;
