//! The statements of a transaction on SQLite, for the shared operations.

use std::sync::Arc;

use sqlx::{Row, Sqlite, SqliteConnection};

use super::failure::failed;
use crate::adapters::sql::query::and_project;
use crate::adapters::sql::row::{self, columns, records};
use crate::adapters::sql::session::{Conditions, Session};
use crate::adapters::sql::statement::{Statement, fixed};
use crate::adapters::sql::write;
use crate::adapters::sql::{Dialect, SQLITE};
use crate::rules::import_row::ImportRow;
use crate::rules::precondition::IssuerCondition;
use crate::rules::record::{Revocation, TokenRecord};
use crate::store::query::PageSize;
use crate::words::ids::{ProjectId, TokenKey};
use crate::words::store_error::StoreError;

/// The locked rows need no lock of their own, because a transaction that writes holds the write
/// lock of the file.
impl Session for SqliteConnection {
    const DIALECT: &'static Dialect = &SQLITE;

    async fn write(&mut self, sql: Statement) -> Result<u64, StoreError> {
        sql.query::<Sqlite>().execute(self).await.map(|done| done.rows_affected()).map_err(failed)
    }

    async fn change(&mut self, _key: &TokenKey, sql: Statement) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        changed(sql, self).await
    }

    async fn revoke_rows(
        &mut self,
        project: &ProjectId,
        revocation: &Revocation,
        most: PageSize,
        left: Conditions<'_>,
    ) -> Result<u64, StoreError> {
        let mut sql = write::set_revoked(revocation);
        and_project(&mut sql, project);
        sql.push(" AND id IN (SELECT id FROM keyfob_tokens WHERE ");
        left(&mut sql);
        sql.push(" LIMIT ").bind(most.get() as i64).push(")");
        self.write(sql).await
    }

    async fn is_true(&mut self, sql: Statement) -> Result<bool, StoreError> {
        let row = sql.query::<Sqlite>().fetch_one(self).await.map_err(failed)?;
        row.try_get(0).map_err(failed)
    }

    async fn key(&mut self, sql: Statement) -> Result<Option<TokenKey>, StoreError> {
        let row = sql.query::<Sqlite>().fetch_optional(self).await.map_err(failed)?;
        row.as_ref().map(row::key).transpose()
    }

    async fn insert_imported(&mut self, row: &ImportRow) -> Result<bool, StoreError> {
        let mut sql = row::insert(&row.record, Some(&row.import_key))?;
        // The look-up key is free, so only the primary key can conflict. Without the WHERE, SQLite
        // parses ON as part of a join (https://www.sqlite.org/lang_upsert.html).
        sql.push(" WHERE true ON CONFLICT DO NOTHING");
        Ok(self.write(sql).await? > 0)
    }

    async fn find(&mut self, key: &TokenKey) -> Result<Option<TokenRecord>, StoreError> {
        find(key, self).await
    }

    async fn locked(&mut self, key: &TokenKey) -> Result<Option<TokenRecord>, StoreError> {
        find(key, self).await
    }

    async fn locked_chain(
        &mut self,
        key: &TokenKey,
        issuer: Option<IssuerCondition>,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        const CHAIN: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM keyfob_tokens WHERE project = $1 AND id IN ($2, $3, \
             (SELECT rotated_to FROM keyfob_tokens WHERE project = $1 AND id = $2), \
             (SELECT rotated_from FROM keyfob_tokens WHERE project = $1 AND id = $2))"
        );
        let query = sqlx::query(CHAIN).bind(key.project.as_str()).bind(key.id.as_str());
        let query = query.bind(issuer.map(|condition| condition.id.as_str().to_owned()));
        let rows = query.fetch_all(self).await.map_err(failed)?;
        rows.iter().map(row::record).collect()
    }
}

/// Runs an `UPDATE` of at most one row, and reads all of its result. Returns the new record, or
/// `None` if no row was updated.
pub(super) async fn changed(
    mut sql: Statement,
    connection: &mut SqliteConnection,
) -> Result<Option<Arc<TokenRecord>>, StoreError> {
    sql.push(concat!(" RETURNING ", columns!()));
    let rows = sql.query::<Sqlite>().fetch_all(connection).await.map_err(failed)?;
    Ok(records(rows.iter())?.pop())
}

/// Finds a record by its key. Every verification runs this query. Its text is constant, so that
/// SQLite prepares the query only once for each connection.
pub(super) async fn find(key: &TokenKey, connection: &mut SqliteConnection) -> Result<Option<TokenRecord>, StoreError> {
    const FIND: &str = concat!("SELECT ", columns!(), " FROM keyfob_tokens WHERE project = $1 AND id = $2");
    let query = sqlx::query(fixed(FIND)).bind(key.project.as_str()).bind(key.id.as_str());
    query.fetch_optional(connection).await.map_err(failed)?.as_ref().map(row::record).transpose()
}
