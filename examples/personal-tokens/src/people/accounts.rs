//! People and their passwords.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Argon2, password_hash};
use keyfob::{OwnerId, Timestamp};
use sha2::{Digest, Sha256};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::client::Client;
use crate::db::{Db, On, Truth, query};
use crate::people::denied::can_be_in_a_name;
use crate::people::guesses::Guesses;
use crate::people::too_many::TooMany;
use crate::random;
use crate::serve::queued;
use crate::setup::SetupError;

#[derive(Clone, Debug)]
pub struct User {
    pub id: i64,
    /// The name. If an administrator has removed the person, it ends with "(removed)".
    pub name: String,
    pub suspended: bool,
    /// Whether the person is an administrator, who may see and revoke the tokens of others.
    pub admin: bool,
    /// A value that each session of the person stores. It changes when the password changes and
    /// when an administrator suspends or removes the person, so that earlier sessions end. It is a
    /// digest of the salted hash and reveals nothing about the password.
    pub session_mark: u64,
}

type Row = (i64, String, Truth, Truth, String, i64);

impl From<Row> for User {
    fn from((id, name, Truth(suspended), Truth(admin), password_hash, sessions_ended): Row) -> Self {
        Self { id, name, suspended, admin, session_mark: session_mark(sessions_ended, &password_hash) }
    }
}

/// Returns the [`User::session_mark`] of a person.
pub fn session_mark(sessions_ended: i64, password_hash: &str) -> u64 {
    let digest = Sha256::digest(format!("{sessions_ended} {password_hash}"));
    let (first, _) = digest.split_first_chunk().expect("it has 32 bytes");
    u64::from_be_bytes(*first)
}

/// Expands to a query that reads [`Row`]s. `$rest` is the end of the query.
macro_rules! select_users {
    ($rest:literal) => {
        concat!(
            "SELECT id, coalesce((SELECT removed.name || ' (removed)' FROM removed_people AS removed WHERE user_id = id), name), \
             suspended, id IN (SELECT user_id FROM admins), password_hash, sessions_ended FROM users ",
            $rest
        )
    };
}

impl User {
    /// Returns the user's id in keyfob.
    pub fn owner_id(&self) -> OwnerId {
        OwnerId::new(&self.id.to_string()).expect("a number is a valid owner id")
    }
}

pub struct Accounts {
    db: Db,
    /// A hash for sign-ins with an unknown name. The password is compared with this hash, so that
    /// an unknown name takes as long as a known one.
    decoy: String,
    sign_ins: Gate,
    /// The limit on concurrent password changes. It is separate from the limit on sign-ins, so that
    /// signed-in people do not wait for the sign-ins of strangers.
    changes: Gate,
    guesses: Guesses,
    counts: Counts,
}

/// The numbers of tries since the process started.
#[derive(Default)]
pub struct Counts {
    /// The tries whose password was compared with a hash.
    pub compared: AtomicU64,
    /// The tries that came too early after wrong passwords.
    pub slowed: AtomicU64,
}

/// A limit on the number of passwords that are hashed at the same time, and on the number of
/// requests that wait for their turn. One hash takes 19 MiB and about 20 ms of a core.
struct Gate {
    turns: Arc<Semaphore>,
    places: Semaphore,
}

impl Gate {
    fn new(turns: usize, waiting: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(turns)), places: Semaphore::new(turns + waiting) }
    }

    /// Takes one of the limited places for requests that hash a password or wait for their turn.
    /// The request keeps its place until the request is done.
    ///
    /// # Errors
    /// Returns [`Busy`] immediately if all places are taken.
    fn place(&self) -> Result<SemaphorePermit<'_>, Busy> {
        self.places.try_acquire().map_err(|_| Busy)
    }

    /// Waits until the request may hash a password. The request must first get a place from
    /// [`place`](Self::place).
    async fn turn(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        match Arc::clone(&self.turns).try_acquire_owned() {
            Ok(turn) => Ok(turn),
            Err(_) => queued(Arc::clone(&self.turns).acquire_owned()).await,
        }
    }
}

/// The error that is returned if too many requests wait for their password to be checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Busy;

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many passwords are being checked; try again in a few seconds")
    }
}

impl Error for Busy {}

impl Accounts {
    pub async fn new(db: Db) -> Result<Self, SetupError> {
        let decoy = hash(random::hex128()?).await?;
        let (guesses, counts) = (Guesses::default(), Counts::default());
        Ok(Self { db, decoy, sign_ins: Gate::new(2, 32), changes: Gate::new(1, 8), guesses, counts })
    }

