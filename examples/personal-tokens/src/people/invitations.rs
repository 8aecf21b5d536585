//! One-time links with which invited people choose their first password.
//!
//! The code in a link is a secret: its holder becomes the person. So only the SHA-256 of the code
//! is stored, and the code is shown only once, to the administrator who creates it. The code has
//! 128 random bits, so the hash needs no salt.

use std::time::Duration;

use keyfob::Timestamp;
use sha2::{Digest, Sha256};

use crate::db::{Db, Tx, query};
use crate::people::accounts::{self, User};
use crate::people::denied::Denied;
use crate::random;

/// The time for which a link can be used.
pub const VALID: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A new invitation: the code in the link and the end of its validity. There is no Debug, because
/// the code is a secret.
pub struct Invitation {
    code: String,
    pub expires_at: Timestamp,
}

impl Invitation {
    /// Creates an invitation with a random code.
    ///
    /// # Errors
    /// Returns an error if the random generator fails.
    pub fn new(now: Timestamp) -> Result<Self, getrandom::Error> {
        Ok(Self { code: random::hex128()?, expires_at: now.saturating_add(VALID) })
    }

    /// Returns the link that the administrator sends to the person. `origin` is the address of the
    /// service.
    pub fn link(&self, origin: &str) -> String {
        format!("{origin}/join/{}", self.code)
    }
}

fn hash(code: &str) -> Vec<u8> {
    Sha256::digest(code).to_vec()
}

/// Stores an invitation. It replaces an earlier one of the person.
pub async fn insert(connection: &mut Tx, user: i64, invitation: &Invitation) -> sqlx::Result<()> {
    query(
        "INSERT INTO invitations (user_id, code_hash, expires_at) VALUES (?, ?, ?) ON CONFLICT (user_id) \
         DO UPDATE SET code_hash = excluded.code_hash, expires_at = excluded.expires_at",
    )
    .bind(user)
    .bind(hash(&invitation.code))
    .bind(invitation.expires_at.as_unix_millis())
    .execute(connection)
    .await?;
    Ok(())
}

/// Replaces the link of a person who has not chosen a password yet. The earlier link stops working.
///
/// # Errors
/// Returns an error if the database fails.
pub async fn renew(db: &Db, user: i64, invitation: &Invitation) -> sqlx::Result<Result<(), Denied>> {
    let done = query("UPDATE invitations SET code_hash = ?2, expires_at = ?3 WHERE user_id = ?1")
        .bind(user)
        .bind(hash(&invitation.code))
        .bind(invitation.expires_at.as_unix_millis())
        .execute(db)
        .await?;
    Ok(if done == 1 { Ok(()) } else { Err(Denied::HasJoined) })
}

/// Deletes the invitation of the person with this name, whose password is set in another way.
pub async fn end(db: &Db, name: &str) -> sqlx::Result<()> {
    let sql = "DELETE FROM invitations WHERE user_id IN (SELECT id FROM users WHERE name = ?)";
    query(sql).bind(name).execute(db).await?;
    Ok(())
}

/// Returns the id and the name of the person whom a code invites. Returns `None` if the code was
/// used or replaced, has expired, or never existed, or if the person is suspended.
pub async fn find(db: &Db, code: &str, now: Timestamp) -> sqlx::Result<Option<(i64, String)>> {
    let sql = "SELECT id, name FROM invitations JOIN users ON id = user_id \
               WHERE code_hash = ? AND expires_at > ? AND suspended = 0";
    query(sql).bind(hash(code)).bind(now.as_unix_millis()).fetch_optional(db).await
}

/// Uses a code: stores the hash of the password that the person has chosen. Returns the person, or
/// `None` if the code cannot be used. If several requests use the same code concurrently, only one
/// gets the person.
///
/// The session mark of the person is that of this hash: a reset or a suspension after this
/// transaction ends the session that begins with the mark.
pub async fn accept(db: &Db, code: &str, password_hash: &str, now: Timestamp) -> sqlx::Result<Option<User>> {
    let mut transaction = db.begin().await?;
    let used: Option<i64> = query(
        "DELETE FROM invitations WHERE code_hash = ? AND expires_at > ? \
         AND user_id IN (SELECT id FROM users WHERE suspended = 0) RETURNING user_id",
    )
    .bind(hash(code))
    .bind(now.as_unix_millis())
    .first(&mut transaction)
    .await?;
    let Some(user) = used else { return Ok(None) };
    // The person may have been suspended since the first statement. Without the commit, the code
    // stays.
    let sql = "UPDATE users SET password_hash = ? WHERE id = ? AND suspended = 0";
    if query(sql).bind(password_hash).bind(user).execute(&mut transaction).await? == 0 {
        return Ok(None);
    }
    // The row is locked until the commit, so no other statement has changed it.
    let person = accounts::find(&mut transaction, user).await?.ok_or(sqlx::Error::RowNotFound)?;
    transaction.commit().await?;
    Ok(Some(person))
}
