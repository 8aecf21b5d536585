//! The parts of PostgreSQL that the shared operations use: transactions, turns, and the statements
//! of a transaction.

use std::sync::Arc;

use sqlx::{Error, Executor, PgConnection, Postgres, Row};

use super::failure::{failed, is_held, is_lost};
use super::plan::{find, planned};
use crate::adapters::sql::lease::{Engine, Lease};
use crate::adapters::sql::query::and_project;
use crate::adapters::sql::row::{self, columns, records};
use crate::adapters::sql::session::{Conditions, Session};
use crate::adapters::sql::statement::Statement;
use crate::adapters::sql::write::push_revoked;
use crate::adapters::sql::{Dialect, POSTGRES};
use crate::rules::import_row::ImportRow;
use crate::rules::precondition::IssuerCondition;
use crate::rules::record::{Revocation, TokenRecord};
use crate::store::query::PageSize;
use crate::words::ids::{ProjectId, TokenKey};
use crate::words::store_error::StoreError;

macro_rules! begin {
    () => {
        "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT \
         CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END, \
         CASE current_setting('lock_timeout') WHEN '0' THEN set_config('lock_timeout', '5s', true) END, \
         CASE WHEN current_setting('idle_in_transaction_session_timeout')::interval NOT BETWEEN '1ms' AND '10s' \
         THEN set_config('idle_in_transaction_session_timeout', '10s', true) END"
    };
}

/// The SQL that begins a transaction. Each statement of the transaction sees everything that was
/// committed before the statement began. In the same round trip, the SQL changes three settings for
/// the transaction:
///
/// - If `synchronous_commit` is `off`, it becomes `on`, so that a commit waits for the disk.
///   `from_pool` checks this setting on only one connection of the host's pool.
/// - If `lock_timeout` is not set, it becomes 5 seconds, which is the time limit of a call.
///   `statement_timeout` is not suitable, because it also ends a statement that waits for no lock.
/// - If `idle_in_transaction_session_timeout` is not set or longer, it becomes 10 seconds, which is
///   twice the time limit of a call. If the process freezes or loses its connection during the
///   transaction, the server releases the locks of the transaction after this time.
const BEGIN: &str = begin!();

/// The SQL that begins a transaction whose first lock is a project's turn (see turn.rs). In
/// ordinary use, an operation holds a turn for some milliseconds. So the server waits for the turn
/// for at most 200 ms. For later locks, it waits as long as in any other transaction.
const BEGIN_FOR_TURN: &str = concat!(
    begin!(),
    "; SELECT set_config('keyfob.lock_timeout', current_setting('lock_timeout'), true); \
     SELECT set_config('lock_timeout', '200ms', true)"
);

impl Engine for Postgres {
    const BEGIN: &'static str = BEGIN;
    const BEGIN_FOR_TURN: &'static str = BEGIN_FOR_TURN;

    type Session = PgConnection;

    fn session(lease: &mut Lease<Self>) -> &mut PgConnection {
        lease
    }

    fn failed(error: Error) -> StoreError {
        failed(error)
    }

    fn is_lost(error: &Error) -> bool {
        is_lost(error)
    }

    fn is_deadlock(_error: &StoreError) -> bool {
        false
    }

    async fn run(connection: &mut PgConnection, sql: &'static str) -> sqlx::Result<()> {
        connection.execute(sql).await.map(drop)
    }

    async fn run_on(lease: &mut Lease<Self>, sql: &'static str) -> sqlx::Result<()> {
        Self::run(lease, sql).await
    }

