//! The database of the tokens: SQLite, PostgreSQL or Redis as one type, with an optional cache in
//! front.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use keyfob::store::{
    DynStore, StoreError,
    cache::{Cached, Feed},
    postgres::{PostgresFeed, PostgresStore},
    redis::RedisStore,
    sqlite::SqliteStore,
};

/// The database of the tokens with a cache in front. If the maximum staleness of the cache is zero,
/// every call queries the database.
pub type Store = Cached<Engine>;

/// The URL of the database of the tokens. The URL may hold a password. So Debug shows only the kind
/// of the database, and no error repeats the URL.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    Sqlite(PathBuf),
    Postgres(String),
    /// The URLs of some nodes of a Redis cluster, or of a single Redis server.
    Redis(Vec<String>),
}

impl FromStr for Database {
    type Err = &'static str;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        const FORMS: &str = "the database URL must be sqlite:PATH, postgres://… or redis://…[,redis://…]";
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() || path.contains('?') { Err(FORMS) } else { Ok(Self::Sqlite(path.into())) };
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres(url.into()));
        }
        let nodes: Vec<String> = url.split(',').map(Into::into).collect();
        if nodes.iter().all(|node| node.starts_with("redis://")) { Ok(Self::Redis(nodes)) } else { Err(FORMS) }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
            Self::Redis(_) => "redis",
        })
    }
}

impl Database {
    /// Connects to the database, and creates the tables that it needs. Returns the database, and
    /// the database with a cache in front. `cache` is the maximum staleness of the cache.
    ///
    /// PostgreSQL and Redis announce every change to the caches of other processes, and a cache
    /// here follows these announcements. SQLite cannot announce changes, so a cached record may be
    /// outdated until the maximum staleness has passed.
    ///
    /// # Errors
    /// Returns [`StoreError`] if the database cannot be reached or its tables cannot be created.
    pub async fn open(&self, cache: Duration) -> Result<(Engine, Store), StoreError> {
        let cached = !cache.is_zero();
        match self {
            Self::Sqlite(path) => Ok(behind(Engine::new(SqliteStore::open(path).await?), cache, None::<PostgresFeed>)),
            Self::Postgres(url) => {
                let store = PostgresStore::connect(url).await?.telling_changes();
                store.migrate().await?;
                let feed = cached.then(|| store.feed());
                Ok(behind(Engine::new(store), cache, feed))
            }
            Self::Redis(nodes) => {
                let store = RedisStore::connect(nodes.iter().map(String::as_str)).await?.with_feed();
                let feed = cached.then(|| store.feed());
                Ok(behind(Engine::new(store), cache, feed))
            }
        }
    }
}

/// The database of the tokens: SQLite, PostgreSQL or Redis.
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
        let nodes = ["redis://10.0.0.1:6379", "redis://:secret@10.0.0.2:6379"];
        assert_eq!(nodes.join(",").parse(), Ok(Database::Redis(nodes.map(Into::into).to_vec())));
        for url in ["", "sqlite:", "sqlite:a?mode=rwc", "tokens.db", "mysql://secret", "redis://a,secret", "rediss://a"]
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
