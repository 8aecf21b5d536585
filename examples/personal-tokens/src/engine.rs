//! The databases: SQLite, PostgreSQL, MariaDB or Redis as one type for the tokens, with an optional
//! cache in front, and all but Redis for the state of the host.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use keyfob::store::{
    DynStore, StoreError,
    cache::{Cached, Feed},
    mysql::MysqlStore,
    postgres::{PostgresFeed, PostgresStore},
    redis::RedisStore,
    sqlite::SqliteStore,
};

use sqlx::SqlitePool;

use crate::db::Db;
use crate::housekeeping::with_causes;
use crate::setup::SetupError;

/// The database of the tokens with a cache in front. If the maximum staleness of the cache is zero,
/// every call queries the database.
pub type Store = Cached<Engine>;

/// The URL of a database. The URL may hold a password. So Debug shows only the kind
/// of the database, and no error repeats the URL.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    Sqlite(PathBuf),
    Postgres(String),
    MariaDb(String),
    /// The URLs of some nodes of a Redis cluster, or of a single Redis server.
    Redis(Vec<String>),
}

impl FromStr for Database {
    type Err = &'static str;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        const FORMS: &str = "must be sqlite:PATH, postgres://…, mysql://… or redis://…[,redis://…]";
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() || path.contains('?') { Err(FORMS) } else { Ok(Self::Sqlite(path.into())) };
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres(url.into()));
        }
        if url.starts_with("mysql://") || url.starts_with("mariadb://") {
            return Ok(Self::MariaDb(url.into()));
        }
        let nodes: Vec<String> = url.split(',').map(Into::into).collect();
        if nodes.iter().all(|node| node.starts_with("redis://") || node.starts_with("rediss://")) {
            Ok(Self::Redis(nodes))
        } else {
            Err(FORMS)
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
            Self::MariaDb(_) => "mariadb",
            Self::Redis(_) => "redis",
        })
    }
}

/// Shows where the database is, without a password.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::Postgres(url) => at(f, "the PostgreSQL database", url),
            Self::MariaDb(url) => at(f, "the MariaDB database", url),
            Self::Redis(nodes) => at(f, "the Redis server", &nodes[0]),
        }
    }
}

/// The parts of errors that say nothing beside the name of the database and the cause.
const EMPTY: [&str; 4] = [
    "error communicating with database",
    "error returned from database",
    "the token store is unavailable",
    "the token store holds a record that cannot be read",
];

/// Writes a name with the host and the port of a URL. If the URL has no host, writes only the name.
fn at(f: &mut fmt::Formatter<'_>, name: &str, url: &str) -> fmt::Result {
    let url = reqwest::Url::parse(url).ok();
    match url.as_ref().and_then(|url| Some((url.host_str().filter(|host| !host.is_empty())?, url.port()))) {
        Some((host, Some(port))) => write!(f, "{name} at {host}:{port}"),
        Some((host, None)) => write!(f, "{name} at {host}"),
        None => f.write_str(name),
    }
}

impl Database {
    /// Connects to the database, and creates the tables that it needs. Returns the database, and
    /// the database with a cache in front. `cache` is the maximum staleness of the cache. `shared`
    /// has connections to the file if the database is SQLite and is already open.
    ///
    /// PostgreSQL and Redis announce every change to the caches of other processes, and a cache
    /// here follows these announcements. SQLite and MariaDB cannot announce changes, so there a
    /// cached record may be outdated until the maximum staleness has passed.
    ///
    /// # Errors
    /// Returns [`StoreError`] if the database cannot be reached or its tables cannot be created.
    pub async fn open(&self, cache: Duration, shared: Option<&SqlitePool>) -> Result<(Engine, Store), StoreError> {
        let cached = !cache.is_zero();
        match self {
            Self::Sqlite(path) => {
                let store = match shared {
                    Some(pool) => SqliteStore::from_pool(pool.clone()).await?,
                    None => SqliteStore::open(path).await?,
                };
                Ok(behind(Engine::new(store), cache, None::<PostgresFeed>))
            }
            Self::Postgres(url) => {
                let store = PostgresStore::connect(url).await?.telling_changes();
                store.migrate().await?;
                let feed = cached.then(|| store.feed());
                Ok(behind(Engine::new(store), cache, feed))
            }
            Self::MariaDb(url) => {
                let store = MysqlStore::connect(url).await?;
                store.migrate().await?;
                Ok(behind(Engine::new(store), cache, None::<PostgresFeed>))
            }
            Self::Redis(nodes) => {
                let store = RedisStore::connect(nodes.iter().map(String::as_str)).await?.with_feed();
                let feed = cached.then(|| store.feed());
                Ok(behind(Engine::new(store), cache, feed))
            }
        }
    }

