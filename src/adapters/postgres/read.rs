//! The reads from the primary. If the server has closed a connection, the store repeats the read on
//! another connection.

use std::sync::Arc;

use sqlx::Postgres;
use sqlx::Row;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;

use super::failure::{failed, is_lost};
use super::handle::PostgresStore;
use super::plan::{find, planned};
use crate::adapters::sql::POSTGRES;
use crate::adapters::sql::gate::Pass;
use crate::adapters::sql::patience::in_time;
use crate::adapters::sql::row;
use crate::adapters::sql::statement::Statement;
use crate::adapters::sql::write::{key_exists, place_is_left};
use crate::rules::precondition::LiveLimit;
use crate::rules::record::TokenRecord;
use crate::words::ids::TokenKey;
use crate::words::store_error::{StoreError, StoreErrorKind};

impl PostgresStore {
    /// Runs a query and returns its rows. Calls `query` once for each attempt, because an attempt
    /// consumes the query.
    pub(super) async fn rows<'q>(
        &self,
        query: impl Fn() -> Query<'q, Postgres, PgArguments>,
    ) -> Result<Vec<PgRow>, StoreError> {
        in_time(self.rows_with(Pass::default(), query)).await
    }

    async fn rows_with<'q>(
        &self,
        mut pass: Pass,
        query: impl Fn() -> Query<'q, Postgres, PgArguments>,
    ) -> Result<Vec<PgRow>, StoreError> {
        for left in (0..=self.access.pool.size()).rev() {
            let mut lease = match self.access.lease(pass, left > 0).await? {
                Ok(lease) => lease,
                Err(kept) => {
                    pass = kept;
                    continue;
                }
            };
            match query().fetch_all(&mut *lease).await {
                // The next connection may still be open.
                Err(error) if left > 0 && is_lost(&error) => pass = lease.into_pass(),
                rows => {
                    lease.leave_line();
                    return rows.map_err(failed);
                }
            }
        }
        unreachable!("the last try returns")
    }

    pub(super) async fn find_on_primary(&self, key: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let rows = self.rows(|| find(key)).await?;
        Ok(rows.first().map(row::record).transpose()?.map(Arc::new))
    }

    /// Returns an error if the insert of this record would exceed the limit on live tokens, or if a
    /// row with the same key exists. This check does not take the project's turn (a lock on the
    /// project). So a flood of refused inserts does not block other operations that need the turn.
    pub(super) async fn count_before_insert(&self, record: &TokenRecord, limit: LiveLimit) -> Result<(), StoreError> {
        let mut sql = Statement::new("SELECT ");
        key_exists(&mut sql, &record.key());
        sql.push(", ");
        place_is_left(&POSTGRES, &mut sql, record, limit);
        let pass = self.access.gate.count(record.project.as_str()).await?;
        let rows = self.rows_with(pass, || planned(sql.clone())).await?;
        let row = rows.first().expect("a SELECT without FROM has one row");
        match (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?) {
            (true, _) => Err(StoreErrorKind::Conflict.into()),
            (_, false) => Err(StoreErrorKind::Limit.into()),
            (false, true) => Ok(()),
        }
    }
}
