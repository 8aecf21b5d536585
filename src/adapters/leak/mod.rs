//! Reports of leaked tokens, by whomever.

pub(crate) mod report;
