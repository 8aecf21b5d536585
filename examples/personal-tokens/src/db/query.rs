//! Statements in one SQL for SQLite, PostgreSQL and MariaDB.
//!
//! The SQL is the part that the three engines share, with these words for their differences:
//!
//! - `?` is the next value, and `?1` the first. `(?*)` is a value that is a list.
//! - `{int}` is the type of a whole number in a `CAST`, `{greatest}` and `{least}` are the
//!   functions of that name, `{lower}` is a function without which `LIKE` distinguishes case,
//!   `{rowid}` is the column `id` of a table that may lack it in an old file, and `{now}` is the
//!   clock of the database, in milliseconds since 1970.
//! - `ON CONFLICT DO NOTHING` at the end of an `INSERT` of at most one row. If its unique values
//!   exist, it inserts no row. Every other error is returned.
//! - `ON CONFLICT (…) DO UPDATE SET` with `excluded.column` for the values of the new row.

use std::borrow::Cow;
use std::fmt::Write;

use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlRow;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, FromRow};

use super::session::{Connection, Session, within};
use super::value::{Truth, Value, of_mariadb, of_postgres, of_sqlite};
use super::{Db, Tx};

/// The end of an `INSERT` that does nothing if its unique values exist.
const NOTHING: &str = "ON CONFLICT DO NOTHING";

/// The engine of a database, whose SQL differs from that of the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    Sqlite,
    Postgres,
    MariaDb,
}

/// Where a statement runs: on its own, or in a transaction.
pub enum On<'a> {
    Db(&'a Db),
    Tx(&'a mut Tx),
}

impl<'a> From<&'a Db> for On<'a> {
    fn from(db: &'a Db) -> Self {
        Self::Db(db)
    }
}

impl<'a> From<&'a mut Tx> for On<'a> {
    fn from(tx: &'a mut Tx) -> Self {
        Self::Tx(tx)
    }
}

/// A statement with its values.
#[derive(Clone)]
pub struct Query {
    sql: Cow<'static, str>,
    values: Vec<Value>,
}

/// Returns a statement. Its SQL is in the words that the first comment of this file explains.
pub fn query(sql: impl Into<Cow<'static, str>>) -> Query {
    Query { sql: sql.into(), values: Vec::new() }
}

/// A row of a result: a tuple of its columns.
pub trait Row:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, MySqlRow> + Send + Unpin
{
}

impl<T> Row for T where
    T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, MySqlRow> + Send + Unpin
{
}

