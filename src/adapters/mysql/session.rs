//! The statements of a call on MariaDB and MySQL.
//!
//! Each statement runs in a task of its own. If sqlx's future of a statement were dropped half-way,
//! the next call on the connection could receive the reply to this statement.
//!
//! A statement that changes several rows chooses them first, without locks. Then it locks them
//! through the primary key, in ascending order of id, so that two calls do not wait for each other.

use core::time::Duration;
use std::sync::Arc;

use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::query::Query;
use sqlx::{MySql, MySqlConnection, Row};

use super::failure::failed;
use super::settings;
use crate::adapters::sql::lease::{AsyncWork, Lease};
use crate::adapters::sql::patience::PATIENCE;
use crate::adapters::sql::query::and_project;
use crate::adapters::sql::row::{self, columns};
use crate::adapters::sql::session::{Conditions, Session};
use crate::adapters::sql::statement::Statement;
use crate::adapters::sql::write::{and_key, push_revoked};
use crate::adapters::sql::{Dialect, MYSQL};
use crate::rules::import_row::ImportRow;
use crate::rules::precondition::IssuerCondition;
use crate::rules::record::{Revocation, TokenRecord};
use crate::store::query::PageSize;
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::store_error::{StoreError, StoreErrorKind};

/// The longest time that a statement may take, even if its call has ended. It is longer than the
/// longest wait for a lock.
const LONGEST: Duration = PATIENCE.saturating_add(Duration::from_secs(1));

/// The maximum number of rows that a statement names by their ids. MariaDB converts longer lists
/// into a join, for which it may choose another order.
const NAMED: usize = 500;

/// The query for a row by its key, up to the values of the key.
const FIND: &str = concat!("SELECT ", columns!(), " FROM keyfob_tokens WHERE ");

impl Lease<MySql> {
    /// Runs a statement and returns its rows.
    pub(super) async fn rows(&mut self, sql: Statement) -> sqlx::Result<Vec<MySqlRow>> {
        self.apart(LONGEST, Rows(sql.mysql_query())).await
    }

    /// Runs SQL without parameters.
    pub(super) async fn simple(&mut self, sql: &'static str) -> sqlx::Result<()> {
        self.apart(LONGEST, Simple(sql)).await
    }

    /// Returns the only column of the rows, which is a token id, in ascending order.
    pub(super) async fn ids(&mut self, sql: Statement) -> Result<Vec<TokenId>, StoreError> {
        let rows = self.rows(sql).await.map_err(failed)?;
        let mut ids: Vec<TokenId> = rows.iter().map(row::id).collect::<Result<_, _>>()?;
        ids.sort();
        Ok(ids)
    }

    /// Runs a statement for each part of a list of ids, and returns the number of rows that it
    /// changed. `sql` is the statement up to its conditions on the project and the ids.
    pub(super) async fn write_each(
        &mut self,
        sql: &Statement,
        project: &ProjectId,
        ids: &[TokenId],
        conditions: Conditions<'_>,
    ) -> Result<u64, StoreError> {
        let mut count = 0;
        for ids in ids.chunks(NAMED) {
            let mut sql = sql.clone();
            and_named(&mut sql, project, ids);
            conditions(&mut sql);
            let write = Write(sql.mysql_query().persistent(false));
            count += self.apart(LONGEST, write).await.map_err(failed)?;
        }
        Ok(count)
    }

    /// Returns the records with these ids that meet the conditions, and locks their rows.
    pub(super) async fn lock_each(
        &mut self,
        project: &ProjectId,
        ids: &[TokenId],
        conditions: Conditions<'_>,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        const LOCK: &str = concat!("SELECT ", columns!(), " FROM keyfob_tokens FORCE INDEX (PRIMARY) WHERE ");
        let mut records = Vec::with_capacity(ids.len());
        for ids in ids.chunks(NAMED) {
            let mut sql = Statement::new(LOCK);
            and_named(&mut sql, project, ids);
            conditions(&mut sql);
            sql.push(" ORDER BY id FOR UPDATE");
            let rows = self.apart(LONGEST, Rows(sql.mysql_query().persistent(false))).await.map_err(failed)?;
            for row in &rows {
                records.push(row::record(row)?);
            }
        }
        Ok(records)
    }
}

/// Appends the conditions that a row is in this project and has one of these ids.
fn and_named(sql: &mut Statement, project: &ProjectId, ids: &[TokenId]) {
    and_project(sql, project);
    sql.push(" AND id IN (").bind_all(ids.iter().map(TokenId::as_str)).push(")");
}

