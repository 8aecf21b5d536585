//! The steps of the move from a SQLite file to a PostgreSQL database, and the conditions of each
//! step.
//!
//! A fence on the file or on PostgreSQL makes this side refuse writes. PostgreSQL is fenced from
//! the first copy until the step `--open`. In this time only the move can write to PostgreSQL, so
//! all tokens there are copies. The file is fenced from the step `--finish` on, so that the last
//! copy includes every acknowledged write.
//!
//! The file and PostgreSQL never take writes at the same time. Between `--finish` and `--open`,
//! both are fenced. If PostgreSQL took writes too early, it could acknowledge the revocation of a
//! token while another service still verifies tokens with the file and accepts the revoked token.

mod compare;
mod copy;
mod fence;
mod row;

use std::error::Error;
use std::path::Path;

use keyfob::store::{postgres::PostgresStore, sqlite::SqliteStore};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

pub use self::compare::Compared;
pub use self::copy::Copied;
use self::fence::Target;

/// The error of a step that failed or was refused.
pub type Failure = Box<dyn Error + Send + Sync>;
/// A callback for progress messages. It receives the name of the operation, the number of tokens
/// that the operation has processed so far, and the number of all tokens.
type Tell = dyn FnMut(&str, u64, u64) + Send;

/// Returns a failure with a text that says why a step cannot be done.
pub fn refuse<T>(why: impl Into<String>) -> Result<T, Failure> {
    Err(why.into().into())
}

/// A move from a SQLite file to a PostgreSQL database. It holds a lock, so that no other move into
/// this database can run at the same time.
pub struct Move {
    source: SqliteConnection,
    target: PgConnection,
    tell: Box<Tell>,
}

/// The results of [`Move::finish`].
pub struct Finished {
    pub copied: Copied,
    pub compared: Compared,
}

impl Move {
    /// Connects to the SQLite file and to the PostgreSQL database, and takes the lock of the move
    /// in the database.
    ///
    /// # Errors
    /// Returns a failure if a connection or a query fails, if the file has unknown columns, if the
    /// database may lose acknowledged writes, or if another move holds the lock.
    pub async fn between(
        file: &Path,
        url: &str,
        tell: impl FnMut(&str, u64, u64) + Send + 'static,
    ) -> Result<Self, Failure> {
        let mut source = SqliteStore::connect_options(file).connect().await?;
        row::is_known(&mut source).await?;
        // `connect` refuses a database that may lose acknowledged writes.
        let store = PostgresStore::connect(url).await?;
        store.migrate().await?;
        // The move uses only this connection to PostgreSQL, because the lock and the right to write
        // to the fenced tables belong to a connection.
        let mut target = store.pool().acquire().await?.detach();
        store.pool().close().await;
        fence::take_turn(&mut target).await?;
        Ok(Self { source, target, tell: Box::new(tell) })
    }

    /// Copies new and changed tokens from the file to PostgreSQL. If a token was copied earlier and
    /// has been purged from the file since then, deletes the token from PostgreSQL.
    ///
    /// # Errors
    /// Returns a failure if PostgreSQL holds tokens that were not copied from this file, or if a
    /// token there has a later state than in the file. Also returns a failure if a query fails.
    pub async fn copy(&mut self) -> Result<Copied, Failure> {
        let source = fence::source_id(&mut self.source).await?;
        match fence::target(&mut self.target).await? {
            Target::Empty => fence::begin(&mut self.target, &source).await?,
            Target::Copy { of, .. } if of == source => {
                // The copy in PostgreSQL may have changes that the file lacks, if the file was
                // restored from a back-up. So this check comes before the first write.
                let compared = self.compare().await?;
                if compared.newer > 0 {
                    return refuse(format!(
                        "PostgreSQL has a later state of {} tokens than the file: was the file restored from a back-up?",
                        compared.newer
                    ));
                }
            }
            Target::Copy { .. } => return refuse("PostgreSQL holds a copy of another file"),
            Target::InUse => return refuse("PostgreSQL is in use: it holds tokens that are not a copy of this file"),
        }
        self.bring_over().await
    }

    /// Fences the file, so that it refuses all further writes. Services can still read the file.
    ///
    /// # Errors
    /// Returns a failure if PostgreSQL holds no fenced copy of this file, or if a query fails.
    pub async fn fence(&mut self) -> Result<(), Failure> {
        self.copied_before().await?;
        // The result of an earlier comparison may be outdated.
        fence::set_equal(&mut self.target, false).await?;
        fence::close_source(&mut self.source).await
    }

    /// Copies the tokens that changed since the last copy, and checks that the file and PostgreSQL
    /// are equal. Call [`fence`](Self::fence) first.
    ///
    /// # Errors
    /// Returns a failure if PostgreSQL holds no fenced copy of this file, if the file still takes
    /// writes, if the file and PostgreSQL differ after the copy, or if a query fails.
    pub async fn finish(&mut self) -> Result<Finished, Failure> {
        self.copied_before().await?;
        if !fence::is_source_closed(&mut self.source).await? {
            return refuse("the file still takes writes (fence it with --finish)");
        }
        let copied = self.bring_over().await?;
        let compared = self.compare().await?;
        if !compared.is_equal() {
            return refuse(format!("the two sides differ\n{compared}"));
        }
        fence::set_equal(&mut self.target, true).await?;
        Ok(Finished { copied, compared })
    }

    /// Lets services write to PostgreSQL.
    ///
    /// # Errors
    /// Returns a failure if PostgreSQL holds no fenced copy of this file, if the last
    /// [`finish`](Self::finish) did not find the file and PostgreSQL equal, if the file is no
    /// longer fenced, or if a query fails.
    pub async fn open(&mut self) -> Result<(), Failure> {
        let equal = self.copied_before().await?;
        if !equal || !fence::is_source_closed(&mut self.source).await? {
            return refuse("the move is not finished (run --finish)");
        }
        fence::open_target(&mut self.target).await
    }

    /// Lets services write to the file again.
    ///
    /// # Errors
    /// Returns a failure if PostgreSQL is empty, if PostgreSQL holds a copy of another file, if
    /// services can already write to PostgreSQL, or if a query fails.
    pub async fn reopen(&mut self) -> Result<(), Failure> {
        self.copied_before().await?;
        // The stored result of the comparison is reset before the file takes writes. So PostgreSQL
        // cannot be opened while the file takes writes.
        fence::set_equal(&mut self.target, false).await?;
        fence::open_source(&mut self.source).await
    }

    /// Returns whether the last [`finish`](Self::finish) found the file and PostgreSQL equal.
    ///
    /// # Errors
    /// Returns a failure if PostgreSQL holds no copy of this file, if services can already write to
    /// PostgreSQL, or if a query fails.
    async fn copied_before(&mut self) -> Result<bool, Failure> {
        let source = fence::source_id(&mut self.source).await?;
        match fence::target(&mut self.target).await? {
            Target::Copy { of, equal } if of == source => Ok(equal),
            Target::InUse => refuse("PostgreSQL is open: services may have written to it"),
            _ => refuse("PostgreSQL holds no copy of this file (copy it first)"),
        }
    }

    async fn bring_over(&mut self) -> Result<Copied, Failure> {
        copy::bring_over(&mut self.source, &mut self.target, &mut *self.tell).await
    }

    /// Compares all rows of the file with all rows of the PostgreSQL database.
    ///
    /// # Errors
    /// Returns a failure if a query fails.
    pub async fn compare(&mut self) -> Result<Compared, Failure> {
        compare::compare(&mut self.source, &mut self.target, &mut *self.tell).await
    }
}
