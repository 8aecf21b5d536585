//! The rows of tokens, in the same form for every engine.

use std::borrow::Cow;
use std::fmt::{self, Display};

use keyfob::store::{self, ColumnKind as Kind, ColumnValue, StoreError};
use keyfob::{TokenKey, TokenRecord};
use sha2::{Digest, Sha256};
use sqlx::{ColumnIndex, Decode, Type};

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
const ROTATED_TO: usize = 27;
const VERSION: usize = 36;
const NAME_FOLDED: usize = TokenRecord::COLUMNS;
/// The position of the import key in [`COLUMNS`].
pub const IMPORT_KEY: usize = NAME_FOLDED + 1;

/// The value of a column.
pub type Value = ColumnValue<'static>;

/// The project and the id of a token. All engines and Rust sort keys in the same order: byte by
/// byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Key {
    pub project: String,
    pub id: String,
}

impl Key {
    /// Returns the key in the form that the methods of a store take.
    ///
    /// # Errors
    /// Returns an error if the project or the id is not valid.
    pub fn parsed(&self) -> Result<TokenKey, keyfob::Invalid> {
        Ok(TokenKey { project: self.project.parse()?, id: self.id.parse()? })
    }
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
            Value::Text(text) => text.to_string(),
            _ => String::new(),
        }
    }

    fn number(&self, place: usize) -> Option<i64> {
        match self.0[place] {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    /// Returns the version of the token and the time of its last use. Each change of the token
    /// increases the version, and the time of the last use never decreases. So of two states of a
    /// token, the later state has the greater pair.
    pub fn age(&self) -> (Option<i64>, Option<i64>) {
        (self.number(VERSION), self.number(LAST_USED_AT))
    }

    /// Returns the key of the token that replaced this token by rotation.
    pub fn successor(&self) -> Option<Key> {
        let id = self.text(ROTATED_TO);
        (!id.is_empty()).then(|| Key { project: self.text(PROJECT), id })
    }

    pub fn import_key(&self) -> Option<&[u8]> {
        match &self.0[IMPORT_KEY] {
            Value::Bytes(key) => Some(key),
            _ => None,
        }
    }

    /// Returns the row of a record that has no import key.
    ///
    /// # Errors
    /// Returns an error if a number of the record does not fit a column.
    pub fn of_record(record: &TokenRecord) -> Result<Self, StoreError> {
        let folded = Value::Text(Cow::Owned(record.name.folded()));
        let values = record.to_columns()?.into_iter().map(|value| match value {
            ColumnValue::Null => Value::Null,
            ColumnValue::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            ColumnValue::Number(number) => Value::Number(number),
            ColumnValue::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
        });
        Ok(Self(values.chain([folded, Value::Null]).collect()))
    }

    /// Returns the record of the row.
    ///
    /// # Errors
    /// Returns [`Corrupt`](keyfob::store::StoreErrorKind::Corrupt) if a value is not valid.
    pub fn record(&self) -> Result<TokenRecord, StoreError> {
        TokenRecord::from_columns(|place| Ok(self.0[place].clone()))
    }

    /// Returns the number of bytes that the values of the row have in a statement, about.
    pub fn size(&self) -> usize {
        let size = |value: &Value| match value {
            Value::Null => 0,
            Value::Number(_) => size_of::<i64>(),
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
        };
        self.0.iter().map(size).sum()
    }

    /// Returns a digest of the row, which differs for any two different rows. Each value begins
    /// with a byte that says whether the value is NULL. If it is not NULL, its length and its bytes
    /// follow.
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for value in &self.0 {
            let number;
            let bytes = match value {
                Value::Null => None,
                Value::Text(text) => Some(text.as_bytes()),
                Value::Number(value) => {
                    number = value.to_be_bytes();
                    Some(number.as_slice())
                }
                Value::Bytes(bytes) => Some(&**bytes),
            };
            digest.update([u8::from(bytes.is_some())]);
            if let Some(bytes) = bytes {
                digest.update((bytes.len() as u64).to_be_bytes());
                digest.update(bytes);
            }
        }
        digest.finalize().into()
    }

    /// Returns the row that a query returned. The query selects all [`COLUMNS`] in their order.
    ///
    /// # Errors
    /// Returns an error if a value has another type than its column.
    pub fn of<'r, R: sqlx::Row>(row: &'r R) -> sqlx::Result<Self>
    where
        usize: ColumnIndex<R>,
        Option<String>: Decode<'r, R::Database> + Type<R::Database>,
        Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
        Option<Vec<u8>>: Decode<'r, R::Database> + Type<R::Database>,
    {
        let value = |(place, (_, kind)): (usize, &(&str, Kind))| {
            Ok(match kind {
                // In MariaDB, this column is a byte string.
                Kind::Text if place == NAME_FOLDED => {
                    row.try_get_unchecked::<Option<String>, _>(place)?.map(|text| Value::Text(text.into()))
                }
                Kind::Text => row.try_get::<Option<String>, _>(place)?.map(|text| Value::Text(text.into())),
                Kind::Number => row.try_get::<Option<i64>, _>(place)?.map(Value::Number),
                Kind::Bytes => row.try_get::<Option<Vec<u8>>, _>(place)?.map(|bytes| Value::Bytes(bytes.into())),
            }
            .unwrap_or(Value::Null))
        };
        COLUMNS.iter().enumerate().map(value).collect::<sqlx::Result<_>>().map(Self)
    }
}

/// The number of some rows, and a digest over them that does not depend on their order. The order
/// does not matter because engines list rows in different orders.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sum {
    /// The number of tokens.
    pub tokens: u64,
    /// The number of import keys.
    pub imports: u64,
    /// The sum of the SHA-256 digests of all rows, as a number of four words.
    digest: [u64; 4],
}

impl Sum {
    pub fn add_row(&mut self, row: &Row) {
        self.tokens += 1;
        self.imports += u64::from(row.import_key().is_some());
        for (word, bytes) in self.digest.iter_mut().zip(row.digest().chunks_exact(8)) {
            *word = bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)).wrapping_add(*word);
        }
    }

    pub fn add(&mut self, other: &Self) {
        self.tokens += other.tokens;
        self.imports += other.imports;
        for (word, more) in self.digest.iter_mut().zip(other.digest) {
            *word = word.wrapping_add(more);
        }
    }

    /// Returns the digest in hex.
    pub fn digest(&self) -> String {
        self.digest.iter().map(|word| format!("{word:016x}")).collect()
    }
}
