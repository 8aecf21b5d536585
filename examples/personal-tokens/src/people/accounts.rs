//! People and their passwords.

use std::sync::Arc;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Argon2, password_hash};
use keyfob::OwnerId;
use sqlx::{SqliteExecutor, SqlitePool};
use tokio::sync::Semaphore;

use crate::random;
use crate::setup::SetupError;

#[derive(Clone, Debug)]
pub struct User {
    pub id: i64,
    pub name: String,
    pub suspended: bool,
    /// May see and end everybody's tokens.
    pub admin: bool,
}

type Row = (i64, String, bool, bool);

impl From<Row> for User {
    fn from((id, name, suspended, admin): Row) -> Self {
        Self { id, name, suspended, admin }
    }
}

impl User {
    /// The user as keyfob knows it.
    pub fn owner_id(&self) -> OwnerId {
        OwnerId::new(&self.id.to_string()).expect("a number is a valid owner id")
    }
}

pub struct Accounts {
    pool: SqlitePool,
    /// What an unknown name's password is compared with, so that an unknown name takes as long as a known one.
    decoy: String,
    /// A hash takes 19 MiB and some 20 ms of a core: more than a few at once would be somebody else's outage.
    gate: Arc<Semaphore>,
}

impl Accounts {
    pub async fn new(pool: SqlitePool) -> Result<Self, SetupError> {
        let decoy = hash(random::hex128()?).await?;
        Ok(Self { pool, decoy, gate: Arc::new(Semaphore::new(2)) })
    }

    pub async fn find(&self, id: i64) -> sqlx::Result<Option<User>> {
        find(&self.pool, id).await
    }

    /// The user of this name, if the password is theirs.
    pub async fn check(&self, name: &str, password: String) -> Result<Option<User>, SetupError> {
        let row: Option<(i64, String, bool, bool, String)> = sqlx::query_as(
            "SELECT id, name, suspended, id IN (SELECT user_id FROM admins), password_hash FROM users WHERE name = ?",
        )
        .bind(name.trim())
        .fetch_optional(&self.pool)
        .await?;
        let (user, stored) = match row {
            Some((id, name, suspended, admin, stored)) => (Some(User { id, name, suspended, admin }), stored),
            None => (None, self.decoy.clone()),
        };
        let turn = Arc::clone(&self.gate).acquire_owned().await?;
        let fits = tokio::task::spawn_blocking(move || {
            // Kept by the hash itself: a client that goes away drops the request, and not the work.
            let _turn = turn;
            let stored = PasswordHash::new(&stored)?;
            match Argon2::default().verify_password(password.as_bytes(), &stored) {
                Ok(()) => Ok(true),
                Err(password_hash::Error::Password) => Ok(false),
                Err(error) => Err(error),
            }
        });
        let fits = fits.await?.map_err(|error| error.to_string())?;
        Ok(user.filter(|_| fits))
    }

    /// Everybody, by name.
    pub async fn all(&self) -> sqlx::Result<Vec<User>> {
        let sql = "SELECT id, name, suspended, id IN (SELECT user_id FROM admins) FROM users ORDER BY name, id";
        let rows: Vec<Row> = sqlx::query_as(sql).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(User::from).collect())
    }

    pub async fn suspend(&self, id: i64, suspended: bool) -> sqlx::Result<()> {
        sqlx::query("UPDATE users SET suspended = ? WHERE id = ?").bind(suspended).bind(id).execute(&self.pool).await?;
        Ok(())
    }
}

/// The person of this number.
pub async fn find(pool: &SqlitePool, id: i64) -> sqlx::Result<Option<User>> {
    let sql = "SELECT id, name, suspended, id IN (SELECT user_id FROM admins) FROM users WHERE id = ?";
    let row: Option<Row> = sqlx::query_as(sql).bind(id).fetch_optional(pool).await?;
    Ok(row.map(User::from))
}

/// Adds a person; the caller gives them a personal project in the same transaction.
pub async fn insert(db: impl SqliteExecutor<'_>, name: &str, password_hash: &str) -> sqlx::Result<i64> {
    let done = sqlx::query("INSERT INTO users (name, password_hash) VALUES (?, ?)")
        .bind(name)
        .bind(password_hash)
        .execute(db)
        .await?;
    Ok(done.last_insert_rowid())
}

/// Makes somebody an administrator.
pub async fn appoint(db: impl SqliteExecutor<'_>, user: i64) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO admins (user_id) VALUES (?) ON CONFLICT DO NOTHING").bind(user).execute(db).await?;
    Ok(())
}

/// Argon2id with the parameters that OWASP recommends, which are the crate's defaults.
pub async fn hash(password: String) -> Result<String, SetupError> {
    let salt = SaltString::encode_b64(&random::bytes()?).map_err(|error| error.to_string())?;
    let hashed = tokio::task::spawn_blocking(move || {
        Argon2::default().hash_password(password.as_bytes(), &salt).map(|hash| hash.to_string())
    });
    Ok(hashed.await?.map_err(|error| error.to_string())?)
}
