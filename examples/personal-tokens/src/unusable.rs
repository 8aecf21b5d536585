//! Says why a database cannot be used, and what the operator can do about it.

use std::error::Error;

use keyfob::store::{StoreError, StoreErrorKind};
use sqlx::mysql::MySqlDatabaseError;

use crate::db::Db;
use crate::engine::{Database, REDIS_ROOTS};
use crate::housekeeping::with_causes;
use crate::setup::{Settings, SetupError};

/// The parts of errors that say nothing beside the name of the database and the cause.
const EMPTY: [&str; 7] = [
    "error communicating with database",
    "error occurred while attempting to establish a TLS connection",
    "error returned from database",
    "error with configuration",
    "the token store failed",
    "the token store is unavailable",
    "the token store holds a record that cannot be read",
];

/// The advice in errors of keyfob's TLS, in place of which [`Settings::unusable`] names the option.
const ADVICE: [(&str, &str); 2] = [
    ("the server is not trusted (", "): check the root certificate and the host name in the address"),
    ("the TLS connection failed (", "): check that the server offers TLS at this address"),
];

impl Settings {
    /// Connects to the database for the state of the host like [`Database::connect_state`].
    ///
    /// # Errors
    /// Returns the error of [`unusable`](Self::unusable) if the database cannot be used.
    pub async fn connect_state(&self, database: &Database) -> Result<Db, SetupError> {
        database.connect_state().await.map_err(|error| self.unusable(database, &*error))
    }

    /// Returns the error that a database cannot be used: its address, the cause, and what to do.
    pub fn unusable(&self, database: &Database, error: &(dyn Error + 'static)) -> SetupError {
        let option = self.named_by(database);
        for (parameter, file) in database.tls_files() {
            if let Err(error) = std::fs::read(&file) {
                let file = file.display();
                return format!(
                    "{database} cannot be used: {file} cannot be read: {error} (correct {parameter} in {option})"
                )
                .into();
            }
        }
        let cause = cause(error);
        let help = help(database, option, error, &cause);
        format!("{database} cannot be used: {cause} ({help})").into()
    }

    /// Returns the option or the variable that names a database.
    fn named_by(&self, database: &Database) -> &'static str {
        match Some(database) {
            database if self.state.as_ref() == database => self.state_from,
            database if self.database.as_ref() == database => self.database_from,
            _ => "--data-dir",
        }
    }
}

/// Returns the causes of an error, without words that repeat each other.
fn cause(error: &(dyn Error + 'static)) -> String {
    // The text of an error in the URL may have a part of a password.
    if let Some(sqlx::Error::Configuration(_)) = error.downcast_ref() {
        return "a part of its URL is not valid".into();
    }
    let mut causes = with_causes(error);
    // The message of an engine, without its numbers.
    if let Some(sqlx::Error::Database(error)) = source(error) {
        causes = causes.replace(&error.to_string(), error.message());
    }
    let parts: Vec<&str> = causes.split(": ").filter(|part| !EMPTY.contains(part)).collect();
    let mut cause = parts.join(": ");
    for (before, after) in ADVICE {
        if let Some(fault) = cause.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)) {
            cause = fault.to_owned();
        }
    }
    // After these kinds, the client of Redis may repeat a part of the URL.
    for kind in [" - InvalidClientConfig", " - AuthenticationFailed"] {
        if let Some((words, _)) = cause.split_once(kind) {
            return words.to_owned();
        }
    }
    cause
}

/// Returns what the operator can do about an error.
fn help(database: &Database, option: &str, error: &(dyn Error + 'static), cause: &str) -> String {
    let root = match database {
        Database::Sqlite(_) if option == "--data-dir" => return "choose another directory with --data-dir".into(),
        Database::Sqlite(_) => return format!("name another file in {option}"),
        Database::Postgres(_) => "sslrootcert",
        Database::MariaDb(_) => "ssl-ca",
        Database::Redis(_) => REDIS_ROOTS,
    };
    if cause.contains("not valid for name") {
        format!("use a host name of the certificate in {option}")
    } else if cause.contains("invalid peer certificate") {
        format!("name the root certificate of the server as {root} in {option}")
    } else if cause.contains("does not support TLS") {
        format!("turn on TLS at the server, or correct {option}")
    } else if ["NOAUTH", "Password authentication failed"].iter().any(|word| cause.contains(word)) {
        format!("correct the user or the password in {option}")
    } else {
        match source::<sqlx::Error>(error) {
            Some(sqlx::Error::Database(error)) => of_database(&**error, option),
            _ if is_unreachable(error) => match database {
                Database::Redis(nodes) if nodes[0].starts_with("rediss:") => {
                    format!("start the server with TLS, or correct the address in {option}")
                }
                _ => format!("start the server, or correct the address in {option}"),
            },
            _ => format!("correct {option}"),
        }
    }
}

/// Returns what the operator can do about an error that PostgreSQL or MariaDB returned.
fn of_database(error: &dyn sqlx::error::DatabaseError, option: &str) -> String {
    let number = error.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number);
    match (error.code().as_deref(), number) {
        // The database does not exist.
        (Some("3D000"), _) | (_, Some(1049)) => format!("create it, or name another in {option}"),
        // The user or the password is wrong.
        (Some("28P01" | "28000"), _) => format!("correct the user or the password in {option}"),
        _ => format!("correct {option}"),
    }
}

fn is_unreachable(error: &(dyn Error + 'static)) -> bool {
    matches!(source::<sqlx::Error>(error), Some(sqlx::Error::Io(_)))
        || source::<StoreError>(error).is_some_and(|error| error.kind() == StoreErrorKind::Unavailable)
}

/// Returns the error of this type in the causes of an error.
fn source<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut error = error;
    loop {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        error = error.source()?;
    }
}
