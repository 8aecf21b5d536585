//! Code that handles deliveries from GitHub's secret scanning: it checks the signature, reads the
//! reports and creates the response.
//!
//! GitHub describes the protocol in its "Secret scanning partner program".

pub(crate) mod others;
pub(crate) mod public_keys;
pub(crate) mod refusal;
pub(crate) mod webhook;
