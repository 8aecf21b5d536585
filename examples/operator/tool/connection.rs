//! The connection of a side on an SQL engine, and the statements that the side runs on it. A side
//! uses one connection, because the lock of the copy and the right to pass the fence belong to a
//! connection.

use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::time::Duration;

use keyfob::store::ColumnKind as Kind;
use sqlx::AssertSqlSafe;
use sqlx::mysql::MySqlConnection;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

use super::Failure;
use super::dialect::Dialect;
use super::row::{COLUMNS, Key, Row, Value};

/// The number of rows that one statement reads or writes. SQLite allows 32,766 bound values.
pub const CHUNK: usize = 500;

/// The maximum number of bytes of the rows that one statement writes. A single row may have more.
/// MariaDB refuses a statement that is longer than `max_allowed_packet`, which is 16 MB by default.
/// Some administrators set 1 MB.
const BYTES: usize = 512 * 1024;

/// Returns the number of rows at the start of `rows` that one statement writes.
fn batch(rows: &[Row]) -> usize {
    let mut bytes = 0;
    let fits = |row: &&Row| {
        bytes += row.size();
        bytes <= BYTES
    };
    rows.iter().take(CHUNK).take_while(fits).count().max(1)
}

/// A side of a copy on an SQL engine.
pub struct Sql<C> {
    pub(super) connection: C,
    pub(super) dialect: &'static Dialect,
    /// The file that holds the lock of the copy, for an engine without a query for a lock.
    lock: Option<PathBuf>,
    /// The open file that holds the lock.
    locked: Option<File>,
}

