//! Where the tokens are kept: on SQLite, PostgreSQL or Redis, one type for all of them, behind a cache where one is wanted.

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

/// An engine behind a cache. A bound of zero is no cache: every call asks the engine.
pub type Store = Cached<Engine>;

/// The address of an engine. It may hold a password, so Debug shows its kind only, and no error repeats it.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    Sqlite(PathBuf),
    Postgres(String),
    /// Some nodes of a cluster, or the one server.
    Redis(Vec<String>),
}

impl FromStr for Database {
    type Err = &'static str;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        const FORMS: &str = "the database's address must be sqlite:PATH, postgres://… or redis://…[,redis://…]";
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
    /// Connects, and makes what tables the engine needs. Every change is told, for the caches of other processes; a cache here
    /// follows what they tell. SQLite cannot tell: there the bound alone holds.
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

/// Any of the engines.
pub type Engine = DynStore;

/// Puts the engine behind a cache of this bound, which follows a feed for as long as the process runs. Returns both.
pub fn behind(engine: Engine, bound: Duration, feed: Option<impl Feed + 'static>) -> (Engine, Store) {
    let store = Cached::new(engine.clone(), bound);
    // If nothing is answered from it, nothing need be held.
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
    fn what_is_the_address_of_an_engine() {
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
