//! The requirements of one route.

use super::config::GuardConfig;
use super::origin::Origin;
use super::refusal::Refusal;
use crate::rules::challenge::Challenge;
use crate::rules::scope::Scope;
use crate::rules::verify_error::VerifyError;

/// The scopes that one route requires, with the settings of its guard.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) guard: GuardConfig,
    pub(super) scopes: Box<[Scope]>,
}

impl Rule {
    /// Returns the refusal for a failed verification, with the error as its cause.
    pub(super) fn refusal(&self, error: VerifyError, origin: &Origin) -> Refusal {
        let refusal = self.challenge(error.challenge(), origin);
        refusal.caused_by(error)
    }

    /// Returns a refusal with this challenge. The refusal names the scopes of the route.
    pub(super) fn challenge(&self, challenge: impl Into<Challenge>, origin: &Origin) -> Refusal {
        self.challenge_for(&self.scopes, challenge, origin)
    }

    /// Returns a refusal with this challenge. The refusal names the given scopes instead of the
    /// scopes of the route.
    pub(super) fn challenge_for(&self, scopes: &[Scope], challenge: impl Into<Challenge>, origin: &Origin) -> Refusal {
        let GuardConfig { realm, basic_challenge, .. } = &self.guard;
        let refusal = Refusal::of_challenge(challenge.into(), realm, scopes, origin.resource_metadata.as_deref());
        if *basic_challenge { refusal.with_basic_challenge(realm) } else { refusal }
    }
}