impl<C> Sql<C> {
    /// Tries to lock the file of the lock. Returns whether this side holds the lock.
    #[allow(clippy::incompatible_msrv, reason = "the stores on SQL need a later version")]
    pub(super) fn lock_file(&mut self) -> Result<bool, Failure> {
        let Some(path) = &self.lock else { return Ok(true) };
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => {
                self.locked = Some(file);
                Ok(true)
            }
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

/// Implements the statements for a type of connection.
macro_rules! statements {
    ($connection:ty) => {
        impl Sql<$connection> {
            /// Creates a side with this connection. `lock` is the file of the lock, for an engine
            /// without a query for a lock.
            ///
            /// # Errors
            /// Returns an error if a statement fails.
            pub async fn new(
                mut connection: $connection,
                dialect: &'static Dialect,
                lock: Option<PathBuf>,
            ) -> Result<Self, Failure> {
                for sql in dialect.setup {
                    sqlx::raw_sql(*sql).execute(&mut connection).await?;
                }
                Ok(Self { connection, dialect, lock, locked: None })
            }

            pub(super) async fn run(&mut self, statements: &[&'static str]) -> sqlx::Result<()> {
                for sql in statements {
                    sqlx::raw_sql(*sql).execute(&mut self.connection).await?;
                }
                Ok(())
            }

            pub(super) async fn number(&mut self, sql: &'static str) -> sqlx::Result<i64> {
                sqlx::query_scalar(sql).fetch_one(&mut self.connection).await
            }

            pub(super) async fn has(&mut self, table: &str) -> sqlx::Result<bool> {
                let query = sqlx::query_scalar::<_, i64>(self.dialect.has_table).bind(table);
                Ok(query.fetch_one(&mut self.connection).await? > 0)
            }

            pub(super) async fn begin_writing(&mut self) -> sqlx::Result<()> {
                self.run(&[self.dialect.begin]).await
            }

            /// Commits the transaction if `outcome` is a success, and rolls it back otherwise.
            pub(super) async fn end<T>(&mut self, outcome: Result<T, Failure>) -> Result<T, Failure> {
                match outcome {
                    Ok(value) => {
                        self.run(&["COMMIT"]).await?;
                        Ok(value)
                    }
                    Err(error) => {
                        // The first error is more useful than an error of this statement.
                        self.run(&["ROLLBACK"]).await.ok();
                        Err(error)
                    }
                }
            }

            /// Runs statements in a transaction. Repeats the transaction until it gets the locks of
            /// the tables.
            pub(super) async fn change_fence(&mut self, statements: &[&[&'static str]]) -> Result<(), Failure> {
                let mut waiting = false;
                loop {
                    let outcome = async {
                        self.begin_writing().await?;
                        self.run(self.dialect.patience).await?;
                        for part in statements {
                            self.run(part).await?;
                        }
                        self.run(&["COMMIT"]).await
                    };
                    let Err(error) = outcome.await else { return Ok(()) };
                    self.run(&["ROLLBACK"]).await.ok();
                    let code = error.as_database_error().and_then(|error| error.code());
                    if code.as_deref() != Some(self.dialect.busy) {
                        return Err(error.into());
                    }
                    if !waiting {
                        eprintln!("waiting for another connection of {}, which locks the tables", self.dialect.engine);
                        waiting = true;
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }

            pub(super) async fn execute_on_keys(&mut self, sql: String, keys: &[Key]) -> sqlx::Result<u64> {
                let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(keys.len() == CHUNK);
                for key in keys {
                    query = query.bind(&key.project).bind(&key.id);
                }
                Ok(query.execute(&mut self.connection).await?.rows_affected())
            }

            pub(super) async fn remove(&mut self, keys: &[Key]) -> sqlx::Result<u64> {
                let mut count = 0;
                for keys in keys.chunks(CHUNK) {
                    if self.dialect.has_imports_table {
                        self.execute_on_keys(self.dialect.delete("keyfob_imports", keys.len()), keys).await?;
                    }
                    count += self.execute_on_keys(self.dialect.delete("keyfob_tokens", keys.len()), keys).await?;
                }
                Ok(count)
            }

            pub(super) async fn insert(&mut self, rows: &[Row]) -> sqlx::Result<()> {
                let (dialect, width) = (self.dialect, self.dialect.width());
                let imported: Vec<_> = rows.iter().filter_map(|row| Some((row.import_key()?, row.key()))).collect();
                if !imported.is_empty() {
                    // A token that was purged from FROM may still have one of these keys.
                    let mut query = sqlx::query(AssertSqlSafe(dialect.free_imports(imported.len())));
                    for (key, _) in &imported {
                        query = query.bind(*key);
                    }
                    query.persistent(imported.len() == CHUNK).execute(&mut self.connection).await?;
                }
                let mut query = sqlx::query(AssertSqlSafe(dialect.insert(rows.len()))).persistent(rows.len() == CHUNK);
                for row in rows {
                    for (value, (_, kind)) in row.0[..width].iter().zip(&COLUMNS) {
                        query = match (value, kind) {
                            (Value::Text(text), _) => query.bind(&**text),
                            (Value::Number(number), _) => query.bind(*number),
                            (Value::Bytes(bytes), _) => query.bind(&**bytes),
                            (Value::Null, Kind::Text) => query.bind(None::<String>),
                            (Value::Null, Kind::Number) => query.bind(None::<i64>),
                            (Value::Null, Kind::Bytes) => query.bind(None::<Vec<u8>>),
                        };
                    }
                }
                query.execute(&mut self.connection).await?;
                if dialect.has_imports_table && !imported.is_empty() {
                    let mut query = sqlx::query(AssertSqlSafe(dialect.insert_imports(imported.len())));
                    for (import_key, key) in &imported {
                        query = query.bind(*import_key).bind(&key.project).bind(&key.id);
                    }
                    query.persistent(imported.len() == CHUNK).execute(&mut self.connection).await?;
                }
                Ok(())
            }

            /// Replaces rows in one transaction.
            pub(super) async fn replace(&mut self, gone: &[Key], rows: &[Row]) -> Result<u64, Failure> {
                self.begin_writing().await?;
                let outcome = async {
                    let lifts = self.dialect.fence_stops_all && self.fenced().await?;
                    if lifts {
                        self.run(self.dialect.unfence).await?;
                    }
                    let removed = self.remove(gone).await?;
                    let mut rest = rows;
                    while !rest.is_empty() {
                        let (rows, later) = rest.split_at(batch(rest));
                        self.insert(rows).await?;
                        rest = later;
                    }
                    if lifts {
                        self.run(self.dialect.fence).await?;
                    }
                    Ok(removed)
                };
                let outcome = outcome.await;
                self.end(outcome).await
            }

            pub(super) async fn fenced(&mut self) -> sqlx::Result<bool> {
                Ok(self.number(self.dialect.fences).await? >= self.dialect.fence_count)
            }

            /// Returns the statements that remove the fence. There are none if no trigger exists.
            /// An interrupted run may have left only some of the triggers.
            pub(super) async fn unfencing(&mut self) -> sqlx::Result<&'static [&'static str]> {
                let any = self.number(self.dialect.fences).await? > 0;
                Ok(if any { self.dialect.unfence } else { &[] })
            }
        }
    };
}

statements!(SqliteConnection);
statements!(PgConnection);
statements!(MySqlConnection);
