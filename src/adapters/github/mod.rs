//! Deliveries of GitHub's secret scanning: checking their signature, reading them, and replying.
//!
//! The protocol is GitHub's "Secret scanning partner program".

pub(crate) mod public_keys;
pub(crate) mod refusal;
pub(crate) mod webhook;
