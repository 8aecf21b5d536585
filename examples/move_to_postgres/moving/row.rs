//! The rows of the tokens in SQLite and in PostgreSQL, and pages that contain the rows of both.

use std::fmt::{self, Display};

use keyfob::TokenRecord;
use keyfob::store::{self, ColumnKind as Kind};
use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, ColumnIndex, Decode, Type};

use super::{Failure, refuse};

/// The number of rows of the SQLite file that are read as one page. Each page is read in its own
/// transaction, because a long transaction would keep SQLite from reusing the space of the
/// write-ahead log.
const PAGE: usize = 1000;

/// The names and the kinds of all columns of a token. The last column is the import key, which
/// PostgreSQL keeps in a separate table.
pub const COLUMNS: [(&str, Kind); IMPORT_KEY + 1] = {
    let mut columns = [("", Kind::Text); IMPORT_KEY + 1];
    let mut place = 0;
    while place < NAME_FOLDED {
        columns[place] = (store::COLUMNS[place].name, store::COLUMNS[place].kind);
        place += 1;
    }
    columns[NAME_FOLDED] = ("name_folded", Kind::Text);
    columns[IMPORT_KEY] = ("import_key", Kind::Bytes);
    columns
};
const PROJECT: usize = 1;
const ID: usize = 2;
const LAST_USED_AT: usize = 17;
const VERSION: usize = 36;
const NAME_FOLDED: usize = TokenRecord::COLUMNS;
const IMPORT_KEY: usize = NAME_FOLDED + 1;

/// Returns the names of the columns that the table `keyfob_tokens` has in SQLite and also in
/// PostgreSQL.
pub fn names() -> impl Iterator<Item = &'static str> {
    COLUMNS[..IMPORT_KEY].iter().map(|(name, _)| *name)
}

/// The value of a column. Each variant contains `None` if the value is NULL.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    Text(Option<String>),
    Number(Option<i64>),
    Bytes(Option<Vec<u8>>),
}

/// The project and the id of a token. SQLite, PostgreSQL and Rust sort keys in the same order: byte
/// by byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Key {
    pub project: String,
    pub id: String,
}

impl Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.project, self.id)
    }
}

/// The row of a token: the values of all [`COLUMNS`], in their order.
#[derive(Clone, PartialEq, Eq)]
pub struct Row(pub Vec<Value>);

impl Row {
    pub fn key(&self) -> Key {
        Key { project: self.text(PROJECT), id: self.text(ID) }
    }

    fn text(&self, place: usize) -> String {
        match &self.0[place] {
            Value::Text(text) => text.clone().unwrap_or_default(),
            _ => String::new(),
        }
    }

    fn number(&self, place: usize) -> Option<i64> {
        match self.0[place] {
            Value::Number(number) => number,
            _ => None,
        }
    }

    /// Returns the version of the token and the time of its last use. Each change of the token
    /// increases the version, and the time of the last use never decreases. So of two states of a
    /// token, the later state has the greater pair.
    pub fn age(&self) -> (Option<i64>, Option<i64>) {
        (self.number(VERSION), self.number(LAST_USED_AT))
    }

    pub fn import_key(&self) -> Option<&Vec<u8>> {
        match &self.0[IMPORT_KEY] {
            Value::Bytes(key) => key.as_ref(),
            _ => None,
        }
    }

    /// Adds the row to a digest, in a form that differs for any two different rows. Each value
    /// begins with a byte that says whether the value is NULL. If it is not NULL, its length and
    /// its bytes follow.
    pub fn add_to(&self, digest: &mut Sha256) {
        for value in &self.0 {
            let number = match value {
                Value::Number(number) => number.map(i64::to_be_bytes),
                _ => None,
            };
            let bytes = match value {
                Value::Text(text) => text.as_deref().map(str::as_bytes),
                Value::Number(_) => number.as_ref().map(<[u8; 8]>::as_slice),
                Value::Bytes(bytes) => bytes.as_deref(),
            };
            digest.update([u8::from(bytes.is_some())]);
            if let Some(bytes) = bytes {
                digest.update((bytes.len() as u64).to_be_bytes());
                digest.update(bytes);
            }
        }
    }

