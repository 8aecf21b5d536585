//! The check value of each key, by which a start finds out that its pepper is not the one that the tokens were made with.

use std::fmt;
use std::path::Path;

use keyfob::{
    Keyring,
    keys::{ComparedKeys, KeyCheck, KeyNumber},
    store::{ProjectsQuery, StoreMaintenance},
};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection, SqliteExecutor, SqlitePool};

use crate::setup::SetupError;

/// Compares the keyring with the values in a database of an earlier start, if it has any. Writes nothing, so that it can come
/// before everything that does.
///
/// # Errors
/// Fails if a value differs, if the ring lacks a key that has one, and if the database cannot be read.
pub async fn compare_in(file: &Path, keyring: &Keyring) -> Result<(), SetupError> {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(false);
    let mut database = SqliteConnection::connect_with(&options).await?;
    let has_table = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'key_checks')";
    if sqlx::query_scalar(has_table).fetch_one(&mut database).await? {
        compare(keyring, stored(&mut database).await?)?;
    }
    database.close().await?;
    Ok(())
}

/// Compares the keyring with the stored values, and stores those that are not there yet. A value that is there is never
/// overwritten. If `engine` has tokens and a value is not there, a warning says that this start cannot be checked; it comes
/// before the value is stored, because no later start gives it.
///
/// # Errors
/// Fails as [`compare_in`] does, also if another process stored another value meanwhile, and if the engine cannot be asked.
pub async fn settle(pool: &SqlitePool, keyring: &Keyring, engine: &impl StoreMaintenance) -> Result<(), SetupError> {
    let ComparedKeys { new, .. } = compare(keyring, stored(pool).await?)?;
    if new.is_empty() {
        return Ok(());
    }
    if !engine.projects(&ProjectsQuery::default()).await?.is_empty() {
        tracing::warn!(
            "the database has tokens but had no key check value, so this start could not be checked: if they are refused as bad \
             tokens, the pepper is not theirs; from now on another pepper is refused at the start, and that refusal says how to \
             delete the value that is stored now"
        );
    }
    for (number, check) in new {
        let insert = "INSERT INTO key_checks (number, value) VALUES (?, ?) ON CONFLICT DO NOTHING";
        sqlx::query(insert).bind(number.get()).bind(&check.as_bytes()[..]).execute(pool).await?;
    }
    // Of two processes that start first with different peppers, the one that came second finds out here.
    compare(keyring, stored(pool).await?)?;
    Ok(())
}

async fn stored(database: impl SqliteExecutor<'_>) -> Result<Vec<(KeyNumber, KeyCheck)>, SetupError> {
    let rows: Vec<(u8, Vec<u8>)> = sqlx::query_as("SELECT number, value FROM key_checks").fetch_all(database).await?;
    let row = |(number, bytes): (u8, Vec<u8>)| Ok((KeyNumber::new(number)?, KeyCheck::try_from(&*bytes)?));
    rows.into_iter().map(row).collect()
}

fn compare(keyring: &Keyring, stored: Vec<(KeyNumber, KeyCheck)>) -> Result<ComparedKeys, SetupError> {
    let compared = keyring.compare_key_checks(stored)?;
    if compared.absent.is_empty() { Ok(compared) } else { Err(AbsentKeys(compared.absent).into()) }
}

/// Keys that tokens may have been made with and that this host does not hold.
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