impl Query {
    /// Adds the next value.
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Runs the statement. Returns the number of rows that it inserted, changed or deleted.
    ///
    /// # Errors
    /// Returns an error if the database fails.
    pub async fn execute<'a>(self, on: impl Into<On<'a>>) -> sqlx::Result<u64> {
        async fn run(query: Query, dialect: Dialect, session: &mut Session) -> sqlx::Result<u64> {
            let skips = query.sql.contains(NOTHING);
            let (sql, values) = query.render(dialect);
            let sql = AssertSqlSafe(sql);
            let done = within(async {
                Ok::<_, sqlx::Error>(match session.start() {
                    Connection::Sqlite(connection) => {
                        sqlx::query_with(sql, of_sqlite(values)?).execute(&mut **connection).await?.rows_affected()
                    }
                    Connection::Postgres(connection) => {
                        sqlx::query_with(sql, of_postgres(values)?).execute(&mut **connection).await?.rows_affected()
                    }
                    Connection::MariaDb(connection) => {
                        let done = sqlx::query_with(sql, of_mariadb(values)?).execute(&mut **connection).await;
                        match done {
                            // The statement changed nothing, and its transaction continues.
                            Err(error) if skips && is_duplicate(&error) => 0,
                            done => done?.rows_affected(),
                        }
                    }
                })
            });
            let done = done.await?;
            session.end();
            done
        }
        match on.into() {
            On::Db(db) => run(self, db.dialect(), &mut db.session().await?).await,
            On::Tx(tx) => run(self, tx.dialect, &mut tx.session).await,
        }
    }

    /// Runs the statement and returns its rows.
    ///
    /// # Errors
    /// Returns an error if the database fails, or if a column has another type.
    pub async fn fetch_all<'a, T: Row>(self, on: impl Into<On<'a>>) -> sqlx::Result<Vec<T>> {
        async fn run<T: Row>(query: Query, dialect: Dialect, session: &mut Session) -> sqlx::Result<Vec<T>> {
            let (sql, values) = query.render(dialect);
            let sql = AssertSqlSafe(sql);
            let rows = within(async {
                match session.start() {
                    Connection::Sqlite(connection) => {
                        sqlx::query_as_with(sql, of_sqlite(values)?).fetch_all(&mut **connection).await
                    }
                    Connection::Postgres(connection) => {
                        sqlx::query_as_with(sql, of_postgres(values)?).fetch_all(&mut **connection).await
                    }
                    Connection::MariaDb(connection) => {
                        sqlx::query_as_with(sql, of_mariadb(values)?).fetch_all(&mut **connection).await
                    }
                }
            });
            let rows = rows.await?;
            session.end();
            rows
        }
        match on.into() {
            On::Db(db) => run(self, db.dialect(), &mut db.session().await?).await,
            On::Tx(tx) => run(self, tx.dialect, &mut tx.session).await,
        }
    }

    /// Runs the statement and returns its first row, or `None` if it has no rows.
    pub async fn fetch_optional<'a, T: Row>(self, on: impl Into<On<'a>>) -> sqlx::Result<Option<T>> {
        Ok(self.fetch_all(on).await?.into_iter().next())
    }

    /// Runs the statement and returns its first row.
    ///
    /// # Errors
    /// Returns [`sqlx::Error::RowNotFound`] if it has no rows.
    pub async fn fetch_one<'a, T: Row>(self, on: impl Into<On<'a>>) -> sqlx::Result<T> {
        self.fetch_optional(on).await?.ok_or(sqlx::Error::RowNotFound)
    }

    /// Runs the statement and returns the only column of its rows.
    pub async fn column<'a, T>(self, on: impl Into<On<'a>>) -> sqlx::Result<Vec<T>>
    where
        (T,): Row,
    {
        Ok(self.fetch_all::<(T,)>(on).await?.into_iter().map(|(value,)| value).collect())
    }

    /// Runs the statement and returns the only column of its first row.
    ///
    /// # Errors
    /// Returns [`sqlx::Error::RowNotFound`] if it has no rows.
    pub async fn value<'a, T>(self, on: impl Into<On<'a>>) -> sqlx::Result<T>
    where
        (T,): Row,
    {
        Ok(self.fetch_one::<(T,)>(on).await?.0)
    }

    /// Runs the statement and returns the only column of its first row, or `None` if it has no
    /// rows.
    pub async fn first<'a, T>(self, on: impl Into<On<'a>>) -> sqlx::Result<Option<T>>
    where
        (T,): Row,
    {
        Ok(self.fetch_optional::<(T,)>(on).await?.map(|(value,)| value))
    }

    /// Runs the statement, whose only row has one column, a truth value.
    pub async fn is_true<'a>(self, on: impl Into<On<'a>>) -> sqlx::Result<bool> {
        Ok(self.value::<Truth>(on).await?.0)
    }

    /// Returns the SQL for an engine, with a value for each of its parameters.
    fn render(&self, dialect: Dialect) -> (String, Vec<Value>) {
        let text = in_words_of(&self.sql, dialect);
        let (mut sql, mut values) = (String::with_capacity(text.len()), Vec::with_capacity(self.values.len()));
        let mut next = 0;
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('?') {
            sql.push_str(before);
            let digits = after.len() - after.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
            let index = match after[..digits].parse::<usize>() {
                Ok(number) => number - 1,
                Err(_) => next,
            };
            next = index + 1;
            rest = &after[digits..];
            match &self.values[index] {
                Value::List(list) => {
                    rest = rest.strip_prefix('*').expect("the parameter of a list is `?*`");
                    if list.is_empty() {
                        sql.push_str("NULL");
                    }
                    for (index, value) in list.iter().enumerate() {
                        sql.push_str(if index > 0 { ", " } else { "" });
                        place(&mut sql, &mut values, value, dialect);
                    }
                }
                value => place(&mut sql, &mut values, value, dialect),
            }
        }
        sql.push_str(rest);
        (sql, values)
    }
}

/// Returns whether a unique value of the new row exists.
fn is_duplicate(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(DatabaseError::is_unique_violation)
}

/// Appends a parameter to the SQL, and its value to the values.
fn place(sql: &mut String, values: &mut Vec<Value>, value: &Value, dialect: Dialect) {
    values.push(value.clone());
    match dialect {
        Dialect::Postgres => write!(sql, "${}", values.len()).expect("a string takes every text"),
        Dialect::Sqlite | Dialect::MariaDb => sql.push('?'),
    }
}

