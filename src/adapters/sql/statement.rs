//! A builder for SQL statements. It holds a text with numbered placeholders, and a value for each
//! placeholder.

use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Database, Encode, SqlSafeStr, SqlStr, Type};

/// Returns the text of a query that is always the same.
#[cfg(feature = "sqlite")]
pub(in crate::adapters) fn fixed(text: &'static str) -> SqlStr {
    // A test of the conformance kit may change the text.
    #[cfg(all(test, feature = "conformance", feature = "sqlite"))]
    return text_of(text.to_owned());
    #[cfg(not(all(test, feature = "conformance", feature = "sqlite")))]
    text.into_sql_str()
}

fn text_of(text: String) -> SqlStr {
    #[cfg(all(test, feature = "conformance", feature = "sqlite"))]
    let text = super::mutation::mutated(text);
    AssertSqlSafe(text).into_sql_str()
}

/// A value for a placeholder of an SQL statement.
#[derive(Clone, Debug)]
pub(in crate::adapters) enum Value {
    Text(Option<String>),
    Number(Option<i64>),
    Bytes(Option<Vec<u8>>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_owned))
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(Some(bytes.to_vec()))
    }
}

impl From<Option<&[u8]>> for Value {
    fn from(bytes: Option<&[u8]>) -> Self {
        Self::Bytes(bytes.map(<[u8]>::to_vec))
    }
}

/// An SQL statement under construction. Its text consists only of literals of this crate. Each
/// value from outside is bound to a placeholder.
#[derive(Clone, Debug)]
pub(in crate::adapters) struct Statement {
    text: String,
    values: Vec<Value>,
}

impl Statement {
    pub(in crate::adapters) fn new(text: &'static str) -> Self {
        Self { text: text.to_owned(), values: Vec::new() }
    }

    pub(in crate::adapters) fn push(&mut self, text: &'static str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends a placeholder and binds this value to it.
    pub(in crate::adapters) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        self.text.push('$');
        self.text.push_str(&self.values.len().to_string());
        self
    }

    /// Appends placeholders, separated by commas, and binds one of these values to each.
    pub(in crate::adapters) fn bind_all<V: Into<Value>>(&mut self, values: impl IntoIterator<Item = V>) -> &mut Self {
        for (place, value) in values.into_iter().enumerate() {
            self.push(if place == 0 { "" } else { ", " }).bind(value);
        }
        self
    }

    /// Appends the text and the values of another statement. `self` must not have any values yet,
    /// because the placeholders of `other` are already numbered from 1.
    #[cfg(feature = "postgres")]
    pub(in crate::adapters) fn append(&mut self, other: Self) -> &mut Self {
        debug_assert!(self.values.is_empty(), "the placeholders of the other statement begin at 1");
        self.text.push_str(&other.text);
        self.values = other.values;
        self
    }

    /// Converts the statement into a query of sqlx.
    pub(in crate::adapters) fn query<DB: Database>(self) -> Query<'static, DB, DB::Arguments>
    where
        Option<String>: Encode<'static, DB> + Type<DB>,
        Option<i64>: Encode<'static, DB> + Type<DB>,
        Option<Vec<u8>>: Encode<'static, DB> + Type<DB>,
    {
        let query = sqlx::query::<DB>(text_of(self.text));
        self.values.into_iter().fold(query, |query, value| match value {
            Value::Text(text) => query.bind(text),
            Value::Number(number) => query.bind(number),
            Value::Bytes(bytes) => query.bind(bytes),
        })
    }

    /// Converts the statement into a query of sqlx for MySQL, which knows only placeholders without
    /// a number. The placeholders of a statement are in the order of their values.
    #[cfg(feature = "mysql")]
    pub(in crate::adapters) fn mysql_query(mut self) -> Query<'static, sqlx::MySql, sqlx::mysql::MySqlArguments> {
        let mut text = String::with_capacity(self.text.len());
        for (place, part) in self.text.split('$').enumerate() {
            // Only the first part does not follow a placeholder.
            let part = if place == 0 {
                part
            } else {
                text.push('?');
                part.trim_start_matches(|digit: char| digit.is_ascii_digit())
            };
            text.push_str(part);
        }
        self.text = text;
        self.query()
    }

    /// Inserts a text, such as `EXPLAIN`, before the text of the statement.
    #[cfg(test)]
    pub(in crate::adapters) fn before(mut self, text: &str) -> Self {
        self.text.insert_str(0, text);
        self
    }
}
