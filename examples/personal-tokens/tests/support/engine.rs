//! The engine that holds the state of the hosts of all tests.
//!
//! By default it is SQLite, because it costs least. `PERSONAL_TOKENS_ENGINE=postgres` or `mariadb`
//! runs the same tests on another engine, and `redis` with the tokens in Redis and the rest in
//! PostgreSQL. `.ci/soak engines` does this.

use std::sync::Arc;

use personal_tokens::setup::Settings;

use crate::{mariadb, postgres, redis};

/// The server that must run as long as the test.
pub enum Server {
    None,
    Postgres(Arc<postgres::Server>),
    MariaDb(Arc<mariadb::Server>),
    Redis(redis::Servers, Arc<postgres::Server>),
}

/// Returns the settings with a new database of the chosen engine, unless the test chose one.
///
/// # Panics
/// Panics if the variable names no engine, or if its program is not installed.
pub fn chosen(settings: Settings) -> (Settings, Server) {
    let on = |url: String| Settings { database: Some(url.parse().unwrap()), ..settings.clone() };
    match std::env::var("PERSONAL_TOKENS_ENGINE").as_deref() {
        _ if settings.database.is_some() => (settings, Server::None),
        Err(_) | Ok("sqlite") => (settings, Server::None),
        Ok("postgres") => {
            let server = postgres::shared().expect("PostgreSQL is installed");
            (on(server.database()), Server::Postgres(server))
        }
        Ok("mariadb") => {
            let server = mariadb::shared().expect("MariaDB is installed");
            (on(server.database()), Server::MariaDb(server))
        }
        Ok("redis") => {
            // All hosts have the same projects, so each has a server of its own.
            let tokens = redis::Servers::one().expect("Redis is installed");
            let server = postgres::shared().expect("PostgreSQL is installed");
            let settings = Settings {
                database: Some(tokens.urls().join(",").parse().unwrap()),
                state: Some(server.database().parse().unwrap()),
                ..settings
            };
            (settings, Server::Redis(tokens, server))
        }
        Ok(other) => panic!("PERSONAL_TOKENS_ENGINE is {other:?}, not sqlite, postgres, mariadb or redis"),
    }
}
