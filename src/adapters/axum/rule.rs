//! What one route needs of a request.

use core::fmt;

use axum::http::HeaderName;

use super::config::GuardConfig;
use super::origin::Origin;
use super::refusal::Refusal;
use crate::rules::challenge::Challenge;
use crate::rules::scope::Scope;
use crate::tokens::verify_error::VerifyError;
use crate::words::ids::ProjectId;

/// The demand of one route.
pub(super) struct Rule {
    pub(super) guard: GuardConfig,
    pub(super) project: Project,
    pub(super) scopes: Box<[Scope]>,
}

/// Where a request says which project it is about.
#[derive(Debug)]
pub(super) enum Project {
    Path(Box<str>),
    Header(HeaderName),
    Fixed(ProjectId),
    /// Nowhere: the token's own will do.
    Own,
}

impl Rule {
    /// What to answer where a check fails.
    pub(super) fn refusal(&self, error: VerifyError, origin: &Origin) -> Refusal {
        let refusal = self.challenge(error.challenge(), origin);
        refusal.caused_by(error)
    }

    /// What to answer to a request that does not have what the route needs.
    pub(super) fn challenge(&self, challenge: impl Into<Challenge>, origin: &Origin) -> Refusal {
        self.challenge_for(&self.scopes, challenge, origin)
    }

    /// The same, if it needs these scopes instead.
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