    async fn lock_turn(lease: &mut Lease<Self>, project: &str) -> Result<bool, StoreError> {
        // `set_config` runs once for each row of the CTE `turn`. So it sets the time limit for
        // other locks after the CTE has locked the row.
        const LOCK: &str = "WITH turn AS MATERIALIZED (SELECT 1 FROM keyfob_turns WHERE project = $1 FOR UPDATE) \
             SELECT set_config('lock_timeout', current_setting('keyfob.lock_timeout'), true) FROM turn";
        const MAKE: &str = "INSERT INTO keyfob_turns (project) VALUES ($1) ON CONFLICT DO NOTHING";
        for statement in [LOCK, MAKE, LOCK] {
            match sqlx::query(statement).bind(project).execute(&mut **lease).await {
                Ok(done) if statement == LOCK && done.rows_affected() > 0 => break,
                Ok(_) => {}
                Err(error) if is_held(&error) => return Ok(false),
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(true)
    }
}

impl Session for PgConnection {
    const DIALECT: &'static Dialect = &POSTGRES;

    async fn write(&mut self, sql: Statement) -> Result<u64, StoreError> {
        planned(sql).execute(self).await.map(|done| done.rows_affected()).map_err(failed)
    }

    async fn change(&mut self, _key: &TokenKey, sql: Statement) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        changed(sql, self).await
    }

    async fn revoke_rows(
        &mut self,
        project: &ProjectId,
        revocation: &Revocation,
        most: PageSize,
        left: Conditions<'_>,
    ) -> Result<u64, StoreError> {
        // PostgreSQL chooses the rows through any index. Then it locks them in ascending order of
        // id, each row through the primary key, and writes each row by its `ctid`. Without
        // statistics on a project, PostgreSQL may assume that the project has one row, and that all
        // indices which begin with the project are equally good. With joins by project and id, it
        // then took 8 s to lock 1,000 of 200,000 rows, and 10 to 17 s to write them.
        let mut sql = Statement::new("WITH first AS MATERIALIZED (SELECT id AS first_id FROM keyfob_tokens WHERE ");
        left(&mut sql);
        sql.push(" LIMIT ").bind(most.get() as i64);
        sql.push(
            "), chosen AS MATERIALIZED (SELECT chosen_place FROM (SELECT first_id FROM first ORDER BY first_id) AS sorted ",
        );
        sql.push("CROSS JOIN LATERAL (SELECT ctid AS chosen_place FROM keyfob_tokens WHERE ");
        and_project(&mut sql, project);
        sql.push(
            " AND id BETWEEN first_id AND first_id AND revoked_at IS NULL ORDER BY id LIMIT 1 FOR UPDATE) AS locked) ",
        );
        sql.push("UPDATE keyfob_tokens SET ");
        push_revoked(&mut sql, revocation).push(" FROM chosen WHERE ");
        and_project(&mut sql, project);
        sql.push(" AND ctid = chosen_place");
        self.write(sql).await
    }

    async fn is_true(&mut self, sql: Statement) -> Result<bool, StoreError> {
        let row = planned(sql).fetch_one(self).await.map_err(failed)?;
        row.try_get(0).map_err(failed)
    }

    async fn key(&mut self, sql: Statement) -> Result<Option<TokenKey>, StoreError> {
        let row = sql.query::<Postgres>().fetch_optional(self).await.map_err(failed)?;
        row.as_ref().map(row::key).transpose()
    }

    async fn insert_imported(&mut self, row: &ImportRow) -> Result<bool, StoreError> {
        let mut sql = Statement::new("WITH token AS (");
        sql.append(row::insert(&row.record, None)?);
        sql.push(" WHERE true ON CONFLICT DO NOTHING RETURNING project, id) ");
        sql.push("INSERT INTO keyfob_imports (import_key, project, id) SELECT ");
        sql.bind(row.import_key.as_bytes().as_slice()).push(", project, id FROM token");
        Ok(self.write(sql).await? > 0)
    }

    async fn find(&mut self, key: &TokenKey) -> Result<Option<TokenRecord>, StoreError> {
        let row = find(key).fetch_optional(self).await.map_err(failed)?;
        row.as_ref().map(row::record).transpose()
    }

    async fn locked(&mut self, key: &TokenKey) -> Result<Option<TokenRecord>, StoreError> {
        const LOCKED: &str =
            concat!("SELECT ", columns!(), " FROM keyfob_tokens WHERE project = $1 AND id = $2 FOR SHARE");
        let query = sqlx::query(LOCKED).bind(key.project.as_str()).bind(key.id.as_str());
        let row = query.fetch_optional(self).await.map_err(failed)?;
        row.as_ref().map(row::record).transpose()
    }

    async fn locked_chain(
        &mut self,
        key: &TokenKey,
        issuer: Option<IssuerCondition>,
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
        let rows = query.fetch_all(self).await.map_err(failed)?;
        rows.iter().map(row::record).collect()
    }
}

/// Runs an `UPDATE` of at most one row. Returns the new record, or `None` if no row was updated.
pub(super) async fn changed(
    mut sql: Statement,
    connection: &mut PgConnection,
) -> Result<Option<Arc<TokenRecord>>, StoreError> {
    sql.push(concat!(" RETURNING ", columns!()));
    let rows = planned(sql).fetch_all(connection).await.map_err(failed)?;
    Ok(records(rows.iter())?.pop())
}
