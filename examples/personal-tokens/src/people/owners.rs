//! Reports to keyfob, at each verification of a token, whether the token's owner may still act in
//! the token's project.

use std::collections::HashMap;

use keyfob::{
    OwnerId, ProjectId,
    owners::{OwnerState, Owners, OwnersError},
};

use crate::db::{Db, Truth, query};
use crate::people::accounts;
use crate::people::projects::Projects;

/// The source from which keyfob reads the state of an owner. It queries the database each time, so
/// that a suspension or a lost membership takes effect at the next request.
pub struct TokenOwners {
    db: Db,
    projects: Projects,
}

impl TokenOwners {
    pub fn new(db: Db) -> Self {
        Self { projects: Projects::new(db.clone()), db }
    }
}

impl Owners for TokenOwners {
    async fn state(&self, owner: &OwnerId, project: &ProjectId) -> Result<OwnerState, OwnersError> {
        let user = accounts::find(&self.db, owner.as_str().parse()?).await?;
        let Some(user) = user.filter(|user| !user.suspended) else { return Ok(OwnerState::Suspended) };
        match self.projects.find_of_user(user.id, project.as_str().parse()?).await? {
            Some(_) => Ok(OwnerState::Active),
            None => Ok(OwnerState::OutsideProject),
        }
    }
}

/// Returns the states of several owners in one project, with one query. A list of tokens shows
/// these states. An owner who does not exist is missing in the result.
pub async fn states(db: &Db, project: i64, owners: &[i64]) -> sqlx::Result<HashMap<i64, OwnerState>> {
    let sql = "SELECT users.id, suspended, \
               EXISTS (SELECT 1 FROM projects WHERE id = ?1 AND (owner_id = users.id OR kind = 'public' OR (kind = 'shared' \
               AND EXISTS (SELECT 1 FROM memberships WHERE project_id = ?1 AND user_id = users.id))) \
               AND NOT EXISTS (SELECT 1 FROM removed_projects WHERE project_id = ?1)) \
               FROM users WHERE users.id IN (?2*)";
    let rows: Vec<(i64, Truth, Truth)> = query(sql).bind(project).bind(owners).fetch_all(db).await?;
    let state = |(id, Truth(is_suspended), Truth(is_inside))| match (is_suspended, is_inside) {
        (true, _) => (id, OwnerState::Suspended),
        (false, true) => (id, OwnerState::Active),
        (false, false) => (id, OwnerState::OutsideProject),
    };
    Ok(rows.into_iter().map(state).collect())
}
