//! The import of tokens from another system into the MySQL store.

use std::sync::Arc;

use super::handle::MysqlStore;
use crate::adapters::sql::row::{self, columns};
use crate::adapters::sql::server::Server;
use crate::adapters::sql::statement::Statement;
use crate::rules::import_row::ImportRow;
use crate::rules::record::TokenRecord;
use crate::store::import::{ImportRowOutcome, ImportStore};
use crate::words::import_key::ImportKey;
use crate::words::store_error::StoreError;

impl ImportStore for MysqlStore {
    async fn import(&self, batch: Vec<ImportRow>) -> Result<Vec<ImportRowOutcome>, StoreError> {
        self.import_rows(batch, "SELECT project, id FROM keyfob_tokens WHERE import_key = ").await
    }

    async fn find_imported(&self, import_key: &ImportKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let mut sql = Statement::new(concat!("SELECT ", columns!(), " FROM keyfob_tokens WHERE import_key = "));
        sql.bind(import_key.as_bytes().as_slice());
        let rows = self.rows(sql).await?;
        Ok(rows.first().map(row::record).transpose()?.map(Arc::new))
    }
}
