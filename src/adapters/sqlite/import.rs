//! Imported tokens.

use std::sync::Arc;

use super::SqliteStore;
use super::failure::failed;
use super::store::execute;
use crate::adapters::sql::row::{self, columns};
use crate::rules::record::TokenRecord;
use crate::service::store::{ImportKey, ImportOutcome, ImportRow, ImportStore};
use crate::service::store_error::StoreError;

impl ImportStore for SqliteStore {
    async fn import(&self, batch: Vec<ImportRow>) -> Result<Vec<ImportOutcome>, StoreError> {
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut writing = self.begin().await?;
        for ImportRow { record, import_key } in &batch {
            let mut sql = row::insert(record, Some(import_key))?;
            // Either unique key, and no other constraint. Without the WHERE, SQLite takes ON for that of a join.
            sql.push(" WHERE true ON CONFLICT DO NOTHING");
            outcomes.push(match execute(sql, &mut writing.within).await? {
                0 => ImportOutcome::Exists,
                _ => ImportOutcome::Inserted,
            });
        }
        writing.commit().await?;
        Ok(outcomes)
    }

    async fn find_imported(&self, import_key: &ImportKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        const FIND: &str = concat!("SELECT ", columns!(), " FROM keyfob_tokens WHERE import_key = $1");
        let query = sqlx::query(FIND).bind(import_key.as_bytes().as_slice());
        let row = query.fetch_optional(&self.pool).await.map_err(failed)?;
        Ok(row.as_ref().map(row::record).transpose()?.map(Arc::new))
    }
}
