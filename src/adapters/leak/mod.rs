//! Reports of leaked tokens, by whomever.

mod encoded;
pub(crate) mod report;
