//! The databases: SQLite, PostgreSQL, MariaDB or Redis as one type for the tokens, with an optional
//! cache in front, and all but Redis for the state of the host.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use keyfob::store::{
    DynStore, StoreError, StoreErrorKind,
    cache::{Cached, Feed},
    mysql::MysqlStore,
    postgres::{PostgresFeed, PostgresStore},
    redis::{RedisOptions, RedisStore},
    sqlite::SqliteStore,
};
use reqwest::Url;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection, SqlitePool};

use crate::db::Db;
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
        const FORMS: &str = "no URL of SQLite, PostgreSQL, MariaDB or Redis";
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

/// Writes a name with the host and the port of a URL. If the URL has no host, writes only the name.
fn at(f: &mut fmt::Formatter<'_>, name: &str, url: &str) -> fmt::Result {
    let url = Url::parse(url).ok();
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
                    None => open_file(path).await?,
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
                let store = RedisStore::connect_with(redis_options(nodes)?).await?.with_feed();
                let feed = cached.then(|| store.feed());
                Ok(behind(Engine::new(store), cache, feed))
            }
        }
    }

    /// Connects to the database of the tokens, and changes nothing. Does nothing for a SQLite file
    /// that does not exist.
    ///
    /// # Errors
    /// Returns [`StoreError`] if the database cannot be reached.
    pub async fn reach(&self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) if self.is_absent_file() => {}
            Self::Sqlite(path) => drop(open_file(path).await?),
            Self::Postgres(url) => drop(PostgresStore::connect(url).await?),
            Self::MariaDb(url) => drop(MysqlStore::connect(url).await?),
            Self::Redis(nodes) => drop(RedisStore::connect_with(redis_options(nodes)?).await?),
        }
        Ok(())
    }

    /// Returns whether the database is a SQLite file that does not exist.
    pub fn is_absent_file(&self) -> bool {
        matches!(self, Self::Sqlite(path) if matches!(path.try_exists(), Ok(false)))
    }

    /// Connects to the database for the state of the host. Writes nothing, except that it creates
    /// and migrates the token store of a SQLite file.
    ///
    /// # Errors
    /// Returns an error if the database is Redis, or if it cannot be reached.
    pub async fn connect_state(&self) -> Result<Db, SetupError> {
        Ok(match self {
            Self::Sqlite(path) => Db::of_store(&open_file(path).await?),
            Self::Postgres(url) => Db::postgres(url).await?,
            Self::MariaDb(url) => Db::mariadb(url).await?,
            Self::Redis(_) => return Err("it can hold only tokens".into()),
        })
    }

    /// Returns the parameters of its URLs that name files for TLS, each with its file.
    pub fn tls_files(&self) -> Vec<(String, PathBuf)> {
        let urls: &[String] = match self {
            Self::Sqlite(_) => &[],
            Self::Postgres(url) | Self::MariaDb(url) => std::slice::from_ref(url),
            Self::Redis(nodes) => &nodes[..],
        };
        let files = urls.iter().filter_map(|url| Url::parse(url).ok()).flat_map(|url| {
            let pairs = url.query_pairs().filter(|(name, _)| TLS_FILES.contains(&&**name));
            pairs.map(|(name, path)| (name.into_owned(), PathBuf::from(&*path))).collect::<Vec<_>>()
        });
        files.collect()
    }
}

/// The parameter of a URL of Redis that names a file with root certificates.
pub const REDIS_ROOTS: &str = "ssl_ca_certs";
/// The parameters of URLs that name files for TLS.
const TLS_FILES: [&str; 9] =
    [REDIS_ROOTS, "sslrootcert", "ssl-root-cert", "sslca", "ssl-ca", "sslcert", "ssl-cert", "sslkey", "ssl-key"];

/// Returns the options of the connections to Redis. With root certificates, the client trusts no
/// other authority.
///
/// # Errors
/// Returns [`StoreError`] if a file with root certificates cannot be read.
fn redis_options(nodes: &[String]) -> Result<RedisOptions, StoreError> {
    let options = RedisOptions::new(nodes.iter().map(|url| without_roots(url)));
    let files: BTreeSet<PathBuf> =
        Database::Redis(nodes.to_vec()).tls_files().into_iter().map(|(_, file)| file).collect();
    let mut roots = Vec::new();
    for file in &files {
        roots.extend(std::fs::read(file).map_err(|error| StoreError::with_source(StoreErrorKind::Other, error))?);
        roots.push(b'\n');
    }
    Ok(if files.is_empty() { options } else { options.with_root_certificates(roots) })
}

/// Returns a URL of Redis without [`REDIS_ROOTS`], which the client does not know.
fn without_roots(url: &str) -> String {
    let Some(mut parsed) = Url::parse(url).ok().filter(|url| url.query().is_some()) else { return url.into() };
    let rest: Vec<(String, String)> =
        parsed.query_pairs().into_owned().filter(|(name, _)| name != REDIS_ROOTS).collect();
    if rest.is_empty() {
        parsed.set_query(None);
    } else {
        parsed.query_pairs_mut().clear().extend_pairs(rest);
    }
    parsed.into()
}

/// Opens a SQLite file for the tokens and the state of the host. If the file does not exist,
/// creates it.
///
/// # Errors
/// Returns [`StoreError`] if the file cannot be opened, or if it is the database of another
/// program, which then stays as it is.
pub async fn open_file(path: &Path) -> Result<SqliteStore, StoreError> {
    if path.metadata().is_ok_and(|file| file.len() > 0) && is_foreign(path).await {
        return Err(StoreError::with_source(StoreErrorKind::Other, "it is a SQLite database of another program"));
    }
    SqliteStore::open(path).await
}

/// Returns whether a SQLite file has tables, and none of keyfob. Returns `false` if it cannot be
/// read.
async fn is_foreign(path: &Path) -> bool {
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    let Ok(mut file) = SqliteConnection::connect_with(&options).await else { return false };
    let sql = "SELECT count(*) > 0 AND sum(name LIKE 'keyfob%') = 0 FROM sqlite_schema WHERE type = 'table'";
    let foreign = sqlx::query_scalar(sql).fetch_one(&mut file).await;
    // An error while closing changes nothing: the answer is known, and nothing was written.
    drop(file.close().await);
    foreign.unwrap_or(false)
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
    fn root_certificates_are_taken_from_the_urls_of_redis() {
        let nodes =
            "rediss://:p%2Fw@a:6380/1?ssl_ca_certs=/etc/ca%20x.pem&protocol=3,rediss://b?ssl_ca_certs=/etc/ca.pem";
        let Ok(Database::Redis(nodes)) = nodes.parse() else { panic!("it is Redis") };
        let known: Vec<String> = nodes.iter().map(|url| without_roots(url)).collect();
        assert_eq!(known, ["rediss://:p%2Fw@a:6380/1?protocol=3", "rediss://b"]);
        let file = |path: &str| ("ssl_ca_certs".to_owned(), PathBuf::from(path));
        assert_eq!(Database::Redis(nodes).tls_files(), [file("/etc/ca x.pem"), file("/etc/ca.pem")]);
        for url in ["redis://a:1", "redis://a:port?ssl_ca_certs=/x"] {
            assert_eq!(without_roots(url), url);
        }
    }

    #[test]
    fn debug_shows_no_password() {
        for (url, shown) in [("postgres://ada:secret@db/tokens", "postgres"), ("redis://:secret@db", "redis")] {
            assert_eq!(format!("{:?}", url.parse::<Database>().expect("an address")), shown);
        }
    }
}
