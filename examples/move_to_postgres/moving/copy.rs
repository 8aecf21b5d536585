//! Copies the SQLite file to PostgreSQL: writes the rows that differ, and deletes the rows that the
//! file no longer has.

use std::collections::BTreeMap;
use std::fmt;

use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection};

use keyfob::store::ColumnKind as Kind;

use super::row::{self, COLUMNS, Key, Page, Row, Value};
use super::{Failure, Tell, refuse};

/// The numbers of rows that one run of the copy read, wrote and deleted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Copied {
    /// The number of rows read from the file.
    pub read: u64,
    /// The number of rows written to PostgreSQL.
    pub written: u64,
    /// The number of rows deleted from PostgreSQL. An earlier run copied these rows, and then they
    /// were purged from the file.
    pub deleted: u64,
}

impl fmt::Display for Copied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { read, written, deleted } = self;
        write!(f, "{read} tokens read, {written} written, {deleted} deleted because they are no longer in the file")
    }
}

/// Copies the file in one pass, page by page.
///
/// During the pass, a service may create a token in a page that the pass has already read. The next
/// pass copies this token.
///
/// # Errors
/// Returns a failure if a query fails, or if PostgreSQL has a later state of a token than the file.
pub async fn bring_over(
    source: &mut SqliteConnection,
    target: &mut PgConnection,
    tell: &mut Tell,
) -> Result<Copied, Failure> {
    let all = row::count(source).await?;
    let mut copied = Copied::default();
    let mut after = Some(Key::default());
    while let Some(key) = &after {
        let page = Page::behind(key, source, target).await?;
        let there: BTreeMap<Key, &Row> = page.target.iter().map(|row| (row.key(), row)).collect();
        let differing: Vec<&Row> = page.source.iter().filter(|row| there.get(&row.key()) != Some(row)).collect();
        let kept: BTreeMap<Key, ()> = page.source.iter().map(|row| (row.key(), ())).collect();
        let gone: Vec<Key> = there.into_keys().filter(|key| !kept.contains_key(key)).collect();

        let mut transaction = target.begin().await?;
        if !gone.is_empty() {
            delete(&gone, &mut transaction).await?;
        }
        if !differing.is_empty() {
            write(&differing, &mut transaction).await?;
        }
        transaction.commit().await?;

        copied.read += page.source.len() as u64;
        copied.written += differing.len() as u64;
        copied.deleted += gone.len() as u64;
        tell("copy", copied.read, all);
        after = page.next;
    }
    // PostgreSQL needs statistics to choose good query plans from the first request on. Without
    // this command, it would collect the statistics only later.
    sqlx::raw_sql("ANALYZE keyfob_tokens; ANALYZE keyfob_imports").execute(target).await?;
    Ok(copied)
}

async fn delete(keys: &[Key], target: &mut PgConnection) -> sqlx::Result<()> {
    for table in ["keyfob_imports", "keyfob_tokens"] {
        let sql = format!(
            "DELETE FROM {table} USING unnest($1::text[], $2::text[]) AS gone (gone_project, gone_id) \
             WHERE project = gone_project AND id = gone_id"
        );
        let (projects, ids) = halves(keys.iter());
        sqlx::query(AssertSqlSafe(sql)).bind(projects).bind(ids).execute(&mut *target).await?;
    }
    Ok(())
}

/// Writes these rows and their import keys to PostgreSQL.
///
/// # Errors
/// Returns a failure if a query fails, or if PostgreSQL has a later state of a token than the file.
async fn write(rows: &[&Row], target: &mut PgConnection) -> Result<(), Failure> {
    let places: Vec<_> = row::names().enumerate().map(|(place, _)| array(place)).collect();
    let changes: Vec<_> = row::names().map(|name| format!("{name} = excluded.{name}")).collect();
    // The condition after WHERE keeps an older state of a token from replacing a later state.
    let sql = format!(
        "INSERT INTO keyfob_tokens AS token ({}) SELECT * FROM unnest({}) ON CONFLICT (project, id) DO UPDATE SET {} \
         WHERE token.version < excluded.version OR (token.version = excluded.version \
         AND (token.last_used_at IS NULL OR token.last_used_at <= excluded.last_used_at))",
        row::names().collect::<Vec<_>>().join(", "),
        places.join(", "),
        changes.join(", "),
    );
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for (place, (_, kind)) in COLUMNS.iter().enumerate().take(row::names().count()) {
        let values = rows.iter().map(|row| row.0[place].clone());
        query = match kind {
            Kind::Text => query.bind(values.map(Value::into_text).collect::<Vec<_>>()),
            Kind::Number => query.bind(values.map(Value::into_number).collect::<Vec<_>>()),
            Kind::Bytes => query.bind(values.map(Value::into_bytes).collect::<Vec<_>>()),
        };
    }
    if query.execute(&mut *target).await?.rows_affected() != rows.len() as u64 {
        return refuse("PostgreSQL has a later state of a token than the file");
    }
    write_imports(rows, target).await?;
    Ok(())
}

/// Replaces the import keys of the tokens in these rows.
async fn write_imports(rows: &[&Row], target: &mut PgConnection) -> sqlx::Result<()> {
    const FREE: &str = "DELETE FROM keyfob_imports USING unnest($1::text[], $2::text[]) AS token (of_project, of_id) \
         WHERE project = of_project AND id = of_id";
    const WRITE: &str = "INSERT INTO keyfob_imports (import_key, project, id) \
         SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[]) \
         ON CONFLICT (import_key) DO UPDATE SET project = excluded.project, id = excluded.id";
    let keys: Vec<Key> = rows.iter().map(|row| row.key()).collect();
    let (projects, ids) = halves(keys.iter());
    sqlx::query(FREE).bind(projects).bind(ids).execute(&mut *target).await?;
    let imported = || rows.iter().zip(&keys).filter_map(|(row, key)| Some((row.import_key()?, key)));
    let import_keys: Vec<_> = imported().map(|(import_key, _)| import_key.clone()).collect();
    if !import_keys.is_empty() {
        let (projects, ids) = halves(imported().map(|(_, key)| key));
        sqlx::query(WRITE).bind(import_keys).bind(projects).bind(ids).execute(target).await?;
    }
    Ok(())
}

/// Splits the keys into their projects and their token ids.
fn halves<'k>(keys: impl Iterator<Item = &'k Key>) -> (Vec<String>, Vec<String>) {
    keys.map(|key| (key.project.clone(), key.id.clone())).unzip()
}

/// Returns the placeholder in an SQL statement for an array with all values of a column. `place` is
/// the index of the column in [`COLUMNS`].
fn array(place: usize) -> String {
    let kind = match COLUMNS[place].1 {
        Kind::Text => "text",
        Kind::Number => "bigint",
        Kind::Bytes => "bytea",
    };
    format!("${}::{kind}[]", place + 1)
}

impl Value {
    fn into_text(self) -> Option<String> {
        if let Self::Text(text) = self { text } else { None }
    }

    fn into_number(self) -> Option<i64> {
        if let Self::Number(number) = self { number } else { None }
    }

    fn into_bytes(self) -> Option<Vec<u8>> {
        if let Self::Bytes(bytes) = self { bytes } else { None }
    }
}
