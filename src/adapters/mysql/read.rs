//! The reads. If the server has closed a connection, the store repeats the read on another
//! connection.

use std::sync::LazyLock;

use sqlx::Row;
use sqlx::mysql::MySqlRow;

use super::failure::{failed, is_lost};
use super::handle::MysqlStore;
use crate::adapters::sql::MYSQL;
use crate::adapters::sql::gate::Pass;
use crate::adapters::sql::patience::in_time;
use crate::adapters::sql::row::columns;
use crate::adapters::sql::statement::Statement;
use crate::adapters::sql::write::{and_key, key_exists, place_is_left};
use crate::rules::chain::Chain;
use crate::rules::precondition::LiveLimit;
use crate::rules::record::TokenRecord;
use crate::store::columns::COLUMNS;
use crate::words::ids::TokenKey;
use crate::words::store_error::{StoreError, StoreErrorKind};

impl MysqlStore {
    /// Runs a query and returns its rows. The query runs outside a transaction, so it sees
    /// everything that was committed before.
    pub(super) async fn rows(&self, sql: Statement) -> Result<Vec<MySqlRow>, StoreError> {
        in_time(self.rows_with(Pass::default(), sql)).await
    }

    async fn rows_with(&self, mut pass: Pass, sql: Statement) -> Result<Vec<MySqlRow>, StoreError> {
        for left in (0..=self.access.pool.size()).rev() {
            let mut lease = match self.access.lease(pass, left > 0).await? {
                Ok(lease) => lease,
                Err(kept) => {
                    pass = kept;
                    continue;
                }
            };
            match lease.rows(sql.clone()).await {
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

    /// Returns an error if the insert of this record would exceed the limit on live tokens, or if a
    /// row with the same key exists. This check does not take the project's turn (a lock on the
    /// project). So a flood of refused inserts does not block other operations that need the turn.
    pub(super) async fn count_before_insert(&self, record: &TokenRecord, limit: LiveLimit) -> Result<(), StoreError> {
        let mut sql = Statement::new("SELECT ");
        key_exists(&mut sql, &record.key());
        sql.push(", ");
        place_is_left(&MYSQL, &mut sql, record, limit);
        let pass = self.access.gate.count(record.project.as_str()).await?;
        let rows = self.rows_with(pass, sql).await?;
        let row = rows.first().expect("a SELECT without FROM has one row");
        match (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?) {
            (true, _) => Err(StoreErrorKind::Conflict.into()),
            (_, false) => Err(StoreErrorKind::Limit.into()),
            (false, true) => Ok(()),
        }
    }
}

/// Returns the query for the row of a token.
pub(super) fn find(key: &TokenKey) -> Statement {
    let mut sql = Statement::new(concat!("SELECT ", columns!(), " FROM keyfob_tokens WHERE "));
    and_key(&mut sql, key);
    sql
}

/// Returns the query for the row of a token and the rows of the tokens that this token is bound to.
/// All rows are from the same moment. The last column of each row is its place in the chain. For a
/// token that is bound to none, use [`find`], which takes less time.
///
/// The query is a union, not recursive. For a recursive query, MariaDB would copy the rows into a
/// temporary table.
pub(super) fn find_chain(key: &TokenKey) -> Statement {
    static PARTS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
        (0..=Chain::MOST)
            .map(|depth| {
                let columns: Vec<_> = COLUMNS.iter().map(|column| format!("t{depth}.{}", column.name)).collect();
                let union = if depth == 0 { "" } else { " UNION ALL " };
                let head = format!("{union}SELECT {}, {depth} FROM keyfob_tokens AS t0", columns.join(", "));
                let joins = (1..=depth).map(|place| {
                    let below = place - 1;
                    format!(
                        " JOIN keyfob_tokens AS t{place} ON t{place}.project = t{below}.project \
                         AND t{place}.id = t{below}.issuer AND t{below}.bound = 1"
                    )
                });
                (head + &joins.collect::<String>() + " WHERE t0.project = ", " AND t0.id = ".to_owned())
            })
            .collect()
    });
    let mut sql = Statement::new("");
    for (head, id) in PARTS.iter() {
        sql.push(head).bind(key.project.as_str()).push(id).bind(key.id.as_str());
    }
    sql
}
