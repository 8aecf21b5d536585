//! The steps of the move, and the conditions of each step.
//!
//! From the first copy until the opening, only the move can write to PostgreSQL, so that all its
//! tokens are copies. From the finish on, no service can write to the file, so that each
//! acknowledged write is copied.
//!
//! The two sides never take writes at the same time. From the finish until the opening, neither
//! side takes writes. Otherwise, PostgreSQL could acknowledge a revocation while another service
//! still verifies with the file and accepts the revoked token.

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

pub type Failure = Box<dyn Error + Send + Sync>;
/// A callback for progress. It receives the name of the operation, the number of tokens processed
/// so far, and the number of all tokens.
type Tell = dyn FnMut(&str, u64, u64) + Send;

/// Returns a failure that says why a step cannot be done.
pub fn refuse<T>(why: impl Into<String>) -> Result<T, Failure> {
    Err(why.into().into())
}

/// A move from a file to a PostgreSQL database. It holds the lock of the move.
pub struct Move {
    source: SqliteConnection,
    target: PgConnection,
    tell: Box<Tell>,
}

/// The results of a finish.
pub struct Finished {
    pub copied: Copied,
    pub compared: Compared,
}

impl Move {
    /// Connects to both sides and takes the lock of the move.
    ///
    /// # Errors
    /// Returns a failure if a connection fails, if the file has unknown columns, if the database
    /// may lose acknowledged writes, or if another move holds the lock.
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
        // There is only one connection, because the lock and the right to pass the fence belong to
        // it.
        let mut target = store.pool().acquire().await?.detach();
        store.pool().close().await;
        fence::take_turn(&mut target).await?;
        Ok(Self { source, target, tell: Box::new(tell) })
    }

    /// Copies new and changed tokens, and deletes copied tokens that were purged from the file.
    ///
    /// # Errors
    /// Returns a failure if PostgreSQL holds other tokens than a copy of this file, or a later
    /// state of a token.
    pub async fn copy(&mut self) -> Result<Copied, Failure> {
        let source = fence::source_id(&mut self.source).await?;
        match fence::target(&mut self.target).await? {
            Target::Empty => fence::begin(&mut self.target, &source).await?,
            Target::Copy { of, .. } if of == source => {
                // This check comes before the first write. A file that was restored from a back-up
                // may lack changes that the copy has.
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

    /// Fences the file: all further writes to it are refused. Services still read it.
    ///
    /// # Errors
    /// Returns a failure if PostgreSQL holds no fenced copy of this file.
    pub async fn fence(&mut self) -> Result<(), Failure> {
        self.copied_before().await?;
        // The result of an earlier comparison may be outdated.
        fence::set_equal(&mut self.target, false).await?;
        fence::close_source(&mut self.source).await
    }

    /// Copies the rest after [`fence`](Self::fence), and checks that both sides are equal.
    ///
    /// # Errors
    /// Returns a failure if PostgreSQL holds no fenced copy of this file, if the file still takes
    /// writes, or if the sides differ.
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
    /// Returns a failure unless a [`finish`](Self::finish) found both sides equal and the file is
    /// still fenced.
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
    /// Returns a failure if PostgreSQL holds no fenced copy of this file, because it is empty or
    /// open.
    pub async fn reopen(&mut self) -> Result<(), Failure> {
        self.copied_before().await?;
        // This comes first, so that PostgreSQL cannot be opened once the file takes writes.
        fence::set_equal(&mut self.target, false).await?;
        fence::open_source(&mut self.source).await
    }

    /// Returns whether the last finish found both sides equal.
    ///
    /// # Errors
    /// Returns a failure if PostgreSQL holds no fenced copy of this file.
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

    /// Compares all rows of both sides.
    pub async fn compare(&mut self) -> Result<Compared, Failure> {
        compare::compare(&mut self.source, &mut self.target, &mut *self.tell).await
    }
}
