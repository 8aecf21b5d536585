//! The reports of GitHub's secret scanning: who may send them, what they say, and what is answered.
//!
//! The protocol is GitHub's "Secret scanning partner program".

pub(crate) mod public_keys;
pub(crate) mod refusal;
pub(crate) mod webhook;
