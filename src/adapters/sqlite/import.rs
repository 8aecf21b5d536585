//! The import of tokens from another system into the SQLite store.

use std::sync::Arc;

use sqlx::SqliteConnection;

use super::failure::failed;
use super::handle::SqliteStore;
use super::store::execute;
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
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut writing = self.begin().await?;
        for row in &batch {
            outcomes.push(import(row, &mut writing.within).await?);
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

/// Imports one row. The connection must be in a transaction that holds the write lock.
async fn import(row: &ImportRow, connection: &mut SqliteConnection) -> Result<ImportRowOutcome, StoreError> {
    const FIND: &str = "SELECT project, id FROM keyfob_tokens WHERE import_key = $1";
    for key in row.keys() {
        let found = sqlx::query(fixed(FIND)).bind(key.as_bytes().as_slice()).fetch_optional(&mut *connection).await;
        if let Some(found) = found.map_err(failed)? {
            return row::key(&found).map(ImportRowOutcome::Exists);
        }
    }
    let mut sql = row::insert(&row.record, Some(&row.import_key))?;
    // The import keys were looked up above, so only the primary key can conflict. Without the
    // WHERE, SQLite parses ON as part of a join (https://www.sqlite.org/lang_upsert.html).
    sql.push(" WHERE true ON CONFLICT DO NOTHING");
    Ok(match execute(sql, connection).await? {
        0 => ImportRowOutcome::Exists(row.record.key()),
        _ => ImportRowOutcome::Inserted,
    })
}
