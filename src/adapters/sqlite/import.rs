//! Imported tokens.

use std::sync::Arc;

use super::SqliteStore;
use super::failure::failed;
use super::row::{self, columns};
use super::store::execute;
use crate::rules::record::TokenRecord;
use crate::service::store::{ImportKey, ImportStore};
use crate::service::store_error::StoreError;

impl ImportStore for SqliteStore {
    async fn import(&self, record: TokenRecord, import_key: ImportKey) -> Result<Arc<TokenRecord>, StoreError> {
        let mut writer = self.writer().await?;
        execute(&mut row::insert(&record, Some(&import_key))?, &mut writer.within).await?;
        Ok(Arc::new(record))
    }

    async fn find_imported(&self, import_key: &ImportKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        const FIND: &str = concat!("SELECT ", columns!(), " FROM keyfob_tokens WHERE import_key = $1");
        let query = sqlx::query(FIND).bind(import_key.as_bytes().as_slice());
        let row = query.fetch_optional(&self.pool).await.map_err(failed)?;
        Ok(row.as_ref().map(row::record).transpose()?.map(Arc::new))
    }
}
