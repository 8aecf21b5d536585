//! The first person, and new passwords for people who have lost theirs.

use std::fmt;
use std::path::Path;

use crate::db::{Db, On, Tx, query};
use crate::llm::models::{ModelEntry, Models};
use crate::people::accounts;
use crate::people::invitations;
use crate::people::projects::{self, Kind};
use crate::random;
use crate::setup::{Settings, SetupError};

/// A person's name and a new password, which is generated at the first start and by a reset. Debug
/// does not show the password.
pub struct FirstSignIn {
    pub name: String,
    pub password: String,
}

impl fmt::Debug for FirstSignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstSignIn").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Creates one person, their personal project, two shared projects and a public project, if the
/// database has no person yet. Then checks the models of the configuration file `file`, which may
/// name these projects. If several processes start at the same time, only one of them creates these
/// rows.
pub async fn sign_in(
    db: &Db,
    mut models: Models,
    entries: Vec<ModelEntry>,
    file: &Path,
    tell: impl FnOnce(&FirstSignIn) -> Result<(), SetupError>,
) -> Result<(Models, Option<FirstSignIn>), SetupError> {
    let is_first = !has_people(db).await?;
    let first = FirstSignIn { name: "ada".into(), password: random::hex128()? };
    let hash = if is_first { accounts::hash(first.password.clone()).await? } else { String::new() };
    // Take the turn before looking again, so that only one process creates the rows.
    let mut transaction = db.begin().await?;
    let is_first = is_first && !has_people(&mut transaction).await?;
    if is_first {
        make_first(&mut transaction, &first.name, &hash).await?;
    }
    let configured = models.configure(&projects::all(&mut transaction).await?, entries);
    configured.map_err(|why| format!("{}: {why}", file.display()))?;
    if !is_first {
        transaction.roll_back().await?;
        return Ok((models, None));
    }
    tell(&first)?;
    transaction
        .commit()
        .await
        .map_err(|error| format!("the sign-in that was printed is void, start again: {error}"))?;
    Ok((models, Some(first)))
}

async fn make_first(tx: &mut Tx, name: &str, hash: &str) -> sqlx::Result<()> {
    let user = insert_user(&mut *tx, name, hash).await?;
    accounts::appoint(&mut *tx, user).await?;
    for shared in ["Difference engine", "Weather station"] {
        let project = projects::insert(&mut *tx, shared, Kind::Shared, None).await?;
        projects::join(&mut *tx, project, user).await?;
    }
    projects::insert(&mut *tx, "Open library", Kind::Public, None).await?;
    Ok(())
}

/// Replaces a person's password with a new random password. `tell` receives the new password before
/// it is stored. The database is not locked while `tell` runs, because printing may wait for a
/// terminal. The person's sessions end in every process.
///
/// # Errors
/// Returns an error if there is no database, if no person has this name, if `tell` fails, or if the
/// new password cannot be stored.
pub async fn reset_password(
    data: &Path,
    settings: &Settings,
    name: &str,
    tell: impl FnOnce(&FirstSignIn) -> Result<(), SetupError>,
) -> Result<(), SetupError> {
    let (_, state_at) = settings.databases(data);
    if state_at.is_absent_file() {
        return Err(format!("there is no database {state_at}: give its directory with --data-dir").into());
    }
    let db = settings.connect_state(&state_at).await?;
    if !db.has_table("users").await? {
        return Err(format!("{state_at} has no people: start the service with it first").into());
    }
    db.create_tables().await?;
    if !accounts::exists(&db, name).await? {
        return Err(format!("there is no person named {name:?}").into());
    }
    let new = FirstSignIn { name: name.into(), password: random::hex128()? };
    let hash = accounts::hash(new.password.clone()).await?;
    tell(&new)?;
    // The link of an invitation must not replace the new password.
    invitations::end(&db, name).await?;
    let void = |why: &dyn fmt::Display| format!("the password that was printed is void, try again: {why}");
    if !accounts::set_password(&db, name, &hash).await.map_err(|error| void(&error))? {
        return Err(void(&format_args!("there is no person named {name:?} any more")).into());
    }
    db.close().await;
    Ok(())
}

async fn has_people(db: impl Into<On<'_>>) -> sqlx::Result<bool> {
    query("SELECT EXISTS (SELECT 1 FROM users)").is_true(db).await
}

/// Adds a person with a personal project. Returns the person's id.
///
/// # Errors
/// Returns an error if another person has this name, if the database fails, or if the password
/// cannot be hashed.
pub async fn add_user(db: &Db, name: &str, password: &str) -> Result<i64, SetupError> {
    let hash = accounts::hash(password.into()).await?;
    let mut transaction = db.begin().await?;
    let user = insert_user(&mut transaction, name, &hash).await?;
    transaction.commit().await?;
    Ok(user)
}

async fn insert_user(tx: &mut Tx, name: &str, hash: &str) -> sqlx::Result<i64> {
    let user = accounts::insert(&mut *tx, name, hash).await?;
    projects::insert(&mut *tx, &format!("Personal ({name})"), Kind::Personal, Some(user)).await?;
    Ok(user)
}
