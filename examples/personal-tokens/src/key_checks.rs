//! The check value of each key, by which a start finds out that its pepper is not the one that the tokens were made with.

use std::fmt;
use std::path::Path;

use keyfob::{ComparedKeys, KeyCheck, KeyNumber, Keyring, ProjectsQuery, StoreMaintenance};
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
/// overwritten. If `engine` has tokens and a value was not there, a warning says that this start could not be checked.
///
/// # Errors
/// Fails as [`compare_in`] does, also if another process stored another value meanwhile.
pub async fn settle(pool: &SqlitePool, keyring: &Keyring, engine: &impl StoreMaintenance) -> Result<(), SetupError> {
    let ComparedKeys { new, .. } = compare(keyring, stored(pool).await?)?;
    if new.is_empty() {
        return Ok(());
    }
    let mut inserted = 0;
    for (number, check) in new {
        let insert = "INSERT INTO key_checks (number, value) VALUES (?, ?) ON CONFLICT DO NOTHING";
        let insert = sqlx::query(insert).bind(number.get()).bind(&check.as_bytes()[..]);
        inserted += insert.execute(pool).await?.rows_affected();
    }
    // Of two processes that start first with different peppers, the one that came second finds out here.
    compare(keyring, stored(pool).await?)?;
    if inserted > 0 && !engine.projects(&ProjectsQuery::default()).await?.is_empty() {
        tracing::warn!(
            "the database has tokens but had no key check value, so this start could not be checked: if they are refused as bad \
             tokens, the pepper is not theirs; from now on another pepper is refused at the start"
        );
    }
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

#[cfg(test)]
mod tests {
    use keyfob::{MemoryStore, Pepper, Prefix, SqliteStore};

    use super::*;

    fn ring(pepper: u8) -> Keyring {
        let pepper = Pepper::new((pepper..pepper + 32).collect::<Vec<u8>>()).expect("32 bytes");
        Keyring::new(Prefix::new("demo_pat").expect("a prefix"), pepper).expect("a ring")
    }

    async fn database(file: &Path) -> SqlitePool {
        let pool = SqliteStore::open(file).await.expect("a database").pool().clone();
        sqlx::raw_sql(include_str!("schema.sql")).execute(&pool).await.expect("the schema");
        pool
    }

    #[tokio::test]
    async fn of_two_first_starts_with_different_peppers_one_is_refused() {
        let (one, other) = (ring(1), ring(2));
        let engine = MemoryStore::new();
        for _ in 0..20 {
            let dir = tempfile::tempdir().expect("a directory");
            let file = dir.path().join("personal-tokens.db");
            let pools = (database(&file).await, database(&file).await);
            // Both have found nothing before either writes.
            compare_in(&file, &one).await.expect("no value yet");
            compare_in(&file, &other).await.expect("no value yet");
            let started = tokio::join!(settle(&pools.0, &one, &engine), settle(&pools.1, &other, &engine));
            let (first, second) = match started {
                (Ok(()), Err(error)) => ((&one, &other), error),
                (Err(error), Ok(())) => ((&other, &one), error),
                (first, second) => panic!("one starts: {first:?} {second:?}"),
            };
            assert!(second.to_string().starts_with("wrong pepper for key 1"), "{second}");
            settle(&pools.0, first.0, &engine).await.expect("the first one's value stays");
            compare_in(&file, first.1).await.expect_err("the other one is wrong for ever");
        }
    }

    #[tokio::test]
    async fn a_value_of_another_length_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("personal-tokens.db");
        let pool = database(&file).await;
        let insert = "INSERT INTO key_checks (number, value) VALUES (1, zeroblob(15))";
        sqlx::query(insert).execute(&pool).await.expect_err("the table holds 16 bytes");
    }
}