/// Replaces the words for which the engines differ.
fn in_words_of(sql: &str, dialect: Dialect) -> String {
    let [int, greatest, least, lower, rowid, now] = match dialect {
        Dialect::Sqlite => ["INTEGER", "max", "min", "", "rowid", "CAST(unixepoch('subsec') * 1000 AS INTEGER)"],
        Dialect::Postgres => [
            "BIGINT",
            "GREATEST",
            "LEAST",
            "lower",
            "id",
            "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
        ],
        Dialect::MariaDb => {
            ["SIGNED", "GREATEST", "LEAST", "lower", "id", "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"]
        }
    };
    let words = [
        ("{int}", int),
        ("{greatest}", greatest),
        ("{least}", least),
        ("{lower}", lower),
        ("{rowid}", rowid),
        ("{now}", now),
    ];
    let mut sql = words.iter().fold(sql.to_owned(), |sql, (word, text)| sql.replace(word, text));
    if dialect == Dialect::MariaDb {
        // `INSERT IGNORE` would also shorten a text and skip a missing reference, and `ON DUPLICATE
        // KEY UPDATE` would count the row that exists. So `execute` handles the error.
        sql = sql.replace(NOTHING, "");
        while let Some((before, after)) = sql.split_once("ON CONFLICT (") {
            let (_, after) = after.split_once(") DO UPDATE SET").expect("an ON CONFLICT has an update");
            sql = format!("{before}ON DUPLICATE KEY UPDATE{after}");
        }
        while let Some((before, after)) = sql.split_once("excluded.") {
            let end = after.find(|letter: char| !letter.is_ascii_lowercase() && letter != '_').unwrap_or(after.len());
            sql = format!("{before}VALUES({}){}", &after[..end], &after[end..]);
        }
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn renders(query: &Query, dialect: Dialect, sql: &str, values: &str) {
        let (rendered, bound) = query.render(dialect);
        assert_eq!((rendered.as_str(), format!("{bound:?}").as_str()), (sql, values));
    }

    #[test]
    fn each_parameter_gets_its_value() {
        let one = "Integer(Some(1)), Text(Some(\"a\"))";
        let numbered = query("SELECT ?2 WHERE a = ?1 AND b = ?2").bind(1_i64).bind("a");
        for dialect in [Dialect::Sqlite, Dialect::MariaDb] {
            renders(&query("SELECT ?, ?").bind(1_i64).bind("a"), dialect, "SELECT ?, ?", &format!("[{one}]"));
            let all = format!("[Text(Some(\"a\")), {one}]");
            renders(&numbered, dialect, "SELECT ? WHERE a = ? AND b = ?", &all);
        }
        let all = format!("[Text(Some(\"a\")), {one}]");
        renders(&numbered, Dialect::Postgres, "SELECT $1 WHERE a = $2 AND b = $3", &all);
    }

    #[test]
    fn list_has_a_parameter_for_each_value() {
        let lists =
            |list: &[i64]| query("SELECT 1 WHERE a = ? AND b IN (?*) AND c = ?").bind(9_i64).bind(list).bind("c");
        let [nine, c] = ["Integer(Some(9))", "Text(Some(\"c\"))"];
        let (two, none) = (lists(&[1, 2]), lists(&[]));
        let numbers = "Integer(Some(1)), Integer(Some(2))";
        renders(
            &two,
            Dialect::Postgres,
            "SELECT 1 WHERE a = $1 AND b IN ($2, $3) AND c = $4",
            &format!("[{nine}, {numbers}, {c}]"),
        );
        renders(&none, Dialect::Sqlite, "SELECT 1 WHERE a = ? AND b IN (NULL) AND c = ?", &format!("[{nine}, {c}]"));
    }

    #[test]
    fn conflicts_have_the_words_of_the_engine() {
        let nothing = query("INSERT INTO t (a) VALUES (1) ON CONFLICT DO NOTHING");
        renders(&nothing, Dialect::Postgres, "INSERT INTO t (a) VALUES (1) ON CONFLICT DO NOTHING", "[]");
        renders(&nothing, Dialect::MariaDb, "INSERT INTO t (a) VALUES (1) ", "[]");
        let update = query(
            "INSERT INTO t (a, b_c) VALUES (1, 2) ON CONFLICT (a) DO UPDATE SET b_c = {least}(t.b_c, excluded.b_c)",
        );
        renders(
            &update,
            Dialect::Sqlite,
            "INSERT INTO t (a, b_c) VALUES (1, 2) ON CONFLICT (a) DO UPDATE SET b_c = min(t.b_c, excluded.b_c)",
            "[]",
        );
        renders(
            &update,
            Dialect::MariaDb,
            "INSERT INTO t (a, b_c) VALUES (1, 2) ON DUPLICATE KEY UPDATE b_c = LEAST(t.b_c, VALUES(b_c))",
            "[]",
        );
    }
}