    pub async fn find(&self, id: i64) -> sqlx::Result<Option<User>> {
        find(&self.db, id).await
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Returns the user with this name if the password is correct, otherwise `None`.
    ///
    /// The cheapest checks come first, so that refused tries do not delay others: first the limits
    /// on wrong passwords ([`Guesses`]), which need only memory, then the limit on sign-ins that
    /// wait, and then the database and the hash.
    ///
    /// # Errors
    /// Returns [`TooMany`] if the client must wait after wrong passwords, [`Busy`] immediately if
    /// too many sign-ins wait, and another error if the database or the hash fails. With the first
    /// two, the password was not hashed.
    pub async fn check(
        &self,
        name: &str,
        password: String,
        client: Option<Client>,
        now: Timestamp,
    ) -> Result<Option<User>, SetupError> {
        let name = name.trim();
        self.guess(name, client, now, self.compare(name, password)).await
    }

    /// Runs a comparison of a password as a guess of the client: counts the guess if the password
    /// is wrong, and does not run the comparison if the client must wait.
    async fn guess<T>(
        &self,
        name: &str,
        client: Option<Client>,
        now: Timestamp,
        compare: impl Future<Output = Result<Option<T>, SetupError>>,
    ) -> Result<Option<T>, SetupError> {
        let guess = self.guesses.begin(name, client, now).inspect_err(|error| {
            if error.is::<TooMany>() {
                self.counts.slowed.fetch_add(1, Ordering::Relaxed);
            }
        })?;
        let compared = compare.await;
        match &compared {
            Ok(Some(_)) => guess.right(),
            Ok(None) => drop(guess),
            Err(_) => guess.unchecked(),
        }
        compared
    }

    async fn compare(&self, name: &str, password: String) -> Result<Option<User>, SetupError> {
        let _place = self.sign_ins.place()?;
        let row: Option<Row> = match can_be_in_a_name(name) {
            true => query(select_users!("WHERE name = ?")).bind(name).fetch_optional(&self.db).await?,
            false => None,
        };
        let stored = row.as_ref().map_or_else(|| self.decoy.clone(), |(_, _, _, _, stored, ..)| stored.clone());
        let fits = self.fits(&self.sign_ins, password, stored).await?;
        Ok(row.filter(|_| fits).map(User::from))
    }

    /// Replaces a person's password if `present` is the current password. Returns the person with
    /// the new [`User::session_mark`], which ends the earlier sessions. Returns `None` if
    /// `present` is wrong, or if the person's sessions end meanwhile. Both count like a sign-in
    /// with a wrong password.
    ///
    /// # Errors
    /// Returns [`TooMany`] if the client must wait after wrong passwords, [`Busy`] immediately if
    /// too many changes wait, and another error if the database or a hash fails.
    pub async fn change_password(
        &self,
        user: &User,
        present: String,
        new: String,
        client: Option<Client>,
        now: Timestamp,
    ) -> Result<Option<User>, SetupError> {
        self.guess(&user.name, client, now, self.exchange(user.id, present, new)).await
    }

    async fn exchange(&self, user: i64, present: String, new: String) -> Result<Option<User>, SetupError> {
        let _place = self.changes.place()?;
        let row: Row = query(select_users!("WHERE id = ?")).bind(user).fetch_one(&self.db).await?;
        let (_, _, _, _, stored, sessions_ended) = &row;
        if !self.fits(&self.changes, present, stored.clone()).await? {
            return Ok(None);
        }
        let turn = self.changes.turn().await?;
        let hash = hash(new).await?;
        drop(turn);
        // If another request has changed the password in the meantime, `present` is no longer the
        // current password. If the person was suspended in the meantime, their sessions have ended,
        // even if the person is reinstated.
        let sql = "UPDATE users SET password_hash = ? \
                   WHERE id = ? AND password_hash = ? AND sessions_ended = ? AND suspended = 0";
        let changed = query(sql).bind(&hash).bind(user).bind(stored).bind(*sessions_ended).execute(&self.db).await?;
        // The mark is that of this change. A later read could return the mark of a later reset or
        // suspension, which the session would then survive.
        let session_mark = session_mark(*sessions_ended, &hash);
        Ok((changed > 0).then(|| User { session_mark, ..User::from(row) }))
    }

    /// Returns whether the password matches the stored hash. First waits until the gate lets the
    /// request hash a password.
    async fn fits(&self, gate: &Gate, password: String, stored: String) -> Result<bool, SetupError> {
        let turn = gate.turn().await?;
        self.counts.compared.fetch_add(1, Ordering::Relaxed);
        let fits = tokio::task::spawn_blocking(move || {
            // The blocking task owns the turn: if a client disconnects, its request is dropped, but
            // the task continues.
            let _turn = turn;
            let stored = PasswordHash::new(&stored)?;
            match Argon2::default().verify_password(password.as_bytes(), &stored) {
                Ok(()) => Ok(true),
                Err(password_hash::Error::Password) => Ok(false),
                Err(error) => Err(error),
            }
        });
        Ok(fits.await?.map_err(|error| error.to_string())?)
    }

    /// Hashes the password that an invited person has chosen.
    ///
    /// # Errors
    /// Returns [`Busy`] immediately if too many changes wait, and another error if the hash fails.
    pub async fn hash_chosen(&self, password: String) -> Result<String, SetupError> {
        let _place = self.changes.place()?;
        let _turn = self.changes.turn().await?;
        hash(password).await
    }
}

/// Returns the person with this id.
pub async fn find(db: impl Into<On<'_>>, id: i64) -> sqlx::Result<Option<User>> {
    let row: Option<Row> = query(select_users!("WHERE id = ?")).bind(id).fetch_optional(db).await?;
    Ok(row.map(User::from))
}

/// Adds a person and returns their id. The caller adds a personal project in the same transaction.
pub async fn insert(db: impl Into<On<'_>>, name: &str, password_hash: &str) -> sqlx::Result<i64> {
    let sql = "INSERT INTO users (name, password_hash) VALUES (?, ?) RETURNING id";
    query(sql).bind(name).bind(password_hash).value(db).await
}

/// Returns whether there is a person with this name.
pub async fn exists(db: impl Into<On<'_>>, name: &str) -> sqlx::Result<bool> {
    query("SELECT EXISTS (SELECT 1 FROM users WHERE name = ?)").bind(name).is_true(db).await
}

/// Replaces the password of the person with this name. Returns `false` if there is no such person.
pub async fn set_password(db: impl Into<On<'_>>, name: &str, password_hash: &str) -> sqlx::Result<bool> {
    let done = query("UPDATE users SET password_hash = ? WHERE name = ?").bind(password_hash).bind(name).execute(db);
    Ok(done.await? > 0)
}

/// Makes a person an administrator.
pub async fn appoint(db: impl Into<On<'_>>, user: i64) -> sqlx::Result<()> {
    query("INSERT INTO admins (user_id) VALUES (?) ON CONFLICT DO NOTHING").bind(user).execute(db).await?;
    Ok(())
}

/// Hashes a password with Argon2id. The default parameters of the crate `argon2` are the parameters
/// that OWASP recommends.
pub async fn hash(password: String) -> Result<String, SetupError> {
    let salt = SaltString::encode_b64(&random::bytes()?).map_err(|error| error.to_string())?;
    let hashed = tokio::task::spawn_blocking(move || {
        Argon2::default().hash_password(password.as_bytes(), &salt).map(|hash| hash.to_string())
    });
    Ok(hashed.await?.map_err(|error| error.to_string())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn password_of_an_unknown_name_is_compared_with_a_hash_of_the_same_cost() {
        let dir = tempfile::tempdir().expect("a folder");
        let db = Db::open_file(&dir.path().join("host.db")).await.expect("it opens");
        let stored = hash("right".into()).await.expect("it is hashed");
        insert(&db, "ada", &stored).await.expect("she is stored");
        let mut accounts = Accounts::new(db).await.expect("the decoy is hashed");
        let cost = |hash: &str| {
            let hash = PasswordHash::new(hash).expect("it is a hash");
            (hash.algorithm.to_string(), hash.version, hash.params.to_string(), hash.hash.map(|output| output.len()))
        };
        assert_eq!(cost(&accounts.decoy), cost(&stored));
        let now = Timestamp::from_unix_millis(0).expect("a time");
        assert!(accounts.check("nobody", "right".into(), None, now).await.expect("it is compared").is_none());
        // If the decoy is not a hash, the check of an unknown name fails. So the check compares the
        // password with the decoy.
        accounts.decoy = "no hash".into();
        assert!(accounts.check("nobody", "right".into(), None, now).await.is_err());
        assert!(accounts.check("ada", "right".into(), None, now).await.expect("it is compared").is_some());
    }
}
