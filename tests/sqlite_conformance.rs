//! The SQLite store against every law of the contract: by value, behind each pointer, erased, and on a pool of one.

use std::sync::Arc;

use keyfob::{
    Batch, Change, CountQuery, ErasedImport, ErasedMaintenance, ErasedStore, ImportKey, ImportStore, ListQuery,
    NoticeStage, OwnerLimit, Page, PageSize, ProjectId, ProjectsQuery, Revocation, RevokeMatching, SqliteStore,
    StoreError, StoreMaintenance, Timestamp, TokenKey, TokenRecord, TokenStore, Touch, conformance,
};
use sqlx::sqlite::SqlitePoolOptions;
use tempfile::TempDir;

async fn opened() -> (SqliteStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("tokens.db")).await.unwrap();
    (store, folder)
}

async fn keeps_every_law<S: TokenStore + StoreMaintenance + ImportStore>(store: S) {
    conformance::token_store(&store).await.assert();
    conformance::maintenance(&store).await.assert();
    conformance::import(&store).await.assert();
}

#[tokio::test]
async fn by_value() {
    let (store, _folder) = opened().await;
    keeps_every_law(store).await;
}

#[tokio::test]
async fn by_reference() {
    let (store, _folder) = opened().await;
    keeps_every_law(&store).await;
}

#[tokio::test]
async fn in_an_arc() {
    let (store, _folder) = opened().await;
    keeps_every_law(Arc::new(store)).await;
}

#[tokio::test]
async fn in_a_box() {
    let (store, _folder) = opened().await;
    keeps_every_law(Box::new(store)).await;
}

#[tokio::test]
async fn on_one_connection() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteStore::connect_options(folder.path().join("tokens.db")).create_if_missing(true);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let store = SqliteStore::from_pool(pool).await.unwrap();
    store.migrate().await.unwrap();
    keeps_every_law(store).await;
}

#[tokio::test]
async fn erased() {
    let (store, _folder) = opened().await;
    let store = Arc::new(store);
    keeps_every_law(Erased {
        store: ErasedStore::new(Arc::clone(&store)),
        maintenance: ErasedMaintenance::new(Arc::clone(&store)),
        import: ErasedImport::new(store),
    })
    .await;
}

/// Each trait through its own erased store.
struct Erased {
    store: ErasedStore,
    maintenance: ErasedMaintenance,
    import: ErasedImport,
}

type Found = Result<Option<Arc<TokenRecord>>, StoreError>;

impl TokenStore for Erased {
    async fn insert(&self, record: TokenRecord, limit: Option<OwnerLimit>) -> Result<Arc<TokenRecord>, StoreError> {
        self.store.insert(record, limit).await
    }

    async fn find(&self, key: &TokenKey) -> Found {
        self.store.find(key).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Arc<TokenRecord>>, StoreError> {
        self.store.list(query).await
    }

    async fn count(&self, query: &CountQuery) -> Result<u64, StoreError> {
        self.store.count(query).await
    }

    async fn update(&self, key: &TokenKey, expected_version: u64, change: Change) -> Found {
        self.store.update(key, expected_version, change).await
    }

    async fn revoke(&self, key: &TokenKey, revocation: &Revocation) -> Found {
        self.store.revoke(key, revocation).await
    }

    async fn revoke_matching(&self, matching: &RevokeMatching, revocation: &Revocation) -> Result<Batch, StoreError> {
        self.store.revoke_matching(matching, revocation).await
    }

    async fn rotate(&self, key: &TokenKey, version: u64, successor: TokenRecord, grace_until: Timestamp) -> Found {
        self.store.rotate(key, version, successor, grace_until).await
    }

    async fn touch_many(&self, touches: &[Touch]) -> Result<u64, StoreError> {
        self.store.touch_many(touches).await
    }
}

impl StoreMaintenance for Erased {
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

    async fn acknowledge_notice(&self, key: &TokenKey, stage: NoticeStage) -> Found {
        self.maintenance.acknowledge_notice(key, stage).await
    }
}

impl ImportStore for Erased {
    async fn import(&self, record: TokenRecord, import_key: ImportKey) -> Result<Arc<TokenRecord>, StoreError> {
        self.import.import(record, import_key).await
    }

    async fn find_imported(&self, import_key: &ImportKey) -> Found {
        self.import.find_imported(import_key).await
    }
}
