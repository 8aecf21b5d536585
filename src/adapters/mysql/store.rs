//! The token store on MariaDB and MySQL.

use std::sync::Arc;

use sqlx::Row;

use super::failure::failed;
use super::handle::MysqlStore;
use super::read::{find, find_chain};
use crate::adapters::sql::MYSQL;
use crate::adapters::sql::query::{self, and_project};
use crate::adapters::sql::row::{self, records};
use crate::adapters::sql::server::{Server, repeated};
use crate::adapters::sql::session::Session;
use crate::adapters::sql::statement::{Statement, Value};
use crate::adapters::sql::write::{InSteps, and_left};
use crate::rules::chain::Chain;
use crate::rules::change::Change;
use crate::rules::precondition::{IssuerCondition, LiveLimit};
use crate::rules::record::{Revocation, TokenRecord};
use crate::store::contract::{ChainResult, ReadResult, TokenStore};
use crate::store::cursor::Cursor;
use crate::store::group::{BatchResult, RevokeBatch, RevokeGroup};
use crate::store::last_use::LastUse;
use crate::store::query::{CountQuery, ListQuery, Page, PageSize};
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;

/// The maximum number of last uses that one statement writes.
const TOUCHED: usize = 100;

impl TokenStore for MysqlStore {
    async fn insert(
        &self,
        record: TokenRecord,
        limit: Option<LiveLimit>,
        issuer: Option<IssuerCondition>,
    ) -> Result<Arc<TokenRecord>, StoreError> {
        self.insert_record(record, limit, issuer).await
    }

    async fn find(&self, key: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let rows = self.rows(find(key)).await?;
        Ok(rows.first().map(row::record).transpose()?.map(Arc::new))
    }

    async fn find_recent(&self, key: &TokenKey) -> Result<ReadResult, StoreError> {
        self.find(key).await.map(ReadResult::now)
    }

    async fn find_recent_chain(&self, key: &TokenKey) -> Result<ChainResult, StoreError> {
        let chain = Chain::from(self.find(key).await?);
        if chain.next_issuer().is_none() {
            return Ok(ChainResult::now(chain));
        }
        let rows = self.rows(find_chain(key)).await?;
        // The parts of a union come in no defined order. The last column is the place in the chain.
        let mut chain = Vec::with_capacity(rows.len());
        for row in &rows {
            let depth: i64 = row.try_get(TokenRecord::COLUMNS).map_err(failed)?;
            chain.push((depth, Arc::new(row::record(row)?)));
        }
        chain.sort_by_key(|(depth, _)| *depth);
        let chain: Vec<_> = chain.into_iter().map(|(_, record)| record).collect();
        Ok(ChainResult::now(Chain::of(chain)))
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Arc<TokenRecord>>, StoreError> {
        let after = query.checked_after().map_err(|error| StoreError::with_source(StoreErrorKind::Other, error))?;
        let rows = self.rows(query::list(&MYSQL, query, after)).await?;
        let more = rows.len() > query.most.get();
        let items = records(rows.iter().take(query.most.get()))?;
        let next = items.last().filter(|_| more).map(|last| Cursor::of(last, query.order));
        Ok(Page { items, next })
    }

    async fn count(&self, query: &CountQuery) -> Result<u64, StoreError> {
        let rows = self.rows(query::count(query)).await?;
        let row = rows.first().expect("a count has one row");
        u64::try_from(row.try_get::<i64, _>(0).map_err(failed)?).map_err(row::corrupt)
    }

    async fn update(
        &self,
        key: &TokenKey,
        expected_version: u64,
        change: Change,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.update_record(key, expected_version, &change).await
    }

    async fn revoke(&self, key: &TokenKey, revocation: &Revocation) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.revoke_token(key, revocation).await
    }

    async fn revoke_owner(
        &self,
        project: &ProjectId,
        owner: &OwnerId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        self.revoke_in_steps(project, &InSteps::Group(RevokeGroup::Owner(owner.clone())), revocation).await
    }

    async fn revoke_family(
        &self,
        project: &ProjectId,
        family: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        self.revoke_in_steps(project, &InSteps::Group(RevokeGroup::Family(*family)), revocation).await
    }

    async fn revoke_issued_by(
        &self,
        project: &ProjectId,
        issuer: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        self.revoke_in_steps(project, &InSteps::BoundTo(issuer), revocation).await
    }

    async fn revoke_batch(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        batch: RevokeBatch,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        let group = batch.into();
        self.revoke_batch_of(project, revocation, most, &|sql| and_left(sql, project, &group)).await
    }

    async fn rotate(
        &self,
        key: &TokenKey,
        expected_version: u64,
        successor: TokenRecord,
        grace_until: Timestamp,
        issuer: Option<IssuerCondition>,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.rotate_token(key, expected_version, &successor, grace_until, issuer).await
    }

    async fn touch_many(&self, touches: &[LastUse]) -> Result<u64, StoreError> {
        let mut moved = 0;
        for (project, uses) in &LastUse::latest(touches) {
            let uses: Vec<_> = uses.iter().collect();
            for uses in uses.chunks(TOUCHED) {
                moved += repeated::<sqlx::MySql, _, _>(|| async {
                    let mut transaction = self.access.begin(project).await?;
                    let touched = transaction.write(touch(project, uses)).await?;
                    self.commit(transaction, &[]).await?;
                    Ok(touched)
                })
                .await?;
            }
        }
        Ok(moved)
    }
}

/// Returns the statement that writes these last uses, in ascending order of id.
fn touch(project: &ProjectId, uses: &[(&TokenId, &&LastUse)]) -> Statement {
    let mut sql = Statement::new("UPDATE keyfob_tokens FORCE INDEX (PRIMARY) SET ");
    let column = |sql: &mut Statement, name: &'static str, value: fn(&LastUse) -> Value| {
        sql.push(name).push(" = CASE id");
        for (id, last) in uses {
            sql.push(" WHEN ").bind(id.as_str()).push(" THEN ").bind(value(last));
        }
        sql.push(" END");
    };
    // The condition on the last use is in the WHERE, because MySQL evaluates the assignments in
    // their order.
    column(&mut sql, "last_used_at", |last| last.used_at.as_unix_millis().into());
    column(&mut sql, ", last_used_address", |last| Value::Text(row::used_from(last.from.as_ref()).0));
    column(&mut sql, ", last_used_client", |last| row::used_from(last.from.as_ref()).1.into());
    sql.push(" WHERE ");
    and_project(&mut sql, project);
    sql.push(" AND (");
    for (place, (id, last)) in uses.iter().enumerate() {
        sql.push(if place == 0 { "(id = " } else { " OR (id = " }).bind(id.as_str());
        sql.push(" AND (last_used_at IS NULL OR last_used_at < ").bind(last.used_at.as_unix_millis()).push("))");
    }
    sql.push(")");
    sql
}
