//! The maintenance operations of the SQLite store: listing projects, purging tokens, finding ended
//! issuers and claiming notices.

use std::sync::Arc;

use sqlx::Sqlite;

use super::failure::failed;
use super::handle::SqliteStore;
use super::store::{changed, execute, none_left};
use crate::adapters::sql::SQLITE;
use crate::adapters::sql::projects;
use crate::adapters::sql::query::{self, and_due, and_project};
use crate::adapters::sql::row::{self, columns, records};
use crate::adapters::sql::statement::Statement;
use crate::adapters::sql::write::{self, and_ended};
use crate::rules::notice_lead::NoticeLead;
use crate::rules::record::TokenRecord;
use crate::store::group::BatchResult;
use crate::store::maintenance::{ProjectsQuery, StoreMaintenance};
use crate::store::query::PageSize;
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::store_error::StoreError;
use crate::words::timestamp::Timestamp;

impl StoreMaintenance for SqliteStore {
    async fn projects(&self, query: &ProjectsQuery) -> Result<Vec<ProjectId>, StoreError> {
        let rows = projects::projects(&SQLITE, query).query::<Sqlite>().fetch_all(&self.pool).await.map_err(failed)?;
        rows.iter().map(row::project).collect()
    }

    async fn purge(
        &self,
        project: &ProjectId,
        ended_before: Timestamp,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        let ended = |sql: &mut Statement| and_ended(sql, project, ended_before);
        let mut sql = Statement::new("DELETE FROM keyfob_tokens WHERE ");
        and_project(&mut sql, project);
        sql.push(" AND id IN (SELECT id FROM keyfob_tokens WHERE ");
        ended(&mut sql);
        sql.push(" LIMIT ").bind(most.get() as i64).push(")");
        if self.is_none(ended).await? {
            return Ok(BatchResult { count: 0, done: true });
        }
        let mut writing = self.begin().await?;
        let count = execute(sql, &mut writing.within).await?;
        let done = none_left(ended, &mut writing.within).await?;
        writing.commit().await?;
        Ok(BatchResult { count, done })
    }

    async fn ended_issuers(
        &self,
        project: &ProjectId,
        now: Timestamp,
        most: PageSize,
    ) -> Result<Vec<TokenId>, StoreError> {
        let query = query::ended_issuers(&SQLITE, project, now, most).query::<Sqlite>();
        query.fetch_all(&self.pool).await.map_err(failed)?.iter().map(row::id).collect()
    }

    async fn claim_notices(
        &self,
        project: &ProjectId,
        leads: &[NoticeLead],
        now: Timestamp,
        lease_until: Timestamp,
        most: PageSize,
    ) -> Result<Vec<Arc<TokenRecord>>, StoreError> {
        let due = |sql: &mut Statement| {
            and_project(sql, project);
            and_due(&SQLITE, sql, leads, now);
        };
        if self.is_none(due).await? {
            return Ok(Vec::new());
        }
        let mut sql = Statement::new("UPDATE keyfob_tokens SET ");
        write::push_lease(&mut sql, lease_until);
        sql.push(" WHERE ");
        and_project(&mut sql, project);
        sql.push(" AND id IN (SELECT id FROM keyfob_tokens WHERE ");
        due(&mut sql);
        sql.push(" ORDER BY expires_order, id LIMIT ").bind(most.get() as i64);
        sql.push(concat!(") RETURNING ", columns!()));
        let mut writer = self.writer().await?;
        let rows = sql.query::<Sqlite>().fetch_all(&mut *writer.within).await.map_err(failed)?;
        let mut claimed = records(rows.iter())?;
        // SQLite does not define the order of the rows that RETURNING returns.
        claimed.sort_by_key(|record| (record.expires_at, record.id));
        Ok(claimed)
    }

    async fn acknowledge_notice(
        &self,
        key: &TokenKey,
        lead: NoticeLead,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let mut writer = self.writer().await?;
        changed(write::acknowledge_notice(key, lead), &mut writer.within).await
    }

    async fn scan(&self, after: Option<TokenKey>, most: PageSize) -> Result<Option<Vec<Arc<TokenRecord>>>, StoreError> {
        let rows =
            projects::scan(&SQLITE, after, most).query::<Sqlite>().fetch_all(&self.pool).await.map_err(failed)?;
        records(rows.iter()).map(Some)
    }
}

impl SqliteStore {
    /// Returns whether no row meets the conditions. Needs no turn to write: an operation that would
    /// change nothing returns after this check, and other calls need not wait for it.
    async fn is_none(&self, conditions: impl FnOnce(&mut Statement)) -> Result<bool, StoreError> {
        none_left(conditions, &mut *self.pool.acquire().await.map_err(failed)?).await
    }
}
