//! The check values of the pepper: one stored value for each key. With these values, a process
//! detects at its start if its pepper differs from the pepper of the existing tokens.

use std::fmt;

use keyfob::{
    Keyring,
    keys::{ComparedKeys, KeyCheck, KeyNumber},
    store::{ProjectsQuery, StoreMaintenance},
};

use crate::db::{Db, On, query};
use crate::setup::SetupError;

/// Compares the keyring with the check values in a database, if an earlier process has stored any.
/// The function writes nothing, so the service can call it before the first step that writes.
///
/// # Errors
/// Returns an error if a value differs, if the keyring lacks a key that has a value, or if the
/// database cannot be read.
pub async fn compare_in(db: &Db, keyring: &Keyring) -> Result<(), SetupError> {
    if db.has_table("key_checks").await? {
        compare(keyring, stored(db).await?)?;
    }
    Ok(())
}

/// Compares the keyring with the stored check values, and stores the missing ones. A stored value
/// is never overwritten.
///
/// If `engine` has tokens but a value was missing, logs a warning that the pepper could not be
/// checked. The warning is logged before the value is stored, because a later call finds the value
/// and does not warn.
///
/// # Errors
/// Returns an error if a value differs, if the keyring lacks a key that has a value, or if a
/// database fails. The stored values are compared again at the end, because another process may
/// have stored a value in the meantime.
pub async fn settle(db: &Db, keyring: &Keyring, engine: &impl StoreMaintenance) -> Result<(), SetupError> {
    let ComparedKeys { new, .. } = compare(keyring, stored(db).await?)?;
    if new.is_empty() {
        return Ok(());
    }
    if !engine.projects(&ProjectsQuery::default()).await?.is_empty() {
        tracing::warn!(
            "the database has tokens but had no key check value, so this start could not check the pepper: if tokens are refused as \
             invalid, the pepper is wrong; from now on a start with another pepper is refused, and that error says how to \
             delete the value that this start stores"
        );
    }
    for (number, check) in new {
        let insert = "INSERT INTO key_checks (number, value) VALUES (?, ?) ON CONFLICT DO NOTHING";
        query(insert).bind(number.get()).bind(&check.as_bytes()[..]).execute(db).await?;
    }
    // If two processes with different peppers start for the first time at the same time, the second
    // one detects this here.
    compare(keyring, stored(db).await?)?;
    Ok(())
}

/// Returns the numbers of the keys that have a stored check value.
pub async fn numbers(db: &Db) -> Result<Vec<KeyNumber>, SetupError> {
    Ok(stored(db).await?.into_iter().map(|(number, _)| number).collect())
}

async fn stored(database: impl Into<On<'_>>) -> Result<Vec<(KeyNumber, KeyCheck)>, SetupError> {
    let rows: Vec<(i64, Vec<u8>)> = query("SELECT number, value FROM key_checks").fetch_all(database).await?;
    let row =
        |(number, bytes): (i64, Vec<u8>)| Ok((KeyNumber::new(u8::try_from(number)?)?, KeyCheck::try_from(&*bytes)?));
    rows.into_iter().map(row).collect()
}

/// Compares the keyring with stored check values.
///
/// # Errors
/// Returns an error if a value differs, or [`AbsentKeys`] if the keyring lacks a key that has a
/// value.
fn compare(keyring: &Keyring, stored: Vec<(KeyNumber, KeyCheck)>) -> Result<ComparedKeys, SetupError> {
    let compared = keyring.compare_key_checks(stored)?;
    if compared.absent.is_empty() { Ok(compared) } else { Err(AbsentKeys(compared.absent).into()) }
}

/// The error that lists the keys that have a check value but are not in the keyring of this host.
#[derive(Debug)]
struct AbsentKeys(Vec<KeyNumber>);

impl fmt::Display for AbsentKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<_> = self.0.iter().map(KeyNumber::to_string).collect();
        write!(f, "the database has a check value for key {}, and this host has no pepper for it", numbers.join(", "))?;
        f.write_str(" (start a host that holds it, or delete the value if the key is retired)")
    }
}

impl std::error::Error for AbsentKeys {}
