//! Stores the revocations of groups of tokens for the audit trail. Each revocation of a group is
//! one row.

use keyfob::{
    Actor, ProjectId, TokenView,
    record::{Revocation, RevocationReason},
    store::RevokeGroup,
};

use crate::db::{Db, Tx, query};
use crate::tokens::trail::With;

/// The revocation of a group of tokens in one project.
pub struct Group {
    at: i64,
    project: ProjectId,
    kind: &'static str,
    value: String,
    actor: String,
    reason: &'static str,
}

impl Group {
    pub fn new(at: i64, project: &ProjectId, group: &RevokeGroup, actor: &Actor, reason: RevocationReason) -> Self {
        let (kind, value) = match group {
            RevokeGroup::Owner(owner) => ("owner", owner.as_str().into()),
            RevokeGroup::Family(first) => ("family", first.as_str().into()),
            RevokeGroup::CreatedBefore(time) => ("created_before", time.as_unix_millis().to_string()),
            RevokeGroup::KeyNumber(number) => ("key", number.to_string()),
        };
        Self { at, project: *project, kind, value, actor: actor.as_str().into(), reason: reason.as_str() }
    }

    pub async fn write(&self, database: &mut Tx) -> sqlx::Result<()> {
        query("INSERT INTO group_revocations (at, project, kind, value, actor, reason) VALUES (?, ?, ?, ?, ?, ?)")
            .bind(self.at)
            .bind(self.project.as_str())
            .bind(self.kind)
            .bind(&self.value)
            .bind(&self.actor)
            .bind(self.reason)
            .execute(database)
            .await?;
        Ok(())
    }
}

/// Returns the time and the kind of the group revocation that revoked a token, or `None` if the
/// token was revoked alone. The row of a group revocation is written after all tokens of the
/// group are revoked. So the right row is the first matching row after the token's own revocation.
pub async fn of(db: &Db, view: &TokenView, revoked: &Revocation) -> sqlx::Result<Option<(i64, With)>> {
    let row: Option<(i64, String)> = query(
        "SELECT at, kind FROM group_revocations WHERE project = ?1 AND at >= ?2 AND actor = ?3 AND reason = ?4 AND CASE kind \
         WHEN 'owner' THEN value = ?5 WHEN 'family' THEN value = ?6 \
         WHEN 'created_before' THEN CAST(value AS {int}) > ?7 ELSE value = ?8 END \
         ORDER BY at, id LIMIT 1",
    )
    .bind(view.project.as_str())
    .bind(revoked.at.as_unix_millis())
    .bind(revoked.by.as_str())
    .bind(revoked.reason.as_str())
    .bind(view.owner.as_str())
    .bind(view.family.as_str())
    .bind(view.created_at.as_unix_millis())
    .bind(view.id.key_number().to_string())
    .fetch_optional(db)
    .await?;
    let with = |kind: &str| match kind {
        "owner" => With::Owner,
        "family" => With::Rotations,
        "created_before" => With::Project,
        _ => With::Key,
    };
    Ok(row.map(|(at, kind)| (at, with(&kind))))
}
