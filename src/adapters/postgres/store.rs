//! The token store on PostgreSQL.
//!
//! Two rules order the operations on one project and prevent deadlocks. An operation takes the
//! project's turn (a lock, see turn.rs) if it changes the rows of a group, or if other operations
//! must not add a row meanwhile. An operation that locks several rows locks them in ascending order
//! of id.

use std::sync::Arc;

use sqlx::{PgConnection, Row};

pub(super) use super::engine::changed;
use super::failure::failed;
use super::handle::PostgresStore;
use super::plan::{find_chain, planned};
use crate::adapters::sql::POSTGRES;
use crate::adapters::sql::patience::in_time;
use crate::adapters::sql::query::{self, and_project};
use crate::adapters::sql::row::{self, records};
use crate::adapters::sql::server::Server;
use crate::adapters::sql::session::Session;
use crate::adapters::sql::statement::Statement;
use crate::adapters::sql::write::{self, InSteps, and_left};
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

impl TokenStore for PostgresStore {
    async fn insert(
        &self,
        record: TokenRecord,
        limit: Option<LiveLimit>,
        issuer: Option<IssuerCondition>,
    ) -> Result<Arc<TokenRecord>, StoreError> {
        self.insert_record(record, limit, issuer).await
    }

    async fn find(&self, key: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let found = self.find_on_primary(key).await;
        // Read-your-writes: the caller has seen this state, so no standby may serve older data from
        // now on.
        if let Some(replica) = &self.replica {
            replica.mark(&key.project);
        }
        found
    }

    async fn find_recent(&self, key: &TokenKey) -> Result<ReadResult, StoreError> {
        if let Some(replica) = &self.replica
            && let Some(recent) = replica.find(key).await
        {
            return Ok(recent);
        }
        self.find_on_primary(key).await.map(ReadResult::now)
    }

    async fn find_recent_chain(&self, key: &TokenKey) -> Result<ChainResult, StoreError> {
        if let Some(replica) = &self.replica
            && let Some(recent) = replica.find_chain(key).await
        {
            return Ok(recent);
        }
        let chain = Chain::from(self.find_on_primary(key).await?);
        if chain.next_issuer().is_none() {
            return Ok(ChainResult::now(chain));
        }
        let rows = self.rows(|| find_chain(key)).await?;
        Ok(ChainResult::now(Chain::of(records(rows.iter())?)))
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Arc<TokenRecord>>, StoreError> {
        let after = query.checked_after().map_err(|error| StoreError::with_source(StoreErrorKind::Other, error))?;
        let rows = self.rows(|| planned(query::list(&POSTGRES, query, after))).await?;
        let more = rows.len() > query.most.get();
        let items = records(rows.iter().take(query.most.get()))?;
        let next = items.last().filter(|_| more).map(|last| Cursor::of(last, query.order));
        Ok(Page { items, next })
    }

    async fn count(&self, query: &CountQuery) -> Result<u64, StoreError> {
        let rows = self.rows(|| planned(query::count(query))).await?;
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
        const TOUCH: &str = "WITH chosen AS MATERIALIZED (\
             SELECT id AS chosen_id, used_at, address, client FROM keyfob_tokens \
             JOIN unnest($2::text[], $3::bigint[], $4::text[], $5::text[]) AS touch (touched, used_at, address, client) \
             ON id = touched WHERE project = $1 AND (last_used_at IS NULL OR last_used_at < used_at) \
             ORDER BY id FOR UPDATE OF keyfob_tokens) \
             UPDATE keyfob_tokens SET last_used_at = used_at, last_used_address = address, last_used_client = client \
             FROM chosen WHERE project = $1 AND id = chosen_id";
        let mut moved = 0;
        for (project, uses) in &LastUse::latest(touches) {
            let ids: Vec<&str> = uses.keys().map(TokenId::as_str).collect();
            let times: Vec<i64> = uses.values().map(|last| last.used_at.as_unix_millis()).collect();
            let from = uses.values().map(|last| row::used_from(last.from.as_ref()));
            let (addresses, clients): (Vec<_>, Vec<_>) = from.unzip();
            moved += in_time(async {
                let mut transaction = self.begin(project).await?;
                let touch = sqlx::query(TOUCH).persistent(false).bind(project.as_str()).bind(ids).bind(times);
                let touch = touch.bind(addresses).bind(clients);
                let touched = touch.execute(&mut *transaction).await.map_err(failed)?.rows_affected();
                self.commit(transaction, &[]).await.map(|()| touched)
            })
            .await?;
        }
        Ok(moved)
    }
}

/// The beginning of a statement that chooses rows and then writes them. Each use must append the
/// conditions on the rows, and a clause that locks the rows in ascending order of id.
pub(super) const CHOOSE: &str = "WITH chosen AS MATERIALIZED (SELECT id AS chosen_id FROM keyfob_tokens WHERE ";

pub(super) fn and_chosen(sql: &mut Statement, project: &ProjectId) {
    and_project(sql, project);
    sql.push(" AND id = chosen_id");
}

/// Runs a statement and returns the number of rows that it changed.
pub(super) async fn execute(sql: Statement, connection: &mut PgConnection) -> Result<u64, StoreError> {
    connection.write(sql).await
}

/// Returns whether no row meets the conditions.
pub(super) async fn none_left(
    conditions: impl FnOnce(&mut Statement),
    connection: &mut PgConnection,
) -> Result<bool, StoreError> {
    connection.is_true(write::none_left(conditions)).await
}
