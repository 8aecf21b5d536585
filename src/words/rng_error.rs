//! A random number generator that failed.

/// The random number generator failed. What is public turns it into an error of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RngError;
