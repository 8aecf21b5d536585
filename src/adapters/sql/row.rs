//! The conversion of a token record into a row of the SQL table, and back.

use std::sync::Arc;

use sqlx::{ColumnIndex, Decode, Row, Type};

use super::statement::{Statement, Value};
use crate::rules::record::TokenRecord;
use crate::store::columns::{COLUMNS, ColumnKind, ColumnValue};
pub(in crate::adapters) use crate::store::row::corrupt;
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::import_key::ImportKey;
use crate::words::store_error::StoreError;
use crate::words::used_from::{ClientText, UsedFrom};

/// The names of the columns of a record, separated by commas, in the order of [`COLUMNS`].
macro_rules! columns {
    () => {
        "prefix, project, id, digest, name, owner, kind, scopes, metadata, addresses, created_at, created_by, \
         issuer, bound, confirm_by, not_before, expires_at, last_used_at, last_used_address, last_used_client, \
         disabled_at, disabled_by, revoked_at, revoked_by, revoked_reason, family, rotated_from, rotated_to, \
         grace_until, request_id, notice_lead, notice_lease_until, notice_leases, import_algorithm, \
         import_parameters, import_salt, version"
    };
}
pub(in crate::adapters) use columns;

/// Returns an `INSERT … SELECT` statement with a bound value for each column of a record. The
/// caller may append a `WHERE`.
pub(in crate::adapters) fn insert(
    record: &TokenRecord,
    import_key: Option<&ImportKey>,
) -> Result<Statement, StoreError> {
    const HEAD: &str = concat!("INSERT INTO keyfob_tokens (", columns!(), ", name_folded");
    let values = COLUMNS.iter().zip(record.to_columns()?).map(|(column, value)| value_of(column.kind, value));
    let mut query = Statement::new(HEAD);
    query.push(if import_key.is_some() { ", import_key) SELECT " } else { ") SELECT " });
    query.bind_all(values.chain([record.name.folded().into()]));
    if let Some(key) = import_key {
        query.push(", ").bind(key.as_bytes().as_slice());
    }
    Ok(query)
}

/// Converts the value of a column into a value to bind. A NULL keeps the type of its column.
fn value_of(kind: ColumnKind, value: ColumnValue<'_>) -> Value {
    match value {
        ColumnValue::Text(text) => Value::Text(Some(text.into_owned())),
        ColumnValue::Number(number) => Value::Number(Some(number)),
        ColumnValue::Bytes(bytes) => Value::Bytes(Some(bytes.into_owned())),
        ColumnValue::Null => match kind {
            ColumnKind::Text => Value::Text(None),
            ColumnKind::Number => Value::Number(None),
            ColumnKind::Bytes => Value::Bytes(None),
        },
    }
}

/// Converts a row into a record. The row must have been selected with [`columns!`].
///
/// # Errors
/// Returns [`Corrupt`](crate::store::StoreErrorKind::Corrupt) if a value does not fit its type.
pub(in crate::adapters) fn record<'r, R: Row>(row: &'r R) -> Result<TokenRecord, StoreError>
where
    usize: ColumnIndex<R>,
    Option<&'r str>: Decode<'r, R::Database> + Type<R::Database>,
    Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
    Option<&'r [u8]>: Decode<'r, R::Database> + Type<R::Database>,
{
    TokenRecord::from_columns(|at| {
        Ok(match COLUMNS[at].kind {
            ColumnKind::Text => {
                value::<_, Option<&str>>(row, at)?.map_or(ColumnValue::Null, |text| ColumnValue::Text(text.into()))
            }
            ColumnKind::Number => value::<_, Option<i64>>(row, at)?.map_or(ColumnValue::Null, ColumnValue::Number),
            ColumnKind::Bytes => {
                value::<_, Option<&[u8]>>(row, at)?.map_or(ColumnValue::Null, |bytes| ColumnValue::Bytes(bytes.into()))
            }
        })
    })
}

fn value<'r, R: Row, T: Decode<'r, R::Database> + Type<R::Database>>(row: &'r R, at: usize) -> Result<T, StoreError>
where
    usize: ColumnIndex<R>,
{
    row.try_get(at).map_err(corrupt)
}

/// Converts rows into records. The rows must have been selected with [`columns!`].
pub(in crate::adapters) fn records<'r, R: Row>(
    rows: impl IntoIterator<Item = &'r R>,
) -> Result<Vec<Arc<TokenRecord>>, StoreError>
where
    usize: ColumnIndex<R>,
    Option<&'r str>: Decode<'r, R::Database> + Type<R::Database>,
    Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
    Option<&'r [u8]>: Decode<'r, R::Database> + Type<R::Database>,
{
    rows.into_iter().map(|row| record(row).map(Arc::new)).collect()
}

/// Returns the values of the columns `last_used_address` and `last_used_client`, in this order.
pub(in crate::adapters) fn used_from(from: Option<&UsedFrom>) -> (Option<String>, Option<&str>) {
    let address = from.and_then(|from| from.address).map(|address| address.to_string());
    (address, from.and_then(|from| from.client.as_ref()).map(ClientText::as_str))
}

/// Returns the project id from a row whose only column is `project`.
pub(in crate::adapters) fn project<'r, R: Row>(row: &'r R) -> Result<ProjectId, StoreError>
where
    usize: ColumnIndex<R>,
    &'r str: Decode<'r, R::Database> + Type<R::Database>,
{
    ProjectId::new(value(row, 0)?).map_err(corrupt)
}

/// Returns the token id from a row whose only column is a token id.
pub(in crate::adapters) fn id<'r, R: Row>(row: &'r R) -> Result<TokenId, StoreError>
where
    usize: ColumnIndex<R>,
    &'r str: Decode<'r, R::Database> + Type<R::Database>,
{
    TokenId::new(value(row, 0)?).map_err(corrupt)
}

/// Returns the token key from a row whose columns are `project` and `id`.
pub(in crate::adapters) fn key<'r, R: Row>(row: &'r R) -> Result<TokenKey, StoreError>
where
    usize: ColumnIndex<R>,
    &'r str: Decode<'r, R::Database> + Type<R::Database>,
{
    let project = ProjectId::new(value(row, 0)?).map_err(corrupt)?;
    Ok(TokenKey { project, id: TokenId::new(value(row, 1)?).map_err(corrupt)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_the_columns_is_that_of_the_mapping() {
        let names: Vec<_> = COLUMNS.iter().map(|column| column.name).collect();
        assert_eq!(names.join(", "), columns!());
    }
}
