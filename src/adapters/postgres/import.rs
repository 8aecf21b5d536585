//! The import of tokens from another system into the PostgreSQL store.

use std::sync::Arc;

use super::handle::PostgresStore;
use crate::adapters::sql::row::{self, columns};
use crate::adapters::sql::server::Server;
use crate::rules::import_row::ImportRow;
use crate::rules::record::TokenRecord;
use crate::store::import::{ImportRowOutcome, ImportStore};
use crate::words::import_key::ImportKey;
use crate::words::store_error::StoreError;

impl ImportStore for PostgresStore {
    async fn import(&self, batch: Vec<ImportRow>) -> Result<Vec<ImportRowOutcome>, StoreError> {
        self.import_rows(batch, "SELECT project, id FROM keyfob_imports WHERE import_key = ").await
    }

    async fn find_imported(&self, import_key: &ImportKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        const FIND: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM keyfob_tokens WHERE (project, id) = (SELECT project, id FROM keyfob_imports WHERE import_key = $1)"
        );
        let rows = self.rows(|| sqlx::query(FIND).bind(import_key.as_bytes().as_slice())).await?;
        Ok(rows.first().map(row::record).transpose()?.map(Arc::new))
    }
}
