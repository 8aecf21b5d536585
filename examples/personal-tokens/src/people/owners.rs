//! Reports to keyfob, at each verification of a token, whether the token's owner may still act in
//! the token's project.

use keyfob::{
    OwnerId, ProjectId,
    owners::{OwnerState, Owners, OwnersError},
};
use sqlx::SqlitePool;

use crate::people::accounts;
use crate::people::projects::Projects;

/// The source from which keyfob reads the state of an owner. It queries the database each time, so
/// that a suspension or a lost membership takes effect at the next request.
pub struct TokenOwners {
    pool: SqlitePool,
    projects: Projects,
}

impl TokenOwners {
    pub fn new(pool: SqlitePool) -> Self {
        Self { projects: Projects::new(pool.clone()), pool }
    }
}

impl Owners for TokenOwners {
    async fn state(&self, owner: &OwnerId, project: &ProjectId) -> Result<OwnerState, OwnersError> {
        let user = accounts::find(&self.pool, owner.as_str().parse()?).await?;
        let Some(user) = user.filter(|user| !user.suspended) else { return Ok(OwnerState::Suspended) };
        match self.projects.find_of_user(user.id, project.as_str().parse()?).await? {
            Some(_) => Ok(OwnerState::Active),
            None => Ok(OwnerState::OutsideProject),
        }
    }
}
