//! The import of tokens from another system into the PostgreSQL store.

use std::collections::BTreeSet;
use std::sync::Arc;

use sqlx::PgConnection;

use super::changed::Changed;
use super::failure::failed;
use super::handle::PostgresStore;
use super::patience::in_time;
use super::store::execute;
use crate::adapters::sql::row::{self, columns};
use crate::adapters::sql::statement::Statement;
use crate::rules::import_row::ImportRow;
use crate::rules::record::TokenRecord;
use crate::store::import::{ImportRowOutcome, ImportStore};
use crate::words::import_key::ImportKey;
use crate::words::store_error::StoreError;

/// The name of the row in `keyfob_turns` that an import locks. This lock is the turn of imports. No
/// project has this name.
const IMPORTS: &str = "";

impl ImportStore for PostgresStore {
    async fn import(&self, batch: Vec<ImportRow>) -> Result<Vec<ImportRowOutcome>, StoreError> {
        ImportRow::ensure_unbound(&batch)?;
        let mut outcomes = Vec::with_capacity(batch.len());
        // The turn keeps two batches with the same rows from waiting for each other's locks.
        let mut transaction = in_time(self.begin_turn(IMPORTS)).await?;
        for row in &batch {
            outcomes.push(in_time(import(row, &mut transaction)).await?);
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

/// Imports one row. The connection must be in a transaction that holds the turn of imports (the
/// lock on the row [`IMPORTS`]).
async fn import(row: &ImportRow, connection: &mut PgConnection) -> Result<ImportRowOutcome, StoreError> {
    const FIND: &str = "SELECT project, id FROM keyfob_imports WHERE import_key = $1";
    for key in row.keys() {
        let found = sqlx::query(FIND).bind(key.as_bytes().as_slice()).fetch_optional(&mut *connection).await;
        if let Some(found) = found.map_err(failed)? {
            return row::key(&found).map(ImportRowOutcome::Exists);
        }
    }
    let mut sql = Statement::new("WITH token AS (");
    sql.append(row::insert(&row.record, None)?);
    sql.push(" WHERE true ON CONFLICT DO NOTHING RETURNING project, id) ");
    sql.push("INSERT INTO keyfob_imports (import_key, project, id) SELECT ");
    sql.bind(row.import_key.as_bytes().as_slice()).push(", project, id FROM token");
    Ok(match execute(sql, connection).await? {
        0 => ImportRowOutcome::Exists(row.record.key()),
        _ => ImportRowOutcome::Inserted,
    })
}
