//! Leak: tokens found in text, kept out of logs, and reported. It imports words only.

#[cfg(feature = "leak")]
mod encoded;
pub(crate) mod finder;
mod heads;
#[cfg(feature = "tracing-subscriber")]
pub(crate) mod log;
pub(crate) mod redactor;
#[cfg(feature = "leak")]
pub(crate) mod report;
pub(crate) mod scanner_rules;
