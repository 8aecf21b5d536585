//! Imported tokens.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::store::execute;
use super::{Changed, PostgresStore, in_time};
use crate::adapters::sql::row::{self, columns};
use crate::adapters::sql::statement::Statement;
use crate::rules::record::TokenRecord;
use crate::service::store::{ImportKey, ImportOutcome, ImportRow, ImportStore};
use crate::service::store_error::StoreError;

/// No project has this name: it is the turn of imports.
const IMPORTS: &str = "";

impl ImportStore for PostgresStore {
    async fn import(&self, batch: Vec<ImportRow>) -> Result<Vec<ImportOutcome>, StoreError> {
        let mut outcomes = Vec::with_capacity(batch.len());
        // With the turn, so that two batches with the same rows do not wait for each other.
        let mut transaction = in_time(self.begin_turn(IMPORTS)).await?;
        for ImportRow { record, import_key } in &batch {
            let mut sql = Statement::new("WITH token AS (");
            sql.append(row::insert(record, None)?);
            sql.push(" WHERE NOT EXISTS (SELECT 1 FROM keyfob_imports WHERE import_key = ");
            sql.bind(import_key.as_bytes().as_slice());
            sql.push(") ON CONFLICT DO NOTHING RETURNING project, id) ");
            sql.push("INSERT INTO keyfob_imports (import_key, project, id) SELECT ");
            sql.bind(import_key.as_bytes().as_slice()).push(", project, id FROM token");
            outcomes.push(match in_time(execute(sql, &mut transaction)).await? {
                0 => ImportOutcome::Exists,
                _ => ImportOutcome::Inserted,
            });
        }
        let projects: BTreeSet<_> = batch.iter().map(|row| &row.record.project).collect();
        let changed: Vec<_> = projects.into_iter().map(Changed::Project).collect();
        in_time(self.commit(transaction, &changed)).await?;
        Ok(outcomes)
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
