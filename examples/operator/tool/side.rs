//! The operations that a copy needs of an engine, and that the contract of a store does not have:
//! to read rows with their import keys, to write rows unchanged, and to refuse the writes of
//! services.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use keyfob::store::Cursor;

use super::Failure;
use super::row::{Key, Row};

/// The number of rows that one page has at most.
pub const PAGE: usize = 1000;

/// The future that a method of [`Side`] returns.
pub type Answer<'s, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 's>>;

/// A position in the rows of an engine. An engine lists its projects in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The project in which the position is. An empty text is before all projects.
    pub project: String,
    /// The id of the last token before the position, if the engine lists tokens by their ids.
    pub id: String,
    /// The position in the list of the project, if the engine lists tokens in another order.
    pub cursor: Option<Cursor>,
}

impl Place {
    /// Returns the position before the first token of a project.
    pub fn before(project: &str) -> Self {
        Self { project: project.to_owned(), ..Self::default() }
    }
}

/// A page of rows.
#[derive(Default)]
pub struct Page {
    pub rows: Vec<Row>,
    /// The position of the next page, or `None` if this page is the last.
    pub next: Option<Place>,
}

/// A row to write.
pub struct Written {
    pub new: Row,
    /// The row that the engine has with the same key, if it has one.
    pub old: Option<Row>,
    /// The row of the token that replaced this token by rotation. It is set only if `old` was not
    /// rotated yet, and if the engine has no fence.
    pub successor: Option<Row>,
}

/// The state of an engine that tokens are copied to.
#[derive(Debug)]
pub enum Target {
    /// The engine has no tokens and no fence.
    Empty,
    /// The engine is fenced and holds a copy of the store with the id `of`. `equal` says whether
    /// the last run of `finish` found the two stores equal.
    Copy { of: String, equal: bool },
    /// The engine holds a copy of the store with the id `of`, and `open` was interrupted while it
    /// removed the fence. Services may have written to the engine.
    Opening { of: String },
    /// The engine has tokens and no fence.
    InUse,
    /// The engine has tokens. It cannot be fenced, so the tokens may be a copy.
    Unfenced,
}

/// One of the two stores of a copy, with one connection to its engine.
pub trait Side: Send {
    /// Returns the name of the engine.
    fn engine(&self) -> &'static str;

    /// Returns whether the tool can make the engine refuse the writes of services.
    fn has_fence(&self) -> bool;

    /// Takes the lock that only one copy to or from this store can hold. The lock ends with the
    /// process.
    fn take_turn(&mut self) -> Answer<'_, ()>;

    /// Checks that the store has exactly the columns that this tool copies. Returns `false` if the
    /// store has no table of tokens.
    fn has_table(&mut self) -> Answer<'_, bool>;

    /// Returns the number of tokens, for the progress messages.
    fn count(&mut self) -> Answer<'_, u64>;

    /// Returns the number of import keys.
    fn imports(&mut self) -> Answer<'_, u64>;

    /// Returns the rows after a position.
    fn page<'s>(&'s mut self, after: &'s Place) -> Answer<'s, Page>;

    /// Returns the rows with these keys. Ignores keys that have no row.
    fn rows<'s>(&'s mut self, keys: &'s [Key]) -> Answer<'s, BTreeMap<Key, Row>>;

    /// Returns those of the keys that have no row.
    fn missing<'s>(&'s mut self, keys: &'s [Key]) -> Answer<'s, Vec<Key>>;

    /// Writes rows, as one transaction if the engine has a fence. Returns the number of rows that
    /// could not be made equal.
    fn write(&mut self, rows: Vec<Written>) -> Answer<'_, u64>;

    /// Deletes the rows with these keys. Returns the number of deleted rows, which is 0 if the
    /// engine cannot delete chosen rows.
    fn delete<'s>(&'s mut self, keys: &'s [Key]) -> Answer<'s, u64>;

    /// Updates the statistics of the engine after a copy.
    fn analyze(&mut self) -> Answer<'_, ()>;

    /// Returns the id of the store, or `None` if it has no id yet.
    fn known_id(&mut self) -> Answer<'_, Option<String>>;

    /// Returns the id of the store. The first call creates it.
    fn id(&mut self) -> Answer<'_, String>;

    /// Returns the state of the store as the target of a copy.
    fn target(&mut self) -> Answer<'_, Target>;

    /// Fences the empty store, and records the id of the store that will be copied to it.
    fn begin<'s>(&'s mut self, source: &'s str) -> Answer<'s, ()>;

    /// Records whether a comparison found the two stores equal.
    fn set_equal(&mut self, equal: bool) -> Answer<'_, ()>;

    /// Removes the record of the copy and the fence. If the engine cannot do this in one
    /// transaction, the state in between is [`Target::Opening`].
    fn open_target(&mut self) -> Answer<'_, ()>;

    /// Returns whether the store is fenced.
    fn is_fenced(&mut self) -> Answer<'_, bool>;

    /// Fences the store: it refuses the writes of services. The writes that were committed before
    /// are visible to the next read of this side.
    fn fence(&mut self) -> Answer<'_, ()>;

    /// Removes the fence, also if an interruption has left only a part of it.
    fn unfence(&mut self) -> Answer<'_, ()>;

    /// Closes the connection. The last connection of a SQLite file then moves the write-ahead log
    /// into the file.
    fn close(self: Box<Self>) -> Answer<'static, ()>;
}
