//! Where the tokens are kept: on SQLite, PostgreSQL or Redis, one type for all of them, behind a cache where one is wanted.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use keyfob::{
    Batch, Cached, Change, CountQuery, ErasedMaintenance, ErasedStore, Feed, IssuerCondition, ListQuery, NoticeStage,
    OwnerId, OwnerLimit, Page, PageSize, PostgresFeed, PostgresStore, ProjectId, ProjectsQuery, Recent, RedisStore,
    Revocation, RevokeBatch, SqliteStore, StoreError, StoreMaintenance, Timestamp, TokenId, TokenKey, TokenRecord,
    TokenStore, Touch,
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
            Self::Sqlite(path) => Ok(Engine::of(SqliteStore::open(path).await?).behind(cache, None::<PostgresFeed>)),
            Self::Postgres(url) => {
                let store = PostgresStore::connect(url).await?.telling_changes();
                store.migrate().await?;
                let feed = cached.then(|| store.feed());
                Ok(Engine::of(store).behind(cache, feed))
            }
            Self::Redis(nodes) => {
                let store = RedisStore::connect(nodes.iter().map(String::as_str)).await?.with_feed();
                let feed = cached.then(|| store.feed());
                Ok(Engine::of(store).behind(cache, feed))
            }
        }
    }
}

/// Any of the engines.
#[derive(Clone, Debug)]
pub struct Engine {
    store: ErasedStore,
    maintenance: ErasedMaintenance,
}

impl Engine {
    pub fn of(store: impl TokenStore + StoreMaintenance + Clone + 'static) -> Self {
        Self { store: ErasedStore::new(store.clone()), maintenance: ErasedMaintenance::new(store) }
    }

    /// The engine, and the same behind a cache of this bound, which follows a feed for as long as the process runs.
    pub fn behind(self, bound: Duration, feed: Option<impl Feed + 'static>) -> (Self, Store) {
        let store = Cached::new(self.clone(), bound);
        // Where nothing is answered from it, nothing need be held.
        let store = if bound.is_zero() { store.with_entries(0) } else { store };
        if let Some(feed) = feed {
            let following = store.clone();
            tokio::spawn(async move { following.follow(feed).await });
        }
        (self, store)
    }
}

type Found = Option<Arc<TokenRecord>>;

#[deny(clippy::missing_trait_methods)]
impl TokenStore for Engine {
    async fn insert(
        &self,
        record: TokenRecord,
        limit: Option<OwnerLimit>,
        issuer: Option<IssuerCondition>,
    ) -> Result<Arc<TokenRecord>, StoreError> {
        self.store.insert(record, limit, issuer).await
    }

    async fn find(&self, key: &TokenKey) -> Result<Found, StoreError> {
        self.store.find(key).await
    }

    async fn find_durable(&self, key: &TokenKey) -> Result<Found, StoreError> {
        self.store.find_durable(key).await
    }

    async fn find_recent(&self, key: &TokenKey) -> Result<Recent, StoreError> {
        self.store.find_recent(key).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Arc<TokenRecord>>, StoreError> {
        self.store.list(query).await
    }

    async fn count(&self, query: &CountQuery) -> Result<u64, StoreError> {
        self.store.count(query).await
    }

    async fn update(&self, key: &TokenKey, expected_version: u64, change: Change) -> Result<Found, StoreError> {
        self.store.update(key, expected_version, change).await
    }

    async fn revoke(&self, key: &TokenKey, revocation: &Revocation) -> Result<Found, StoreError> {
        self.store.revoke(key, revocation).await
    }

    async fn revoke_owner(
        &self,
        project: &ProjectId,
        owner: &OwnerId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        self.store.revoke_owner(project, owner, revocation).await
    }

    async fn revoke_family(
        &self,
        project: &ProjectId,
        family: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        self.store.revoke_family(project, family, revocation).await
    }

    async fn revoke_batch(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        batch: RevokeBatch,
        most: PageSize,
    ) -> Result<Batch, StoreError> {
        self.store.revoke_batch(project, revocation, batch, most).await
    }

    async fn rotate(
        &self,
        key: &TokenKey,
        expected_version: u64,
        successor: TokenRecord,
        grace_until: Timestamp,
        issuer: Option<IssuerCondition>,
    ) -> Result<Found, StoreError> {
        self.store.rotate(key, expected_version, successor, grace_until, issuer).await
    }

    async fn touch_many(&self, touches: &[Touch]) -> Result<u64, StoreError> {
        self.store.touch_many(touches).await
    }
}

#[deny(clippy::missing_trait_methods)]
impl StoreMaintenance for Engine {
    async fn projects(&self, query: &ProjectsQuery) -> Result<Vec<ProjectId>, StoreError> {
        self.maintenance.projects(query).await
    }

    async fn purge(&self, project: &ProjectId, ended_before: Timestamp, most: PageSize) -> Result<Batch, StoreError> {
        self.maintenance.purge(project, ended_before, most).await
    }

    async fn claim_notices(
        &self,
        project: &ProjectId,
        now: Timestamp,
        lease_until: Timestamp,
        most: PageSize,
    ) -> Result<Vec<Arc<TokenRecord>>, StoreError> {
        self.maintenance.claim_notices(project, now, lease_until, most).await
    }

    async fn acknowledge_notice(&self, key: &TokenKey, stage: NoticeStage) -> Result<Found, StoreError> {
        self.maintenance.acknowledge_notice(key, stage).await
    }
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
