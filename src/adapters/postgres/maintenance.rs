//! The maintenance operations of the PostgreSQL store: listing projects, purging tokens, finding
//! ended issuers and claiming notices.

use std::sync::Arc;

use sqlx::Row;

use super::changed::Changed;
use super::failure::failed;
use super::handle::PostgresStore;
use super::patience::in_time;
use super::plan::planned;
use super::store::{CHOOSE, and_chosen, changed, execute, none_left};
use crate::adapters::sql::POSTGRES;
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

impl StoreMaintenance for PostgresStore {
    async fn projects(&self, query: &ProjectsQuery) -> Result<Vec<ProjectId>, StoreError> {
        let rows = self.rows(|| planned(projects::projects(&POSTGRES, query))).await?;
        rows.iter().map(row::project).collect()
    }

    async fn purge(
        &self,
        project: &ProjectId,
        ended_before: Timestamp,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        let ended = |sql: &mut Statement| and_ended(sql, project, ended_before);
        in_time(async {
            if self.is_none(ended).await? {
                return Ok(BatchResult { count: 0, done: true });
            }
            let mut sql = Statement::new(CHOOSE);
            ended(&mut sql);
            sql.push(" ORDER BY id LIMIT ").bind(most.get() as i64);
            sql.push(" FOR UPDATE), freed AS (DELETE FROM keyfob_imports USING chosen WHERE ");
            and_chosen(&mut sql, project);
            sql.push(") DELETE FROM keyfob_tokens USING chosen WHERE ");
            and_chosen(&mut sql, project);
            let mut transaction = self.begin_turn(project.as_str()).await?;
            let count = execute(sql, &mut transaction).await?;
            let done = none_left(ended, &mut transaction).await?;
            let purged = [Changed::Project(project)];
            self.commit(transaction, if count > 0 { &purged } else { &[] }).await?;
            Ok(BatchResult { count, done })
        })
        .await
    }

    async fn ended_issuers(
        &self,
        project: &ProjectId,
        now: Timestamp,
        most: PageSize,
    ) -> Result<Vec<TokenId>, StoreError> {
        let rows = self.rows(|| planned(query::ended_issuers(&POSTGRES, project, now, most))).await?;
        rows.iter().map(row::id).collect()
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
            and_due(&POSTGRES, sql, leads, now);
        };
        in_time(async {
            if self.is_none(due).await? {
                return Ok(Vec::new());
            }
            // The statement chooses the rows that expire first. Then it locks these rows in
            // ascending order of id, if their notices are still due.
            let mut sql = Statement::new("WITH first AS MATERIALIZED (SELECT id AS first_id FROM keyfob_tokens WHERE ");
            due(&mut sql);
            sql.push(" ORDER BY coalesce(expires_at, 253402300800000), id LIMIT ").bind(most.get() as i64);
            sql.push("), chosen AS MATERIALIZED (SELECT id AS chosen_id FROM keyfob_tokens JOIN first ON id = first_id WHERE ");
            due(&mut sql);
            sql.push(" ORDER BY id FOR UPDATE OF keyfob_tokens) UPDATE keyfob_tokens SET ");
            write::push_lease(&mut sql, lease_until);
            sql.push(" FROM chosen WHERE ");
            and_chosen(&mut sql, project);
            sql.push(concat!(" RETURNING ", columns!()));
            let mut transaction = self.begin_turn(project.as_str()).await?;
            let rows = planned(sql).fetch_all(&mut *transaction).await.map_err(failed)?;
            let mut claimed = records(rows.iter())?;
            let keys: Vec<_> = claimed.iter().map(|record| record.key()).collect();
            let changes: Vec<_> = keys.iter().map(Changed::Token).collect();
            self.commit(transaction, &changes).await?;
            // PostgreSQL does not define the order of the rows that RETURNING returns.
            claimed.sort_by_key(|record| (record.expires_at, record.id));
            Ok(claimed)
        })
        .await
    }

    async fn acknowledge_notice(
        &self,
        key: &TokenKey,
        lead: NoticeLead,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        in_time(async {
            let mut transaction = self.begin(&key.project).await?;
            let record = changed(write::acknowledge_notice(key, lead), &mut transaction).await?;
            self.commit(transaction, &[Changed::Token(key)]).await?;
            Ok(record)
        })
        .await
    }

    async fn scan(&self, after: Option<TokenKey>, most: PageSize) -> Result<Option<Vec<Arc<TokenRecord>>>, StoreError> {
        let rows = self.rows(|| planned(projects::scan(&POSTGRES, after, most))).await?;
        records(rows.iter()).map(Some)
    }
}

impl PostgresStore {
    /// Returns whether no row meets the conditions. Takes no turn: an operation that would change
    /// nothing returns after this check, so it locks nothing, writes nothing and notifies no cache.
    async fn is_none(&self, conditions: impl Fn(&mut Statement)) -> Result<bool, StoreError> {
        let rows = self.rows(|| planned(write::none_left(&conditions))).await?;
        rows.first().expect("a SELECT without FROM has one row").try_get(0).map_err(failed)
    }
}
