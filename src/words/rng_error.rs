//! The error of a random number generator.

/// The error of a random number generator that failed. Public functions convert it into their own
/// error types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RngError;
