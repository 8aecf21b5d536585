//! The whole kit on one store, and on one that is behind its erased forms.

use std::sync::Arc;

use keyfob::{
    Batch, Change, CountQuery, ErasedImport, ErasedMaintenance, ErasedStore, ImportKey, ImportOutcome, ImportRow,
    ImportStore, ListQuery, NoticeStage, OwnerLimit, Page, PageSize, ProjectId, ProjectsQuery, Recent, Revocation,
    RevokeMatching, StoreError, StoreMaintenance, Timestamp, TokenKey, TokenRecord, TokenStore, Touch, conformance,
};

pub async fn keeps_every_law<S: TokenStore + StoreMaintenance + ImportStore>(store: S) {
    keeps_the_laws_of_tokens(&store).await;
    conformance::import(&store).await.assert();
}

/// For a store without imports.
pub async fn keeps_the_laws_of_tokens<S: TokenStore + StoreMaintenance>(store: S) {
    conformance::token_store(&store).await.assert();
    conformance::maintenance(&store).await.assert();
}

/// The three erased traits of one store, together again.
pub struct Erased {
    tokens: ErasedStore,
    maintenance: ErasedMaintenance,
    import: ErasedImport,
}

impl Erased {
    pub fn new<S: TokenStore + StoreMaintenance + ImportStore + 'static>(store: S) -> Self {
        let store = Arc::new(store);
        Self {
            tokens: ErasedStore::new(Arc::clone(&store)),
            maintenance: ErasedMaintenance::new(Arc::clone(&store)),
            import: ErasedImport::new(store),
        }
    }
}

type Answer<T> = Result<T, StoreError>;
type Row = Arc<TokenRecord>;

impl TokenStore for Erased {
    async fn insert(&self, record: TokenRecord, limit: Option<OwnerLimit>) -> Answer<Row> {
        self.tokens.insert(record, limit).await
    }

    async fn find(&self, key: &TokenKey) -> Answer<Option<Row>> {
        self.tokens.find(key).await
    }

    async fn find_recent(&self, key: &TokenKey) -> Answer<Recent> {
        self.tokens.find_recent(key).await
    }

    async fn list(&self, query: &ListQuery) -> Answer<Page<Row>> {
        self.tokens.list(query).await
    }

    async fn count(&self, query: &CountQuery) -> Answer<u64> {
        self.tokens.count(query).await
    }

    async fn update(&self, key: &TokenKey, expected_version: u64, change: Change) -> Answer<Option<Row>> {
        self.tokens.update(key, expected_version, change).await
    }

    async fn revoke(&self, key: &TokenKey, revocation: &Revocation) -> Answer<Option<Row>> {
        self.tokens.revoke(key, revocation).await
    }

    async fn revoke_matching(&self, matching: &RevokeMatching, revocation: &Revocation) -> Answer<Batch> {
        self.tokens.revoke_matching(matching, revocation).await
    }

    async fn rotate(
        &self,
        key: &TokenKey,
        expected_version: u64,
        successor: TokenRecord,
        grace_until: Timestamp,
    ) -> Answer<Option<Row>> {
        self.tokens.rotate(key, expected_version, successor, grace_until).await
    }

    async fn touch_many(&self, touches: &[Touch]) -> Answer<u64> {
        self.tokens.touch_many(touches).await
    }
}

impl StoreMaintenance for Erased {
    async fn projects(&self, query: &ProjectsQuery) -> Answer<Vec<ProjectId>> {
        self.maintenance.projects(query).await
    }

    async fn purge(&self, project: &ProjectId, ended_before: Timestamp, most: PageSize) -> Answer<Batch> {
        self.maintenance.purge(project, ended_before, most).await
    }

    async fn claim_notices(
        &self,
        project: &ProjectId,
        now: Timestamp,
        lease_until: Timestamp,
        most: PageSize,
    ) -> Answer<Vec<Row>> {
        self.maintenance.claim_notices(project, now, lease_until, most).await
    }

    async fn acknowledge_notice(&self, key: &TokenKey, stage: NoticeStage) -> Answer<Option<Row>> {
        self.maintenance.acknowledge_notice(key, stage).await
    }
}

impl ImportStore for Erased {
    async fn import(&self, batch: Vec<ImportRow>) -> Answer<Vec<ImportOutcome>> {
        self.import.import(batch).await
    }

    async fn find_imported(&self, import_key: &ImportKey) -> Answer<Option<Row>> {
        self.import.find_imported(import_key).await
    }
}
