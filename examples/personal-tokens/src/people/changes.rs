//! The operations with which an administrator adds, suspends and removes people and changes their
//! roles.
//!
//! At least one administrator can always sign in: each operation that could take away the last one
//! checks this in the same statement or transaction as its change.

use keyfob::Timestamp;

use crate::db::{Db, Tx, query};
use crate::people::accounts;
use crate::people::denied::{Denied, checked_name};
use crate::people::invitations::{self, Invitation};
use crate::people::projects::{self, Kind};
use crate::random;
use crate::setup::SetupError;

/// Expands to a condition on a statement about the person `?1`: the person is no administrator, or
/// another administrator can sign in.
macro_rules! unless_last_administrator {
    () => {
        "(NOT EXISTS (SELECT 1 FROM admins WHERE user_id = ?1) OR EXISTS (SELECT 1 FROM admins JOIN users ON id = user_id \
         WHERE user_id <> ?1 AND suspended = 0 AND NOT EXISTS (SELECT 1 FROM invitations WHERE invitations.user_id = id)))"
    };
}

/// Adds a person with a personal project, and invites them to choose a password. Returns the
/// person's id, or the reason why the person was not added.
///
/// # Errors
/// Returns an error if the database or the random generator fails.
pub async fn add(db: &Db, name: &str, admin: bool, invitation: &Invitation) -> Result<Result<i64, Denied>, SetupError> {
    let name = match checked_name(name) {
        Ok(name) => name,
        Err(denied) => return Ok(Err(denied)),
    };
    // Until the person chooses a password, the account has the hash of a random password that is
    // not kept. So a sign-in with the name takes as long as any other.
    let hash = accounts::hash(random::hex128()?).await?;
    let mut transaction = db.begin().await?;
    if is_taken(&mut transaction, name).await? {
        return Ok(Err(Denied::NameTaken));
    }
    let user = accounts::insert(&mut transaction, name, &hash).await?;
    projects::insert(&mut transaction, &format!("Personal ({name})"), Kind::Personal, Some(user)).await?;
    if admin {
        accounts::appoint(&mut transaction, user).await?;
    }
    invitations::insert(&mut transaction, user, invitation).await?;
    transaction.commit().await?;
    Ok(Ok(user))
}

/// Returns whether a person has this name, in upper or lower case. Names of removed people are
/// free.
async fn is_taken(connection: &mut Tx, name: &str) -> sqlx::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM users WHERE lower(name) = lower(?))";
    query(sql).bind(name).value(connection).await
}

/// Suspends a person. Their sessions and tokens stop at their next request.
///
/// # Errors
/// Returns an error if the database fails.
pub async fn suspend(db: &Db, actor: i64, person: i64) -> sqlx::Result<Result<(), Denied>> {
    if actor == person {
        return Ok(Err(Denied::Own));
    }
    // Sessions from before the suspension stay ended after a reinstatement.
    let sql = concat!(
        "UPDATE users SET suspended = 1, sessions_ended = sessions_ended + 1 WHERE id = ?1 AND ",
        unless_last_administrator!()
    );
    // In a transaction, because two administrators may suspend each other at the same time.
    let mut transaction = db.begin().await?;
    let done = query(sql).bind(person).execute(&mut transaction).await?;
    transaction.commit().await?;
    Ok(if done == 1 { Ok(()) } else { Err(Denied::LastAdministrator) })
}

/// Ends the suspension of a person. A removed person stays suspended.
///
/// # Errors
/// Returns an error if the database fails.
pub async fn reinstate(db: &Db, person: i64) -> sqlx::Result<Result<(), Denied>> {
    let sql = "UPDATE users SET suspended = 0 WHERE id = ?1 AND id NOT IN (SELECT user_id FROM removed_people)";
    let done = query(sql).bind(person).execute(db).await?;
    Ok(if done == 1 { Ok(()) } else { Err(Denied::Unknown) })
}

/// Makes a person an administrator. A removed person stays without a role.
///
/// # Errors
/// Returns an error if the database fails.
pub async fn appoint(db: &Db, person: i64) -> sqlx::Result<Result<(), Denied>> {
    let sql = "INSERT INTO admins (user_id) SELECT id FROM users WHERE id = ?1 \
               AND id NOT IN (SELECT user_id FROM removed_people) ON CONFLICT (user_id) DO UPDATE SET user_id = excluded.user_id";
    let done = query(sql).bind(person).execute(db).await?;
    // MariaDB counts a row that was there as two.
    Ok(if done > 0 { Ok(()) } else { Err(Denied::Unknown) })
}

/// Makes an administrator a member.
///
/// # Errors
/// Returns an error if the database fails.
pub async fn withdraw(db: &Db, person: i64) -> sqlx::Result<Result<(), Denied>> {
    let mut transaction = db.begin().await?;
    if !may_end(&mut transaction, person).await? {
        return Ok(Err(Denied::LastAdministrator));
    }
    query("DELETE FROM admins WHERE user_id = ?").bind(person).execute(&mut transaction).await?;
    transaction.commit().await?;
    Ok(Ok(()))
}

/// Removes a person: their sessions end, their roles and memberships are deleted, and their name
/// becomes free. The row with their id stays. The caller then revokes their tokens, which are
/// already rejected because the person is suspended. Removing a removed person changes nothing.
///
/// # Errors
/// Returns an error if the database or the random generator fails.
pub async fn remove(db: &Db, actor: i64, person: i64, now: Timestamp) -> Result<Result<(), Denied>, SetupError> {
    if actor == person {
        return Ok(Err(Denied::Own));
    }
    // Another hash ends the sessions, and makes sign-ins fail even if the name were known.
    let hash = accounts::hash(random::hex128()?).await?;
    let mut transaction = db.begin().await?;
    if !may_end(&mut transaction, person).await? {
        return Ok(Err(Denied::LastAdministrator));
    }
    let kept = query(
        "INSERT INTO removed_people (user_id, name, at) SELECT id, name, ?2 FROM users WHERE id = ?1 ON CONFLICT DO NOTHING",
    );
    if kept.bind(person).bind(now.as_unix_millis()).execute(&mut transaction).await? == 0 {
        return Ok(Ok(()));
    }
    // No name that a person may have contains a control character.
    let sql = "UPDATE users SET name = ?3, suspended = 1, sessions_ended = sessions_ended + 1, password_hash = ?2 \
               WHERE id = ?1";
    query(sql).bind(person).bind(hash).bind(format!("\u{1}{person}")).execute(&mut transaction).await?;
    for sql in [
        "DELETE FROM admins WHERE user_id = ?1",
        "DELETE FROM memberships WHERE user_id = ?1",
        "DELETE FROM invitations WHERE user_id = ?1",
    ] {
        query(sql).bind(person).execute(&mut transaction).await?;
    }
    query("INSERT INTO removed_projects (project_id, at) SELECT id, ?2 FROM projects WHERE owner_id = ?1")
        .bind(person)
        .bind(now.as_unix_millis())
        .execute(&mut transaction)
        .await?;
    transaction.commit().await?;
    Ok(Ok(()))
}

/// Returns whether an administrator could still sign in if this person were no administrator.
async fn may_end(connection: &mut Tx, person: i64) -> sqlx::Result<bool> {
    let sql = concat!("SELECT ", unless_last_administrator!());
    query(sql).bind(person).value(connection).await
}
