//! The rows of the tokens in both engines, and pages with the rows of both sides.

use std::fmt::{self, Display};

use keyfob::TokenRecord;
use keyfob::store::{self, ColumnKind as Kind};
use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, ColumnIndex, Decode, Type};

use super::{Failure, refuse};

/// The number of rows of the file in a page. Each page is read in a transaction of its own, because
/// a long transaction would keep SQLite from reusing the space of the write-ahead log.
const PAGE: usize = 1000;

/// All columns of a token. PostgreSQL keeps the last one, the import key, in a separate table.
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

/// Returns the names of the columns that the table `keyfob_tokens` has on both sides.
pub fn names() -> impl Iterator<Item = &'static str> {
    COLUMNS[..IMPORT_KEY].iter().map(|(name, _)| *name)
}

/// The value of a column, or `None` for NULL.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    Text(Option<String>),
    Number(Option<i64>),
    Bytes(Option<Vec<u8>>),
}

/// The project and the id of a token. Both engines and Rust sort keys in the same order, byte by
/// byte.
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

    /// Returns the version and the time of the last use. Each change raises the version, and the
    /// time only moves forward. So a later state of a token has the greater pair.
    pub fn age(&self) -> (Option<i64>, Option<i64>) {
        (self.number(VERSION), self.number(LAST_USED_AT))
    }

    pub fn import_key(&self) -> Option<&Vec<u8>> {
        match &self.0[IMPORT_KEY] {
            Value::Bytes(key) => key.as_ref(),
            _ => None,
        }
    }

    /// Adds the row to a digest, in a form that no other row has. Before each
    /// value comes a byte that says whether it is NULL, and then its length.
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

/// The rows of both sides in one range of keys. The range ends with a full page of the file, or
/// with the last key of both sides.
pub struct Page {
    pub source: Vec<Row>,
    pub target: Vec<Row>,
    /// The key after which the next page begins, or `None` after the last page.
    pub next: Option<Key>,
}

impl Page {
    /// Reads the page of both sides that begins after a key.
    pub async fn behind(after: &Key, source: &mut SqliteConnection, target: &mut PgConnection) -> sqlx::Result<Self> {
        let columns: Vec<_> = COLUMNS.iter().map(|(name, _)| *name).collect();
        let sql = format!(
            "SELECT {} FROM keyfob_tokens WHERE (project, id) > ($1, $2) ORDER BY project, id LIMIT {PAGE}",
            columns.join(", ")
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(&after.project).bind(&after.id);
        let source = query.fetch_all(source).await?.iter().map(Row::of).collect::<sqlx::Result<Vec<_>>>()?;
        let next = source.last().filter(|_| source.len() == PAGE).map(Row::key);

        // This key is greater than all others, because no project id contains the greatest
        // character.
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

/// Returns the number of tokens in the file, for the progress messages.
pub async fn count(source: &mut SqliteConnection) -> sqlx::Result<u64> {
    sqlx::query_scalar("SELECT count(*) FROM keyfob_tokens").fetch_one(source).await.map(i64::unsigned_abs)
}

/// Checks that the file has exactly the columns that this program knows. The program would not copy
/// other columns.
///
/// # Errors
/// Returns a failure if the table is missing or has other columns.
pub async fn is_known(source: &mut SqliteConnection) -> Result<(), Failure> {
    // `pragma_table_info` does not list generated columns.
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
