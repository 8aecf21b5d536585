//! The token store on SQLite. Each call runs one statement, or one transaction if the call needs
//! several statements.
//!
//! If a statement writes, the code reads all rows of its result, even if it needs only the first
//! row. SQLite commits at the end of the statement. So if the commit fails, the code receives the
//! error.

use std::sync::{Arc, LazyLock};

use sqlx::{Row, Sqlite, SqliteConnection};

pub(super) use super::engine::changed;
use super::engine::find;
use super::failure::failed;
use super::handle::SqliteStore;
use crate::adapters::sql::query;
use crate::adapters::sql::row::{self, columns, records};
use crate::adapters::sql::session::{Conditions, Session};
use crate::adapters::sql::statement::{Statement, fixed};
use crate::adapters::sql::write::{self, InSteps, and_left};
use crate::adapters::sql::{SQLITE, calls, groups};
use crate::rules::chain::Chain;
use crate::rules::change::Change;
use crate::rules::precondition::{IssuerCondition, LiveLimit};
use crate::rules::record::{Revocation, TokenRecord};
use crate::store::columns::COLUMNS;
use crate::store::contract::{ChainResult, ReadResult, TokenStore};
use crate::store::cursor::Cursor;
use crate::store::group::{BatchResult, RevokeBatch, RevokeGroup};
use crate::store::last_use::LastUse;
use crate::store::query::{CountQuery, ListQuery, Page, PageSize};
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;

impl TokenStore for SqliteStore {
    async fn insert(
        &self,
        record: TokenRecord,
        limit: Option<LiveLimit>,
        issuer: Option<IssuerCondition>,
    ) -> Result<Arc<TokenRecord>, StoreError> {
        if issuer.is_none() {
            let mut writer = self.writer().await?;
            calls::insert(&mut *writer.within, &record, limit, None).await?;
            return Ok(Arc::new(record));
        }
        // This transaction is the only writer, so no call can revoke the issuer before the
        // transaction ends.
        let mut writing = self.begin().await?;
        calls::insert(&mut *writing.within, &record, limit, issuer).await?;
        writing.commit().await?;
        Ok(Arc::new(record))
    }

    async fn find(&self, key: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        find(key, &mut connection).await.map(|record| record.map(Arc::new))
    }

    async fn find_recent(&self, key: &TokenKey) -> Result<ReadResult, StoreError> {
        self.find(key).await.map(ReadResult::now)
    }

    async fn find_recent_chain(&self, key: &TokenKey) -> Result<ChainResult, StoreError> {
        static CHAIN: LazyLock<String> = LazyLock::new(|| {
            let of_issuer: Vec<_> = COLUMNS.iter().map(|column| format!("issuer.{}", column.name)).collect();
            format!(
                "WITH RECURSIVE chain AS (SELECT 0 AS depth, {columns} FROM keyfob_tokens WHERE project = $1 AND id = $2 \
                 UNION ALL SELECT chain.depth + 1, {of_issuer} FROM chain JOIN keyfob_tokens AS issuer \
                 ON issuer.project = $1 AND issuer.id = chain.issuer WHERE chain.bound = 1 AND chain.depth < {most}) \
                 SELECT {columns} FROM chain ORDER BY depth",
                columns = columns!(),
                of_issuer = of_issuer.join(", "),
                most = Chain::MOST,
            )
        });
        let chain = Chain::from(self.find(key).await?);
        if chain.next_issuer().is_none() {
            return Ok(ChainResult::now(chain));
        }
        // One query, so that all rows are from the same moment.
        let query = sqlx::query(fixed(CHAIN.as_str())).bind(key.project.as_str()).bind(key.id.as_str());
        let rows = query.fetch_all(&self.pool).await.map_err(failed)?;
        Ok(ChainResult::now(Chain::of(records(rows.iter())?)))
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Arc<TokenRecord>>, StoreError> {
        let after = query.checked_after().map_err(|error| StoreError::with_source(StoreErrorKind::Other, error))?;
        let rows = query::list(&SQLITE, query, after).query::<Sqlite>().fetch_all(&self.pool).await.map_err(failed)?;
        let more = rows.len() > query.most.get();
        let items = records(rows.iter().take(query.most.get()))?;
        let next = items.last().filter(|_| more).map(|last| Cursor::of(last, query.order));
        Ok(Page { items, next })
    }

    async fn count(&self, query: &CountQuery) -> Result<u64, StoreError> {
        let row = query::count(query).query::<Sqlite>().fetch_one(&self.pool).await.map_err(failed)?;
        u64::try_from(row.try_get::<i64, _>(0).map_err(failed)?).map_err(row::corrupt)
    }

    async fn update(
        &self,
        key: &TokenKey,
        expected_version: u64,
        change: Change,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let mut writing = self.begin().await?;
        let record = calls::update(&mut *writing.within, key, expected_version, &change).await?;
        writing.commit().await?;
        Ok(record)
    }

    async fn revoke(&self, key: &TokenKey, revocation: &Revocation) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let mut writer = self.writer().await?;
        changed(write::revoke(key, revocation), &mut writer.within).await
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
        self.revoke_some(project, revocation, most, &|sql| and_left(sql, project, &group)).await
    }

