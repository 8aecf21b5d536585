//! Takes over the state of a data directory into another database, once.
//!
//! An earlier version kept people, projects, sessions and the audit trail in a SQLite file of the
//! data directory, even if the tokens were in PostgreSQL or Redis.

use std::path::Path;

use futures_util::TryStreamExt;
use keyfob::store::sqlite::SqliteStore;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _};

use super::{Db, Dialect, Tx, Value, query, schema};
use crate::setup::SetupError;
use crate::tokens::refusals;

/// The tables that stay behind: each database has its own turns, jobs, keys of GitHub and searches.
const OWN: [&str; 4] = ["turns", "jobs", "github_keys", "gone_search"];
/// The number of rows that one statement inserts.
const BATCH: usize = 200;

/// Copies the state from a SQLite file into a database that has no people yet, in one transaction.
/// The file stays as it is, except that it gets the tables and columns of this version. Returns the
/// number of rows of each table, or `None` if there is nothing to take over.
///
/// # Errors
/// Returns an error if a database fails.
pub async fn take_over(file: &Path, db: &Db) -> Result<Option<Vec<(String, usize)>>, SetupError> {
    if !file.try_exists()? || has_people(db).await? {
        return Ok(None);
    }
    let old = Db::of_store(&SqliteStore::open(file).await?);
    if !old.has_table("users").await? || !has_people(&old).await? {
        return Ok(None);
    }
    old.create_tables().await?;
    refusals::fold(&old).await?;
    let mut tx = db.begin().await?;
    // Another process may have been faster.
    if query("SELECT EXISTS (SELECT 1 FROM users)").is_true(&mut tx).await? {
        tx.roll_back().await?;
        return Ok(None);
    }
    let mut report = Vec::new();
    for table in schema::tables().into_iter().filter(|table| !OWN.contains(&table.name.as_str())) {
        let count = copy(&old, &mut tx, &table).await?;
        report.push((table.name, count));
    }
    tx.commit().await?;
    old.close().await;
    Ok(Some(report))
}

async fn has_people(db: &Db) -> sqlx::Result<bool> {
    query("SELECT EXISTS (SELECT 1 FROM users)").is_true(db).await
}

/// Copies a table. Returns the number of its rows.
async fn copy(old: &Db, tx: &mut Tx, table: &schema::Table) -> Result<usize, SetupError> {
    let columns: Vec<&str> = table.columns.iter().map(|(name, _)| name.as_str()).collect();
    let list = columns.join(", ");
    let from = AssertSqlSafe(match table.has_rowid_for_id(old).await? {
        true => format!("SELECT {} FROM {}", list.replacen("id", "rowid", 1), table.name),
        false => format!("SELECT {list} FROM {}", table.name),
    });
    let pool = old.sqlite().expect("the old database is a SQLite file");
    let mut rows = sqlx::query(from).fetch(pool);
    let mut count = 0;
    loop {
        let mut batch = Vec::new();
        while batch.len() < BATCH
            && let Some(row) = rows.try_next().await?
        {
            batch.push(row);
        }
        if batch.is_empty() {
            break;
        }
        count += batch.len();
        let one = format!("({})", vec!["?"; columns.len()].join(", "));
        let all = vec![one; batch.len()].join(", ");
        let mut insert = query(format!("INSERT INTO {} ({list}) VALUES {all}", table.name));
        for row in &batch {
            for (index, (_, kind)) in table.columns.iter().enumerate() {
                insert = insert.bind(value(row, index, *kind)?);
            }
        }
        insert.execute(&mut *tx).await?;
    }
    // The numbers of PostgreSQL continue after those that were inserted. The others do so anyway.
    if tx.dialect == Dialect::Postgres && table.columns.iter().any(|(_, kind)| *kind == schema::Kind::Id) {
        let name = &table.name;
        let next = format!(
            "SELECT setval(pg_get_serial_sequence('{name}', 'id'), coalesce((SELECT max(id) FROM {name}), 0) + 1, false)"
        );
        query(next).value::<i64>(&mut *tx).await?;
    }
    Ok(count)
}

fn value(row: &SqliteRow, index: usize, kind: schema::Kind) -> sqlx::Result<Value> {
    Ok(match kind {
        schema::Kind::Id | schema::Kind::Integer => Value::Integer(row.try_get(index)?),
        schema::Kind::Text => Value::Text(row.try_get(index)?),
        schema::Kind::Bytes => Value::Bytes(row.try_get(index)?),
    })
}
