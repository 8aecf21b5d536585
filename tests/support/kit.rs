//! The whole kit on one store, and on one that is behind its erased forms.

use std::sync::Arc;

use keyfob::{
    Batch, ErasedImport, ErasedMaintenance, ErasedStore, ImportKey, ImportOutcome, ImportRow, ImportStore, NoticeStage,
    PageSize, ProjectId, ProjectsQuery, StoreError, StoreMaintenance, Timestamp, TokenKey, TokenRecord, TokenStore,
    conformance,
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
    handed_on!(
        tokens: insert, find, find_recent, list, count, update, revoke, revoke_owner, revoke_family, revoke_batch,
        rotate, touch_many
    );
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
