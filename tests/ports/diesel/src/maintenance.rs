//! The methods for maintenance jobs.
//!
//! `ended_issuers` loads every unrevoked bound token of the project, and reads each of their
//! issuers with a statement of its own. `claim_notices` loads every unrevoked token that has not
//! expired. If your projects have many tokens, write these conditions in SQL.

use std::collections::BTreeSet;
use std::sync::Arc;

use diesel::QueryableByName;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::RunQueryDsl;
use keyfob::store::{BatchResult, PageSize, ProjectsQuery, StoreError, StoreErrorKind, StoreMaintenance};
use keyfob::{ProjectId, Timestamp, TokenId, TokenKey, TokenRecord, notices::NoticeLead};

use crate::row::{Value, bind, records, save, select};
use crate::{DieselStore, find};

#[derive(QueryableByName)]
struct Project {
    #[diesel(sql_type = Text)]
    project: String,
}

impl StoreMaintenance for DieselStore {
    async fn projects(&self, query: &ProjectsQuery) -> Result<Vec<ProjectId>, StoreError> {
        const PROJECTS: &str = "SELECT DISTINCT project FROM keyfob_tokens \
             WHERE ($1 IS NULL OR owner = $1) AND ($2 IS NULL OR project > $2) ORDER BY project LIMIT $3";
        let query = query.clone();
        self.read(async move |connection| {
            let owner = query.owner.as_ref().map(|owner| owner.as_str());
            let after = query.after.as_ref().map(ProjectId::as_str);
            let sql = sql_query(PROJECTS).bind::<Nullable<Text>, _>(owner).bind::<Nullable<Text>, _>(after);
            let found: Vec<Project> = sql.bind::<BigInt, _>(query.most.get() as i64).load(connection).await?;
            let read = |row: &Project| ProjectId::new(&row.project);
            let corrupt = |error| StoreError::with_source(StoreErrorKind::Corrupt, error);
            Ok(found.iter().map(read).collect::<Result<_, _>>().map_err(corrupt)?)
        })
        .await
    }

    async fn purge(
        &self,
        project: &ProjectId,
        ended_before: Timestamp,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        // `least` ignores NULL, so this is the rule of `TokenRecord::ends_at`.
        const PURGE: &str = "WITH ended AS (SELECT id FROM keyfob_tokens WHERE project = $1 \
             AND least(revoked_at, grace_until, confirm_by, expires_at) < $2 LIMIT $3) \
             DELETE FROM keyfob_tokens WHERE project = $1 AND id IN (SELECT id FROM ended)";
        let (project, ended_before, most) = (*project, ended_before.as_unix_millis(), most.get());
        self.write(project, async move |connection| {
            let sql = sql_query(PURGE).bind::<Text, _>(project.as_str()).bind::<BigInt, _>(ended_before);
            let count = sql.bind::<BigInt, _>(most as i64).execute(connection).await?;
            let sql = select("project = $1 AND least(revoked_at, grace_until, confirm_by, expires_at) < $2 LIMIT 1");
            let sql = bind(sql_query(sql).into_boxed(), project.as_str().into());
            let left = records(connection, bind(sql, Value::Number(Some(ended_before)))).await?;
            Ok(BatchResult { count: count as u64, done: left.is_empty() })
        })
        .await
    }

    async fn ended_issuers(
        &self,
        project: &ProjectId,
        now: Timestamp,
        most: PageSize,
    ) -> Result<Vec<TokenId>, StoreError> {
        let project = *project;
        self.read(async move |connection| {
            let sql = select("project = $1 AND bound = 1 AND revoked_at IS NULL");
            let bound = records(connection, bind(sql_query(sql).into_boxed(), project.as_str().into())).await?;
            let bound = bound.iter().filter(|record| record.can_still_work(now));
            let issuers: BTreeSet<TokenKey> = bound.filter_map(TokenRecord::bound_to).collect();
            let mut ended = Vec::new();
            for key in issuers {
                let issuer = find(connection, key).await?;
                if issuer.is_none_or(|issuer| !issuer.status(now).is_live()) {
                    ended.push(key.id);
                }
                if ended.len() == most.get() {
                    break;
                }
            }
            Ok(ended)
        })
        .await
    }

    async fn claim_notices(
        &self,
        project: &ProjectId,
        leads: &[NoticeLead],
        now: Timestamp,
        lease_until: Timestamp,
        most: PageSize,
    ) -> Result<Vec<Arc<TokenRecord>>, StoreError> {
        let (project, leads) = (*project, leads.to_vec());
        self.write(project, async move |connection| {
            let sql = select(
                "project = $1 AND expires_at > $2 AND revoked_at IS NULL \
                     AND (notice_lease_until IS NULL OR notice_lease_until <= $2) ORDER BY expires_at, id",
            );
            let sql = bind(sql_query(sql).into_boxed(), project.as_str().into());
            let found = records(connection, bind(sql, Value::Number(Some(now.as_unix_millis())))).await?;
            let due = found.into_iter().filter(|record| record.due_notice(&leads, now).is_some());
            let mut claimed = Vec::new();
            for mut record in due.take(most.get()) {
                record.claim_notice(lease_until);
                save(connection, &record).await?;
                claimed.push(Arc::new(record));
            }
            Ok(claimed)
        })
        .await
    }

    async fn acknowledge_notice(
        &self,
        key: &TokenKey,
        lead: NoticeLead,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let key = *key;
        self.write(key.project, async move |connection| {
            let Some(mut record) = find(connection, key).await? else { return Ok(None) };
            record.acknowledge_notice(lead);
            save(connection, &record).await?;
            Ok(Some(Arc::new(record)))
        })
        .await
    }
}
