//! Tokens as rows of either engine, and both sides page by page.

use std::fmt::{self, Display};

use keyfob::TokenRecord;
use keyfob::store::{self, ColumnKind as Kind};
use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, ColumnIndex, Decode, Type};

use super::{Failure, refuse};

/// How many rows of the file are read at once: each time in a transaction of its own, as one that lasted would keep the file
/// from giving back what its log takes.
const PAGE: usize = 1000;

/// Every column, of which PostgreSQL keeps the last in a table of its own.
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

/// The names of the columns that a token has on both sides.
pub fn names() -> impl Iterator<Item = &'static str> {
    COLUMNS[..IMPORT_KEY].iter().map(|(name, _)| *name)
}

#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    Text(Option<String>),
    Number(Option<i64>),
    Bytes(Option<Vec<u8>>),
}

/// Where a token stands: engines and Rust agree on this order, byte by byte.
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

    /// What only grows: each change raises the version, and a last use goes forward only.
    pub fn age(&self) -> (Option<i64>, Option<i64>) {
        (self.number(VERSION), self.number(LAST_USED_AT))
    }

    pub fn import_key(&self) -> Option<&Vec<u8>> {
        match &self.0[IMPORT_KEY] {
            Value::Bytes(key) => key.as_ref(),
            _ => None,
        }
    }

    /// In a form that no other row has: each value behind whether it is one, and its length.
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

/// Both sides from behind a key on, as far as a page of the file goes, or to their ends.
pub struct Page {
    pub source: Vec<Row>,
    pub target: Vec<Row>,
    /// The key behind which to go on.
    pub next: Option<Key>,
}

impl Page {
    pub async fn behind(after: &Key, source: &mut SqliteConnection, target: &mut PgConnection) -> sqlx::Result<Self> {
        let columns: Vec<_> = COLUMNS.iter().map(|(name, _)| *name).collect();
        let sql = format!(
            "SELECT {} FROM keyfob_tokens WHERE (project, id) > ($1, $2) ORDER BY project, id LIMIT {PAGE}",
            columns.join(", ")
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(&after.project).bind(&after.id);
        let source = query.fetch_all(source).await?.iter().map(Row::of).collect::<sqlx::Result<Vec<_>>>()?;
        let next = source.last().filter(|_| source.len() == PAGE).map(Row::key);

        // No project has the name of the last character there is.
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

/// How many tokens the file holds, for those who wait.
pub async fn count(source: &mut SqliteConnection) -> sqlx::Result<u64> {
    sqlx::query_scalar("SELECT count(*) FROM keyfob_tokens").fetch_one(source).await.map(i64::unsigned_abs)
}

/// Refuses a file of a version whose columns are others: what this program does not know it would leave behind.
pub async fn is_known(source: &mut SqliteConnection) -> Result<(), Failure> {
    // Without the generated ones.
    let names = "SELECT name FROM pragma_table_info('keyfob_tokens') ORDER BY name";
    let there: Vec<String> = sqlx::query_scalar(names).fetch_all(source).await?;
    let mut known: Vec<_> = COLUMNS.iter().map(|(name, _)| *name).collect();
    known.sort_unstable();
    if there != known {
        return refuse("the file has no table keyfob_tokens, or one with other columns than this program knows");
    }
    Ok(())
}
