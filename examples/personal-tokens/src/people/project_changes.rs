//! The operations with which an administrator adds, renames and removes projects and changes their
//! members.

use keyfob::Timestamp;

use crate::db::{Db, Tx, query};
use crate::people::denied::{Denied, can_be_in_a_name, checked_name};
use crate::people::projects::{self, Kind};

/// Adds a shared or a public project. Returns its id, or the reason why it was not added.
///
/// # Errors
/// Returns an error if the database fails.
pub async fn add(db: &Db, name: &str, kind: Kind) -> sqlx::Result<Result<i64, Denied>> {
    let name = match checked_name(name) {
        Ok(name) => name,
        Err(denied) => return Ok(Err(denied)),
    };
    let mut transaction = db.begin().await?;
    if is_taken(&mut transaction, name, 0).await? {
        return Ok(Err(Denied::NameTaken));
    }
    let id = projects::insert(&mut transaction, name, kind, None).await?;
    transaction.commit().await?;
    Ok(Ok(id))
}

/// Renames a shared or a public project.
///
/// # Errors
/// Returns an error if the database fails.
pub async fn rename(db: &Db, project: i64, name: &str) -> sqlx::Result<Result<(), Denied>> {
    let name = match checked_name(name) {
        Ok(name) => name,
        Err(denied) => return Ok(Err(denied)),
    };
    let mut transaction = db.begin().await?;
    if is_taken(&mut transaction, name, project).await? {
        return Ok(Err(Denied::NameTaken));
    }
    let sql = "UPDATE projects SET name = ? WHERE id = ? AND kind <> 'personal' \
               AND id NOT IN (SELECT project_id FROM removed_projects)";
    let done = query(sql).bind(name).bind(project).execute(&mut transaction).await?;
    transaction.commit().await?;
    Ok(if done == 1 { Ok(()) } else { Err(Denied::Unknown) })
}

/// Returns whether a project other than `except` has this name, in upper or lower case. Names of
/// removed projects are free.
async fn is_taken(connection: &mut Tx, name: &str, except: i64) -> sqlx::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM projects WHERE lower(name) = lower(?) AND id <> ? \
               AND id NOT IN (SELECT project_id FROM removed_projects))";
    query(sql).bind(name).bind(except).is_true(connection).await
}

/// Removes a shared or a public project with its members and models. The row with its id stays. The
/// caller then revokes its tokens, which are already rejected because people cannot use a removed
/// project. Removing a removed project changes nothing.
///
/// # Errors
/// Returns an error if the database fails.
pub async fn remove(db: &Db, project: i64, now: Timestamp) -> sqlx::Result<()> {
    let mut transaction = db.begin().await?;
    query(
        "INSERT INTO removed_projects (project_id, at) SELECT id, ?2 FROM projects WHERE id = ?1 AND kind <> 'personal' \
         ON CONFLICT DO NOTHING",
    )
    .bind(project)
    .bind(now.as_unix_millis())
    .execute(&mut transaction)
    .await?;
    for sql in ["DELETE FROM memberships WHERE project_id = ?", "DELETE FROM models WHERE project_id = ?"] {
        query(sql).bind(project).execute(&mut transaction).await?;
    }
    transaction.commit().await
}

/// Makes the person with this name a member of a shared project.
///
/// # Errors
/// Returns an error if the database fails.
pub async fn add_member(db: &Db, project: i64, name: &str) -> sqlx::Result<Result<(), Denied>> {
    if !can_be_in_a_name(name) {
        return Ok(Err(Denied::Unknown));
    }
    let sql = "SELECT id FROM users WHERE name = ? AND id NOT IN (SELECT user_id FROM removed_people)";
    let person: Option<i64> = query(sql).bind(name.trim()).first(db).await?;
    let Some(person) = person else { return Ok(Err(Denied::Unknown)) };
    let sql = "SELECT EXISTS (SELECT 1 FROM projects WHERE id = ? AND kind = 'shared' \
               AND id NOT IN (SELECT project_id FROM removed_projects))";
    if !query(sql).bind(project).is_true(db).await? {
        return Ok(Err(Denied::NotShared));
    }
    let sql = "INSERT INTO memberships (project_id, user_id) VALUES (?, ?) ON CONFLICT DO NOTHING";
    let done = query(sql).bind(project).bind(person).execute(db).await?;
    Ok(if done == 1 { Ok(()) } else { Err(Denied::IsMember) })
}
