//! The user whose tokens a request manages.

use crate::rules::scope::ScopeSet;
use crate::words::ids::ProjectId;
use crate::words::text::OwnerId;

/// A signed-in user of your service in one project, who manages their own tokens of this project.
///
/// Your service creates a member for each request, and thereby vouches for three things: a session
/// of the user is valid, the user belongs to the project, and the user has the rights that the
/// scopes stand for. Take the user from the session, never from the request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    owner: OwnerId,
    project: ProjectId,
    scopes: ScopeSet,
}

impl Member {
    /// Creates a member. `scopes` are the scopes that the user may give to a token: a new token has
    /// only scopes that this set [covers](crate::Policy::covers_scopes).
    pub fn new(owner: OwnerId, project: ProjectId, scopes: ScopeSet) -> Self {
        Self { owner, project, scopes }
    }

    /// Returns the owner of the user's tokens.
    pub fn owner(&self) -> &OwnerId {
        &self.owner
    }

    /// Returns the project whose tokens the user manages.
    pub fn project(&self) -> &ProjectId {
        &self.project
    }

    /// Returns the scopes that the user may give to a token.
    pub fn scopes(&self) -> &ScopeSet {
        &self.scopes
    }
}
