//! The mapping between records and rows, and the statements that read and write whole records.

use std::sync::LazyLock;

use diesel::deserialize::{self, QueryableByName};
use diesel::pg::Pg;
use diesel::query_builder::{BoxedSqlQuery, SqlQuery};
use diesel::row::NamedRow;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};
use diesel_async::{AsyncPgConnection as Connection, RunQueryDsl};
use keyfob::TokenRecord;
use keyfob::store::{
    COLUMNS, ColumnKind, ColumnValue, Cursor, Expiry, ListOrder, ListQuery, SortKey, StoreError, StoreErrorKind,
};

use crate::Outcome;

/// The sort key of a token that never expires: one millisecond after the latest time.
const NEVER: i64 = 253_402_300_800_000;

/// The number of rows that a scan reads with one statement.
const CHUNK: usize = 1_000;

/// The columns of a record, and the folded name, by which lists search and sort.
static NAMES: LazyLock<String> = LazyLock::new(|| {
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).chain(["name_folded"]).collect();
    names.join(", ")
});

static PLACES: LazyLock<String> = LazyLock::new(|| {
    let places: Vec<String> = (1..=COLUMNS.len() + 1).map(|number| format!("${number}")).collect();
    places.join(", ")
});

/// A record, as diesel reads it from a row.
struct Row(TokenRecord);

impl QueryableByName<Pg> for Row {
    fn build<'a>(row: &impl NamedRow<'a, Pg>) -> deserialize::Result<Self> {
        let value = |at: usize| {
            let name = COLUMNS[at].name;
            let value = match COLUMNS[at].kind {
                ColumnKind::Text => NamedRow::get::<Nullable<Text>, Option<String>>(row, name)?
                    .map(|text| ColumnValue::Text(text.into())),
                ColumnKind::Number => {
                    NamedRow::get::<Nullable<BigInt>, Option<i64>>(row, name)?.map(ColumnValue::Number)
                }
                ColumnKind::Bytes => NamedRow::get::<Nullable<Binary>, Option<Vec<u8>>>(row, name)?
                    .map(|bytes| ColumnValue::Bytes(bytes.into())),
            };
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(value.unwrap_or(ColumnValue::Null))
        };
        let value = |at| value(at).map_err(|error| StoreError::with_source(StoreErrorKind::Corrupt, error));
        Ok(Self(TokenRecord::from_columns(value)?))
    }
}

/// A value for a placeholder of a statement.
pub(crate) enum Value {
    Text(Option<String>),
    Number(Option<i64>),
    Bytes(Option<Vec<u8>>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_owned))
    }
}

pub(crate) type Sql = BoxedSqlQuery<'static, Pg, SqlQuery>;

pub(crate) fn bind(sql: Sql, value: Value) -> Sql {
    match value {
        Value::Text(text) => sql.bind::<Nullable<Text>, _>(text),
        Value::Number(number) => sql.bind::<Nullable<BigInt>, _>(number),
        Value::Bytes(bytes) => sql.bind::<Nullable<Binary>, _>(bytes),
    }
}

/// Returns a query for the records that meet a condition.
pub(crate) fn select(condition: &str) -> String {
    format!("SELECT {} FROM keyfob_tokens WHERE {condition}", *NAMES)
}

pub(crate) async fn records(connection: &mut Connection, sql: Sql) -> Outcome<Vec<TokenRecord>> {
    Ok(sql.load::<Row>(connection).await?.into_iter().map(|Row(record)| record).collect())
}

pub(crate) async fn insert(connection: &mut Connection, record: &TokenRecord) -> Outcome<()> {
    write(connection, record, format!("INSERT INTO keyfob_tokens ({}) VALUES ({})", *NAMES, *PLACES)).await
}

/// Writes every column of an existing record. The transaction must hold the turn of the project.
pub(crate) async fn save(connection: &mut Connection, record: &TokenRecord) -> Outcome<()> {
    // The second and the third column are the project and the id.
    let sql = format!("UPDATE keyfob_tokens SET ({}) = ({}) WHERE project = $2 AND id = $3", *NAMES, *PLACES);
    write(connection, record, sql).await
}

async fn write(connection: &mut Connection, record: &TokenRecord, sql: String) -> Outcome<()> {
    let mut sql = sql_query(sql).into_boxed();
    for (value, column) in record.to_columns()?.into_iter().zip(&COLUMNS) {
        let value = match (value, column.kind) {
            (ColumnValue::Text(text), _) => Value::Text(Some(text.into_owned())),
            (ColumnValue::Number(number), _) => Value::Number(Some(number)),
            (ColumnValue::Bytes(bytes), _) => Value::Bytes(Some(bytes.into_owned())),
            (ColumnValue::Null, ColumnKind::Text) => Value::Text(None),
            (ColumnValue::Null, ColumnKind::Number) => Value::Number(None),
            (ColumnValue::Null, ColumnKind::Bytes) => Value::Bytes(None),
        };
        sql = bind(sql, value);
    }
    bind(sql, Value::from(record.name.folded().as_str())).execute(connection).await?;
    Ok(())
}

/// Passes the records of the query's project and owner to `keep`, in the order of the query and
/// after a position, until `keep` returns false. The caller checks the other filters of the query:
/// restate them in SQL if projects are large.
pub(crate) async fn scan(
    connection: &mut Connection,
    query: &ListQuery,
    mut after: Option<Cursor>,
    mut keep: impl FnMut(TokenRecord) -> bool,
) -> Outcome<()> {
    let key = match query.order {
        ListOrder::Created => "created_at".to_owned(),
        ListOrder::Name => "name_folded".to_owned(),
        ListOrder::Expires => format!("coalesce(expires_at, {NEVER})"),
    };
    let (sign, direction) = if query.descending { ("<", "DESC") } else { (">", "ASC") };
    let order = format!("ORDER BY {key} {direction}, id {direction} LIMIT {CHUNK}");
    loop {
        let position = if after.is_some() { format!("AND ({key}, id) {sign} ($3, $4)") } else { String::new() };
        let sql = select(&format!("project = $1 AND ($2 IS NULL OR owner = $2) {position} {order}"));
        let sql = bind(sql_query(sql).into_boxed(), query.project.as_str().into());
        let mut sql = bind(sql, query.owner.as_ref().map(|owner| owner.as_str()).into());
        if let Some(Cursor { key, id }) = &after {
            let key = match key {
                SortKey::Created(time) | SortKey::Expires(Expiry::At(time)) => {
                    Value::Number(Some(time.as_unix_millis()))
                }
                SortKey::Expires(Expiry::Never) => Value::Number(Some(NEVER)),
                SortKey::Name(name) => name.as_str().into(),
            };
            sql = bind(bind(sql, key), id.as_str().into());
        }
        let chunk = records(connection, sql).await?;
        let is_last = chunk.len() < CHUNK;
        after = chunk.last().map(|last| Cursor::of(last, query.order));
        if !chunk.into_iter().all(&mut keep) || is_last {
            return Ok(());
        }
    }
}