    fn of<'r, R: sqlx::Row>(row: &'r R) -> sqlx::Result<Self>
    where
        usize: ColumnIndex<R>,
        Option<String>: Decode<'r, R::Database> + Type<R::Database>,
        Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
        Option<Vec<u8>>: Decode<'r, R::Database> + Type<R::Database>,
    {
        let value = |(place, (_, kind)): (usize, &(&str, Kind))| {
            Ok(match kind {
                Kind::Text => Value::Text(row.try_get(place)?),
                Kind::Number => Value::Number(row.try_get(place)?),
                Kind::Bytes => Value::Bytes(row.try_get(place)?),
            })
        };
        COLUMNS.iter().enumerate().map(value).collect::<sqlx::Result<_>>().map(Self)
    }
}

/// The rows of the SQLite file and of the PostgreSQL database in one range of keys.
///
/// The range contains a thousand rows of the file. The last range contains fewer rows of the file,
/// and all remaining rows of the database.
pub struct Page {
    /// The rows of the file.
    pub source: Vec<Row>,
    /// The rows of the database.
    pub target: Vec<Row>,
    /// The key after which the next page begins, or `None` if this page is the last.
    pub next: Option<Key>,
}

impl Page {
    /// Reads the page that begins after a key, from the file and from the database.
    pub async fn behind(after: &Key, source: &mut SqliteConnection, target: &mut PgConnection) -> sqlx::Result<Self> {
        let columns: Vec<_> = COLUMNS.iter().map(|(name, _)| *name).collect();
        let sql = format!(
            "SELECT {} FROM keyfob_tokens WHERE (project, id) > ($1, $2) ORDER BY project, id LIMIT {PAGE}",
            columns.join(", ")
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(&after.project).bind(&after.id);
        let source = query.fetch_all(source).await?.iter().map(Row::of).collect::<sqlx::Result<Vec<_>>>()?;
        let next = source.last().filter(|_| source.len() == PAGE).map(Row::key);

        // The key for the last page is greater than all other keys, because no project id contains
        // the greatest character, U+10FFFF.
        let until = next.clone().unwrap_or(Key { project: "\u{10ffff}".to_owned(), id: String::new() });
        let sql = format!(
            "SELECT {}, (SELECT import_key FROM keyfob_imports AS import \
                         WHERE import.project = token.project AND import.id = token.id LIMIT 1) \
             FROM keyfob_tokens AS token WHERE (project, id) > ($1, $2) AND (project, id) <= ($3, $4) \
             ORDER BY project, id",
            names().collect::<Vec<_>>().join(", ")
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(&after.project).bind(&after.id);
        let rows = query.bind(&until.project).bind(&until.id).fetch_all(target).await?;
        let target = rows.iter().map(Row::of).collect::<sqlx::Result<_>>()?;
        Ok(Self { source, target, next })
    }
}

/// Returns the number of tokens in the SQLite file, for the progress messages.
pub async fn count(source: &mut SqliteConnection) -> sqlx::Result<u64> {
    sqlx::query_scalar("SELECT count(*) FROM keyfob_tokens").fetch_one(source).await.map(i64::unsigned_abs)
}

/// Checks that the table of tokens in the SQLite file has exactly the columns that this program
/// copies.
///
/// # Errors
/// Returns a failure if a query fails, if the table is missing, or if it has other columns.
pub async fn is_known(source: &mut SqliteConnection) -> Result<(), Failure> {
    // `pragma_table_info` does not list generated columns, which this program does not copy.
    let names = "SELECT name FROM pragma_table_info('keyfob_tokens') ORDER BY name";
    let there: Vec<String> = sqlx::query_scalar(names).fetch_all(source).await?;
    let mut known: Vec<_> = COLUMNS.iter().map(|(name, _)| *name).collect();
    known.sort_unstable();
    if there != known {
        return refuse(
            "the table keyfob_tokens of the file is missing or has other columns than this program knows \
             (use the program of the keyfob version that wrote the file)",
        );
    }
    Ok(())
}