    async fn rotate(
        &self,
        key: &TokenKey,
        expected_version: u64,
        successor: TokenRecord,
        grace_until: Timestamp,
        issuer: Option<IssuerCondition>,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let mut writing = self.begin().await?;
        let Some((record, _)) =
            calls::rotate(&mut *writing.within, key, expected_version, &successor, grace_until, issuer).await?
        else {
            return Ok(None);
        };
        writing.commit().await?;
        Ok(Some(record))
    }

    async fn touch_many(&self, touches: &[LastUse]) -> Result<u64, StoreError> {
        const TOUCH: &str = "UPDATE keyfob_tokens SET last_used_at = $1, last_used_address = $4, last_used_client = $5 \
             WHERE project = $2 AND id = $3 AND (last_used_at IS NULL OR last_used_at < $1)";
        if touches.is_empty() {
            return Ok(0);
        }
        let mut writing = self.begin().await?;
        let mut moved = 0;
        for LastUse { key, used_at, from } in touches {
            let touch = sqlx::query(fixed(TOUCH)).bind(used_at.as_unix_millis());
            let touch = touch.bind(key.project.as_str()).bind(key.id.as_str());
            let (address, client) = row::used_from(from.as_ref());
            let touch = touch.bind(address).bind(client);
            moved += touch.execute(&mut *writing.within).await.map_err(failed)?.rows_affected();
        }
        writing.commit().await?;
        Ok(moved)
    }
}

impl SqliteStore {
    /// Revokes the tokens of an owner or a family, or the tokens bound to an issuer, until no token
    /// is left that can still work. Each step is a transaction of its own. Other calls can write
    /// between two steps.
    async fn revoke_in_steps(
        &self,
        project: &ProjectId,
        group: &InSteps<'_>,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        let left = |sql: &mut Statement| group.and_left(&SQLITE, sql, project, revocation.at);
        let mut count = 0;
        loop {
            let step = self.revoke_some(project, revocation, PageSize::MAX, &left).await?;
            count += step.count;
            if step.done {
                return Ok(count);
            }
        }
    }

    /// Revokes up to `most` of the rows that meet the conditions.
    async fn revoke_some(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        most: PageSize,
        left: Conditions<'_>,
    ) -> Result<BatchResult, StoreError> {
        let mut writing = self.begin().await?;
        let batch = groups::revoke_some(&mut *writing.within, project, revocation, most, left).await?;
        writing.commit().await?;
        Ok(batch)
    }
}

/// Runs a statement to its end and returns the number of rows that it changed.
pub(super) async fn execute(sql: Statement, connection: &mut SqliteConnection) -> Result<u64, StoreError> {
    connection.write(sql).await
}

/// Returns whether no row meets the conditions.
pub(super) async fn none_left(
    conditions: impl FnOnce(&mut Statement),
    connection: &mut SqliteConnection,
) -> Result<bool, StoreError> {
    connection.is_true(write::none_left(conditions)).await
}
