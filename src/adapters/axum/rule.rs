//! The requirements of one route.

use core::fmt;

use axum::http::HeaderName;

use super::config::GuardConfig;
use super::origin::Origin;
use super::refusal::Refusal;
use crate::rules::challenge::Challenge;
use crate::rules::scope::Scope;
use crate::rules::verify_error::VerifyError;
use crate::words::ids::ProjectId;

/// The project and the scopes that one route requires, with the settings of its guard.
pub(super) struct Rule {
    pub(super) guard: GuardConfig,
    pub(super) project: Project,
    pub(super) scopes: Box<[Scope]>,
}

/// The source from which a guard takes the project id for a request.
#[derive(Debug)]
pub(super) enum Project {
    Path(Box<str>),
    Header(HeaderName),
    Fixed(ProjectId),
    /// The request names no project. The guard uses the project of the token.
    Own,
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
        Refusal::of_challenge(challenge.into(), &self.guard.realm, scopes, origin.resource_metadata.as_deref())
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { guard, project, scopes } = self;
        f.debug_struct("Rule").field("guard", guard).field("project", project).field("scopes", scopes).finish()
    }
}
