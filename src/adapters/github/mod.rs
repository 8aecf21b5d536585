//! The handling of deliveries from GitHub's secret scanning: the check of the signature, the
//! reading of the reports, and the response.
//!
//! GitHub describes the protocol in its "Secret scanning partner program".

pub(crate) mod public_keys;
pub(crate) mod refusal;
pub(crate) mod webhook;
