//! The maintenance operations of the MySQL store: listing projects, purging tokens, finding ended
//! issuers and claiming notices.

use std::sync::Arc;

use super::handle::MysqlStore;
use crate::adapters::sql::MYSQL;
use crate::adapters::sql::projects;
use crate::adapters::sql::query::{self, and_due, and_project};
use crate::adapters::sql::row::{self, records};
use crate::adapters::sql::server::{Server, repeated};
use crate::adapters::sql::session::Session;
use crate::adapters::sql::statement::Statement;
use crate::adapters::sql::write::{self, and_ended, none_left};
use crate::rules::notice_lead::NoticeLead;
use crate::rules::record::TokenRecord;
use crate::store::group::BatchResult;
use crate::store::maintenance::{ProjectsQuery, StoreMaintenance};
use crate::store::query::PageSize;
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::store_error::StoreError;
use crate::words::timestamp::Timestamp;

impl StoreMaintenance for MysqlStore {
    async fn projects(&self, query: &ProjectsQuery) -> Result<Vec<ProjectId>, StoreError> {
        self.rows(projects::projects(&MYSQL, query)).await?.iter().map(row::project).collect()
    }

    async fn purge(
        &self,
        project: &ProjectId,
        ended_before: Timestamp,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        let ended = |sql: &mut Statement| and_ended(sql, project, ended_before);
        let mut first = Statement::new("SELECT id FROM keyfob_tokens WHERE ");
        ended(&mut first);
        first.push(" ORDER BY id LIMIT ").bind(most.get() as i64);
        // Without ended tokens, the call takes no turn and writes nothing.
        if self.rows(first.clone()).await?.is_empty() {
            return Ok(BatchResult { count: 0, done: true });
        }
        repeated::<sqlx::MySql, _, _>(|| async {
            let mut transaction = self.access.begin_turn(project.as_str()).await?;
            let ids = transaction.ids(first.clone()).await?;
            let sql = Statement::new("DELETE keyfob_tokens FROM keyfob_tokens FORCE INDEX (PRIMARY) WHERE ");
            let still_ended = |sql: &mut Statement| {
                sql.push(" AND ");
                ended(sql);
            };
            let count = transaction.write_each(&sql, project, &ids, &still_ended).await?;
            let done = transaction.is_true(none_left(ended)).await?;
            self.commit(transaction, &[]).await?;
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
        self.rows(query::ended_issuers(&MYSQL, project, now, most)).await?.iter().map(row::id).collect()
    }

    async fn claim_notices(
        &self,
        project: &ProjectId,
        leads: &[NoticeLead],
        now: Timestamp,
        lease_until: Timestamp,
        most: PageSize,
    ) -> Result<Vec<Arc<TokenRecord>>, StoreError> {
        let mut first = Statement::new("SELECT id FROM keyfob_tokens WHERE ");
        and_project(&mut first, project);
        and_due(&MYSQL, &mut first, leads, now);
        first.push(" ORDER BY expires_order, id LIMIT ").bind(most.get() as i64);
        // Without due notices, the call takes no turn and writes nothing.
        if self.rows(first.clone()).await?.is_empty() {
            return Ok(Vec::new());
        }
        let mut claimed = repeated::<sqlx::MySql, _, _>(|| async {
            let mut transaction = self.access.begin_turn(project.as_str()).await?;
            let ids = transaction.ids(first.clone()).await?;
            let due = |sql: &mut Statement| and_due(&MYSQL, sql, leads, now);
            let mut due = transaction.lock_each(project, &ids, &due).await?;
            let ids: Vec<TokenId> = due.iter().map(|record| record.id).collect();
            let mut sql = Statement::new("UPDATE keyfob_tokens FORCE INDEX (PRIMARY) SET ");
            write::push_lease(&mut sql, lease_until);
            sql.push(" WHERE ");
            transaction.write_each(&sql, project, &ids, &|_| {}).await?;
            self.commit(transaction, &[]).await?;
            due.iter_mut().for_each(|record| record.claim_notice(lease_until));
            Ok(due)
        })
        .await?;
        claimed.sort_by_key(|record| (record.expires_at, record.id));
        Ok(claimed.into_iter().map(Arc::new).collect())
    }

    async fn acknowledge_notice(
        &self,
        key: &TokenKey,
        lead: NoticeLead,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        repeated::<sqlx::MySql, _, _>(|| async {
            let mut transaction = self.access.begin(&key.project).await?;
            let record = transaction.change(key, write::acknowledge_notice(key, lead)).await?;
            self.commit(transaction, &[]).await?;
            Ok(record)
        })
        .await
    }

    async fn scan(&self, after: Option<TokenKey>, most: PageSize) -> Result<Option<Vec<Arc<TokenRecord>>>, StoreError> {
        let rows = self.rows(projects::scan(&MYSQL, after, most)).await?;
        records(&rows).map(Some)
    }
}