    /// Connects to the database of the tokens, and changes nothing. Does nothing for a SQLite file
    /// that does not exist.
    ///
    /// # Errors
    /// Returns an error if the database cannot be reached.
    pub async fn reach(&self) -> Result<(), SetupError> {
        match self {
            Self::Sqlite(path) if !path.try_exists()? => {}
            Self::Sqlite(path) => drop(SqliteStore::open(path).await?),
            Self::Postgres(url) => drop(PostgresStore::connect(url).await?),
            Self::MariaDb(url) => drop(MysqlStore::connect(url).await?),
            Self::Redis(nodes) => drop(RedisStore::connect(nodes.iter().map(String::as_str)).await?),
        }
        Ok(())
    }

    /// Returns the error that this database cannot be reached, with the cause.
    pub fn away(&self, error: &(dyn Error + 'static)) -> SetupError {
        // The text of an error in the URL may have a part of a password.
        let cause = match error.downcast_ref() {
            Some(sqlx::Error::Configuration(_)) => "an option in its URL is not valid".to_owned(),
            _ => with_causes(error),
        };
        let cause: Vec<&str> = cause.split(": ").filter(|part| !EMPTY.contains(part)).collect();
        format!("{self} cannot be used: {}", cause.join(": ")).into()
    }

    /// Connects to the database for the state of the host. Writes nothing, except that it creates
    /// and migrates the token store of a SQLite file.
    ///
    /// # Errors
    /// Returns an error if the database is Redis, or if it cannot be reached.
    pub async fn connect_state(&self) -> Result<Db, SetupError> {
        match self {
            Self::Sqlite(path) => Ok(Db::of_store(&SqliteStore::open(path).await.map_err(|error| self.away(&error))?)),
            Self::Postgres(url) => Db::postgres(url).await.map_err(|error| self.away(&error)),
            Self::MariaDb(url) => Db::mariadb(url).await.map_err(|error| self.away(&error)),
            Self::Redis(_) => {
                Err("Redis holds only tokens: name a database for everything else with --state-url".into())
            }
        }
    }
}

/// The database of the tokens.
pub type Engine = DynStore;

/// Puts a cache in front of a database. `bound` is the maximum staleness of the cache. If there is
/// a feed, the cache follows it until the process exits. Returns the database, and the database
/// with the cache.
pub fn behind(engine: Engine, bound: Duration, feed: Option<impl Feed + 'static>) -> (Engine, Store) {
    let store = Cached::new(engine.clone(), bound);
    // A cache with a bound of zero never returns a record, so it holds no records.
    let store = if bound.is_zero() { store.with_entries(0) } else { store };
    if let Some(feed) = feed {
        let following = store.clone();
        tokio::spawn(async move { following.follow(feed).await });
    }
    (engine, store)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_names_the_database() {
        let sqlite = |path: &str| Ok(Database::Sqlite(path.into()));
        assert_eq!("sqlite:tokens.db".parse(), sqlite("tokens.db"));
        assert_eq!("sqlite:/var/lib/tokens.db".parse(), sqlite("/var/lib/tokens.db"));
        assert_eq!("sqlite:///var/lib/tokens.db".parse(), sqlite("/var/lib/tokens.db"));
        for url in ["postgres://ada:secret@db/tokens", "postgresql://db/tokens"] {
            assert_eq!(url.parse(), Ok(Database::Postgres(url.into())));
        }
        for url in ["mysql://ada:secret@db/tokens", "mariadb://db/tokens"] {
            assert_eq!(url.parse(), Ok(Database::MariaDb(url.into())));
        }
        let nodes = ["redis://10.0.0.1:6379", "rediss://:secret@10.0.0.2:6379"];
        assert_eq!(nodes.join(",").parse(), Ok(Database::Redis(nodes.map(Into::into).to_vec())));
        for url in ["", "sqlite:", "sqlite:a?mode=rwc", "tokens.db", "oracle://secret", "redis://a,secret", "http://a"]
        {
            let refused = url.parse::<Database>().expect_err("no address");
            assert!(!refused.contains("secret"), "{refused}");
        }
    }

    #[test]
    fn debug_shows_no_password() {
        for (url, shown) in [("postgres://ada:secret@db/tokens", "postgres"), ("redis://:secret@db", "redis")] {
            assert_eq!(format!("{:?}", url.parse::<Database>().expect("an address")), shown);
        }
    }
}
