//! The import of tokens from another system into the SQLite store.

use std::sync::Arc;

use super::failure::failed;
use super::handle::SqliteStore;
use crate::adapters::sql::calls;
use crate::adapters::sql::row::{self, columns};
use crate::adapters::sql::statement::fixed;
use crate::rules::import_row::ImportRow;
use crate::rules::record::TokenRecord;
use crate::store::import::{ImportRowOutcome, ImportStore};
use crate::words::import_key::ImportKey;
use crate::words::store_error::StoreError;

impl ImportStore for SqliteStore {
    async fn import(&self, batch: Vec<ImportRow>) -> Result<Vec<ImportRowOutcome>, StoreError> {
        ImportRow::ensure_unbound(&batch)?;
        const FIND: &str = "SELECT project, id FROM keyfob_tokens WHERE import_key = ";
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut writing = self.begin().await?;
        for row in &batch {
            outcomes.push(calls::import(&mut *writing.within, row, FIND).await?);
        }
        writing.commit().await?;
        Ok(outcomes)
    }

    async fn find_imported(&self, import_key: &ImportKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        const FIND: &str = concat!("SELECT ", columns!(), " FROM keyfob_tokens WHERE import_key = $1");
        let query = sqlx::query(fixed(FIND)).bind(import_key.as_bytes().as_slice());
        let row = query.fetch_optional(&self.pool).await.map_err(failed)?;
        Ok(row.as_ref().map(row::record).transpose()?.map(Arc::new))
    }
}