struct Rows(Query<'static, MySql, MySqlArguments>);

impl AsyncWork<MySql, Vec<MySqlRow>> for Rows {
    async fn run(self, connection: &mut MySqlConnection) -> sqlx::Result<Vec<MySqlRow>> {
        self.0.fetch_all(connection).await
    }
}

struct Write(Query<'static, MySql, MySqlArguments>);

impl AsyncWork<MySql, u64> for Write {
    async fn run(self, connection: &mut MySqlConnection) -> sqlx::Result<u64> {
        self.0.execute(connection).await.map(|done| done.rows_affected())
    }
}

struct Simple(&'static str);

impl AsyncWork<MySql, ()> for Simple {
    async fn run(self, connection: &mut MySqlConnection) -> sqlx::Result<()> {
        settings::run(connection, self.0).await
    }
}

impl Session for Lease<MySql> {
    const DIALECT: &'static Dialect = &MYSQL;

    async fn write(&mut self, sql: Statement) -> Result<u64, StoreError> {
        self.apart(LONGEST, Write(sql.mysql_query())).await.map_err(failed)
    }

    async fn change(&mut self, key: &TokenKey, sql: Statement) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        // sqlx makes the server count the rows that the statement found, even if it does not change
        // them.
        match self.write(sql).await? {
            0 => Ok(None),
            _ => Ok(self.find(key).await?.map(Arc::new)),
        }
    }

    async fn revoke_rows(
        &mut self,
        project: &ProjectId,
        revocation: &Revocation,
        most: PageSize,
        left: Conditions<'_>,
    ) -> Result<u64, StoreError> {
        let mut first = Statement::new("SELECT id FROM keyfob_tokens WHERE ");
        left(&mut first);
        first.push(" LIMIT ").bind(most.get() as i64);
        let ids = self.ids(first).await?;
        let mut sql = Statement::new("UPDATE keyfob_tokens FORCE INDEX (PRIMARY) SET ");
        push_revoked(&mut sql, revocation).push(" WHERE ");
        self.write_each(&sql, project, &ids, &|sql| {
            sql.push(" AND revoked_at IS NULL");
        })
        .await
    }

    async fn is_true(&mut self, sql: Statement) -> Result<bool, StoreError> {
        let rows = self.rows(sql).await.map_err(failed)?;
        rows.first().expect("a SELECT without FROM has one row").try_get(0).map_err(failed)
    }

    async fn key(&mut self, sql: Statement) -> Result<Option<TokenKey>, StoreError> {
        let rows = self.rows(sql).await.map_err(failed)?;
        rows.first().map(row::key).transpose()
    }

    async fn insert_imported(&mut self, row: &ImportRow) -> Result<bool, StoreError> {
        // The look-up key is free, so only the primary key can conflict. The server then rolls back
        // only this statement.
        match self.write(row::insert(&row.record, Some(&row.import_key))?).await {
            Err(error) if error.kind() == StoreErrorKind::Conflict => Ok(false),
            inserted => inserted.map(|_| true),
        }
    }

    async fn find(&mut self, key: &TokenKey) -> Result<Option<TokenRecord>, StoreError> {
        let mut sql = Statement::new(FIND);
        and_key(&mut sql, key);
        let rows = self.rows(sql).await.map_err(failed)?;
        rows.first().map(row::record).transpose()
    }

    async fn locked(&mut self, key: &TokenKey) -> Result<Option<TokenRecord>, StoreError> {
        let mut sql = Statement::new(FIND);
        and_key(&mut sql, key);
        sql.push(" FOR UPDATE");
        let rows = self.rows(sql).await.map_err(failed)?;
        rows.first().map(row::record).transpose()
    }

    async fn locked_chain(
        &mut self,
        key: &TokenKey,
        issuer: Option<IssuerCondition>,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        // The first read takes no lock. The links to the predecessor and the successor cannot
        // change before the second read, because only a rotation sets them.
        let Some(token) = self.find(key).await? else { return Ok(Vec::new()) };
        let others = [token.rotated_from, token.rotated_to, issuer.map(|condition| condition.id)];
        let mut ids: Vec<TokenId> = others.into_iter().flatten().chain([key.id]).collect();
        ids.sort();
        ids.dedup();
        self.lock_each(&key.project, &ids, &|_| {}).await
    }
}
