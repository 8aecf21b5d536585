//! The token store on PostgreSQL.
//!
//! Two rules order the operations on one project and prevent deadlocks. An operation takes the
//! project's turn (a lock, see turn.rs) if it changes the rows of a group, or if other operations
//! must not add a row meanwhile. An operation that locks several rows locks them in ascending order
//! of id.

use std::sync::Arc;

use sqlx::{PgConnection, Row};

use super::changed::Changed;
use super::failure::failed;
use super::handle::PostgresStore;
use super::lease::{BEGIN, Lease};
use super::patience::in_time;
use super::plan::{find_chain, planned};
use super::read::is_there;
use crate::adapters::sql::POSTGRES;
use crate::adapters::sql::query::{self, and_project};
use crate::adapters::sql::row::{self, columns, records};
use crate::adapters::sql::statement::Statement;
use crate::adapters::sql::write::{self, InSteps, and_key, and_left, and_limit};
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
        in_time(async {
            let mut sql = row::insert(&record, None)?;
            let mut transaction = match limit {
                None if issuer.is_none() => self.begin(&record.project).await?,
                None => self.begin_turn(record.project.as_str()).await?,
                Some(limit) => {
                    self.refuse_by_count(&record, limit).await?;
                    and_limit(&POSTGRES, &mut sql, &record, limit);
                    self.begin_turn(record.project.as_str()).await?
                }
            };
            // The issuer's row stays locked from here to the commit. So no revocation of the issuer
            // is acknowledged before the commit.
            let holds = match issuer {
                Some(condition) => holds(&record.project, condition, &mut transaction).await?,
                None => true,
            };
            match execute(sql, &mut transaction).await {
                Ok(0) => refused(transaction, Err(StoreErrorKind::Limit.into())).await,
                Ok(_) if !holds => refused(transaction, Err(StoreErrorKind::IssuerChanged.into())).await,
                Ok(_) => {
                    self.commit(transaction, &[Changed::Token(&record.key())]).await?;
                    Ok(Arc::new(record))
                }
                Err(error) => refused(transaction, Err(error)).await,
            }
        })
        .await
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
        in_time(async {
            let mut transaction = self.begin(&key.project).await?;
            let record = changed(write::update(key, expected_version, &change), &mut transaction).await?;
            if record.is_none() {
                let outcome = if is_there(key, &mut transaction).await? {
                    Err(StoreErrorKind::Conflict.into())
                } else {
                    Ok(None)
                };
                return refused(transaction, outcome).await;
            }
            self.commit(transaction, &[Changed::Token(key)]).await?;
            Ok(record)
        })
        .await
    }

    async fn revoke(&self, key: &TokenKey, revocation: &Revocation) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        in_time(async {
            let pass = self.gate.revocation(key.project.as_str()).await?;
            let mut transaction = self.begin_with(pass, BEGIN).await?;
            let record = changed(write::revoke(key, revocation), &mut transaction).await?;
            self.commit(transaction, &[Changed::Token(key)]).await?;
            Ok(record)
        })
        .await
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
        self.revoke_some(project, revocation, most, |sql| and_left(sql, project, &group)).await
    }

    async fn rotate(
        &self,
        key: &TokenKey,
        expected_version: u64,
        successor: TokenRecord,
        grace_until: Timestamp,
        issuer: Option<IssuerCondition>,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        in_time(async {
            // With the turn, no other call revokes a group between the read of the old token and
            // the insert of the new one.
            let mut transaction = self.begin_turn(key.project.as_str()).await?;
            match rotate(key, expected_version, &successor, grace_until, issuer, &mut transaction).await {
                Ok(Some((record, changed))) => {
                    let changed: Vec<_> = changed.iter().map(Changed::Token).collect();
                    self.commit(transaction, &changed).await?;
                    Ok(Some(record))
                }
                Ok(None) => refused(transaction, Ok(None)).await,
                Err(error) => refused(transaction, Err(error)).await,
            }
        })
        .await
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

/// Rotates a token. The connection must be in a transaction that holds the project's turn (a lock).
/// Returns the new record of the rotated token, and the keys of all tokens that changed.
async fn rotate(
    key: &TokenKey,
    expected_version: u64,
    successor: &TokenRecord,
    grace_until: Timestamp,
    issuer: Option<IssuerCondition>,
    connection: &mut PgConnection,
) -> Result<Option<(Arc<TokenRecord>, Vec<TokenKey>)>, StoreError> {
    let chain = chain(key, issuer, connection).await?;
    let near = |id: TokenId| chain.iter().find(|record| record.id == id);
    let Some(old) = near(key.id) else { return Ok(None) };
    let earlier = old.rotated_to.and_then(near);
    if !old.may_rotate(expected_version, successor, old.rotated_from.and_then(near), earlier) {
        return Err(StoreErrorKind::Conflict.into());
    }
    let judged = issuer.is_none_or(|condition| condition.holds(near(condition.id)));
    let mut keys = vec![*key, successor.key()];
    if let Some(earlier) = earlier {
        let mut sql = write::set_revoked(&Revocation::superseded_by(successor));
        and_key(&mut sql, &earlier.key());
        execute(sql, connection).await?;
        keys.push(earlier.key());
    }
    // The insert comes before the check of the issuer, because an existing key is a conflict even
    // if the issuer has changed.
    execute(row::insert(successor, None)?, connection).await?;
    if !judged {
        return Err(StoreErrorKind::IssuerChanged.into());
    }
    let record = changed(write::rotate_to(key, &successor.id, grace_until), connection).await?;
    Ok(record.map(|record| (record, keys)))
}

/// Rolls the transaction back, and then returns the outcome, so that no locks remain. A dropped
/// transaction would keep its locks until a background task rolls it back.
async fn refused<T>(transaction: Lease, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
    transaction.rollback().await.map_err(failed)?;
    outcome
}

/// Returns whether the issuer condition holds. The issuer's row stays locked until the transaction
/// ends.
async fn holds(
    project: &ProjectId,
    condition: IssuerCondition,
    connection: &mut PgConnection,
) -> Result<bool, StoreError> {
    const ISSUER: &str = concat!("SELECT ", columns!(), " FROM keyfob_tokens WHERE project = $1 AND id = $2 FOR SHARE");
    let query = sqlx::query(ISSUER).bind(project.as_str()).bind(condition.id.as_str());
    let row = query.fetch_optional(connection).await.map_err(failed)?;
    Ok(condition.holds(row.as_ref().map(row::record).transpose()?.as_ref()))
}

/// Returns the records of a token, its predecessor, its successor and the issuer, if they exist,
/// and locks their rows.
async fn chain(
    key: &TokenKey,
    issuer: Option<IssuerCondition>,
    connection: &mut PgConnection,
) -> Result<Vec<TokenRecord>, StoreError> {
    const CHAIN: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM keyfob_tokens WHERE project = $1 AND id IN ($2, $3, \
         (SELECT rotated_to FROM keyfob_tokens WHERE project = $1 AND id = $2), \
         (SELECT rotated_from FROM keyfob_tokens WHERE project = $1 AND id = $2)) ORDER BY id FOR UPDATE"
    );
    let query = sqlx::query(CHAIN).bind(key.project.as_str()).bind(key.id.as_str());
    let query = query.bind(issuer.map(|condition| condition.id.as_str().to_owned()));
    let rows = query.fetch_all(connection).await.map_err(failed)?;
    rows.iter().map(row::record).collect()
}

/// Runs a statement and returns the number of rows that it changed.
pub(super) async fn execute(sql: Statement, connection: &mut PgConnection) -> Result<u64, StoreError> {
    planned(sql).execute(connection).await.map(|done| done.rows_affected()).map_err(failed)
}

/// Runs an `UPDATE … RETURNING` of at most one row. Returns the new record, or `None` if no row was
/// updated.
pub(super) async fn changed(
    sql: Statement,
    connection: &mut PgConnection,
) -> Result<Option<Arc<TokenRecord>>, StoreError> {
    let rows = planned(sql).fetch_all(connection).await.map_err(failed)?;
    Ok(records(rows.iter())?.pop())
}

/// Returns whether no row meets the conditions.
pub(super) async fn none_left(
    conditions: impl FnOnce(&mut Statement),
    connection: &mut PgConnection,
) -> Result<bool, StoreError> {
    let row = planned(write::none_left(conditions)).fetch_one(connection).await.map_err(failed)?;
    row.try_get(0).map_err(failed)
}
