//! The move: its steps, and what each demands.
//!
//! Both sides are fenced while it lasts. Nobody else may write to PostgreSQL from the first copy on, so that whatever stands
//! there is a copy; and nobody may write to the file from the finish on, so that whatever was acknowledged is copied. At no
//! time do both take writes, and none does from the finish until the opening: a revocation that PostgreSQL acknowledges
//! would be unknown to a service that verifies with the file still.

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
/// Hears of an act, how many tokens it has been through, and how many there are.
type Tell = dyn FnMut(&str, u64, u64) + Send;

/// What a step cannot be done for.
pub fn refuse<T>(why: impl Into<String>) -> Result<T, Failure> {
    Err(why.into().into())
}

pub struct Move {
    source: SqliteConnection,
    target: PgConnection,
    tell: Box<Tell>,
}

/// What a finish did and saw.
pub struct Finished {
    pub copied: Copied,
    pub compared: Compared,
}

impl Move {
    /// Connects to both, and has the turn.
    pub async fn between(
        file: &Path,
        url: &str,
        tell: impl FnMut(&str, u64, u64) + Send + 'static,
    ) -> Result<Self, Failure> {
        let mut source = SqliteStore::connect_options(file).connect().await?;
        row::is_known(&mut source).await?;
        // It refuses a database that may lose what it acknowledges.
        let store = PostgresStore::connect(url).await?;
        store.migrate().await?;
        // One connection, as the fence and the turn are its own.
        let mut target = store.pool().acquire().await?.detach();
        store.pool().close().await;
        fence::take_turn(&mut target).await?;
        Ok(Self { source, target, tell: Box::new(tell) })
    }

    /// Copies what PostgreSQL has not yet.
    pub async fn copy(&mut self) -> Result<Copied, Failure> {
        let source = fence::source_id(&mut self.source).await?;
        match fence::target(&mut self.target).await? {
            Target::Empty => fence::begin(&mut self.target, &source).await?,
            Target::Copy { of, .. } if of == source => {
                // Looked at before anything is written: a file that was put back from a back-up may lack what the copy has.
                let compared = self.compare().await?;
                if compared.newer > 0 {
                    return refuse(format!(
                        "PostgreSQL has a later state of {} tokens than the file: was the file put back from a back-up?",
                        compared.newer
                    ));
                }
            }
            Target::Copy { .. } => return refuse("what stands in PostgreSQL is a copy of another file"),
            Target::InUse => return refuse("PostgreSQL holds tokens that are no copy of the file: it is in use"),
        }
        self.bring_over().await
    }

    /// Lets nobody write to the file any more. Services go on reading it.
    pub async fn fence(&mut self) -> Result<(), Failure> {
        self.copied_before().await?;
        // What was found equal before may be so no more.
        fence::set_equal(&mut self.target, false).await?;
        fence::close_source(&mut self.source).await
    }

    /// Behind [`fence`](Self::fence): copies the rest, and sees whether both sides are equal.
    pub async fn finish(&mut self) -> Result<Finished, Failure> {
        self.copied_before().await?;
        if !fence::is_source_closed(&mut self.source).await? {
            return refuse("the file takes writes still");
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
    pub async fn open(&mut self) -> Result<(), Failure> {
        let equal = self.copied_before().await?;
        if !equal || !fence::is_source_closed(&mut self.source).await? {
            return refuse("the move is not finished");
        }
        fence::open_target(&mut self.target).await
    }

    /// Lets services write to the file again.
    pub async fn reopen(&mut self) -> Result<(), Failure> {
        self.copied_before().await?;
        // First, so that nothing can open PostgreSQL any more.
        fence::set_equal(&mut self.target, false).await?;
        fence::open_source(&mut self.source).await
    }

    /// Sees that PostgreSQL holds a fenced copy of this file, and whether that was found equal.
    async fn copied_before(&mut self) -> Result<bool, Failure> {
        let source = fence::source_id(&mut self.source).await?;
        match fence::target(&mut self.target).await? {
            Target::Copy { of, equal } if of == source => Ok(equal),
            Target::InUse => refuse("PostgreSQL is open: services may have written to it"),
            _ => refuse("PostgreSQL holds no copy of this file"),
        }
    }

    async fn bring_over(&mut self) -> Result<Copied, Failure> {
        copy::bring_over(&mut self.source, &mut self.target, &mut *self.tell).await
    }

    /// Reads all of both sides.
    pub async fn compare(&mut self) -> Result<Compared, Failure> {
        compare::compare(&mut self.source, &mut self.target, &mut *self.tell).await
    }
}
