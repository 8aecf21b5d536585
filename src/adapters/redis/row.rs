//! The conversion of a token record into the fields of a Redis hash, and back.

use redis::Value;

use super::failure::corrupt;
use crate::rules::record::{Revocation, RevocationReason, TokenRecord};
use crate::store::columns::{COLUMNS, Column, ColumnKind, ColumnValue};
use crate::words::ids::TokenKey;
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::text::{Actor, Name, StoredText as _};
use crate::words::timestamp::Timestamp;
use crate::words::used_from::{ClientText, UsedFrom};

/// The name and the value of a field of a Redis hash. An empty value means that the field is
/// absent.
pub(super) type Field = (&'static str, Vec<u8>);

pub(super) fn text(name: &'static str, value: &str) -> Field {
    (name, value.into())
}

pub(super) fn time(name: &'static str, value: Option<Timestamp>) -> Field {
    (name, value.map(|time| time.as_unix_millis().to_string()).unwrap_or_default().into())
}

/// Returns the fields for the name of a token: the name itself, and its folded form for search and
/// order. The crate computes the folded form, because engines fold case differently.
pub(super) fn name(name: &Name) -> [Field; 2] {
    [text("na", name.as_str()), ("nf", name.folded().into())]
}

/// Returns the fields for the origin of a last use: the address and the client.
pub(super) fn used_from(from: Option<&UsedFrom>) -> [Field; 2] {
    let address = from.and_then(|from| from.address).map(|address| address.to_string());
    let client = from.and_then(|from| from.client.as_ref()).map_or("", ClientText::as_str);
    [text("ua", address.as_deref().unwrap_or_default()), text("uc", client)]
}

/// The names of the fields for [`COLUMNS`], in the order of the columns. rows.lua repeats them. The
/// hash has no fields for the project and the id, because the key of the hash contains both.
const FIELDS: [&str; TokenRecord::COLUMNS] = [
    "px", PROJECT, ID, "dg", "na", "ow", "ki", "sc", "me", "ad", "ca", "cb", "is", "bo", "co", "nb", "ex", "lu", "ua",
    "uc", "da", "db", "ra", "rb", "rr", "fa", "rf", "rt", "gr", "rq", "no", "nl", "nc", "ia", "ip", "im", "ve",
];
const PROJECT: &str = "project";
const ID: &str = "id";

/// Returns the fields of a record, except empty fields.
pub(super) fn fields(record: &TokenRecord) -> Result<Vec<Field>, StoreError> {
    if record.version == 0 {
        return Err(StoreError::with_source(StoreErrorKind::Other, "a version must be at least 1"));
    }
    let bytes = |value| match value {
        ColumnValue::Null => Vec::new(),
        ColumnValue::Text(text) => text.into_owned().into_bytes(),
        ColumnValue::Number(number) => number.to_string().into_bytes(),
        ColumnValue::Bytes(bytes) => bytes.into_owned(),
    };
    let columns = FIELDS.into_iter().zip(record.to_columns()?).filter(|(name, _)| ![PROJECT, ID].contains(name));
    let mut fields: Vec<Field> = columns.map(|(name, value)| (name, bytes(value))).collect();
    fields.extend(name(&record.name).into_iter().filter(|(name, _)| *name == "nf"));
    fields.retain(|(_, value)| !value.is_empty());
    Ok(fields)
}

/// Converts a row into a record. A script returns a row as a list of values, in the order of
/// `FIELDS` in rows.lua. If the group of the row was revoked, but the revocation is not written
/// into the row yet, the list ends with this revocation, which is called a fence.
///
/// # Errors
/// Returns [`Corrupt`](StoreErrorKind::Corrupt) if a value does not fit its type.
pub(super) fn record(key: &TokenKey, row: Value) -> Result<TokenRecord, StoreError> {
    let Value::Array(values) = row else { return Err(corrupt("an index names a row that does not exist")) };
    let mut row = Values(values.into_iter());
    let record = TokenRecord::from_columns(|at| match FIELDS[at] {
        PROJECT => Ok(ColumnValue::Text(key.project.as_str().into())),
        ID => Ok(ColumnValue::Text(key.id.as_str().into())),
        _ => row.column(&COLUMNS[at]),
    })?;
    row.under_its_fence(record)
}

/// The values of a row that a script has returned, in the order of the fields.
struct Values(std::vec::IntoIter<Value>);

impl Values {
    fn next(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        match self.0.next() {
            Some(Value::BulkString(bytes)) => Ok(Some(bytes)),
            Some(Value::Nil) | None => Ok(None),
            Some(_) => Err(corrupt("a field is not text")),
        }
    }

    fn column<'v>(&mut self, column: &Column) -> Result<ColumnValue<'v>, StoreError> {
        let Some(bytes) = self.next()? else {
            // An empty text is stored as an absent field.
            let is_text = column.kind == ColumnKind::Text && !column.optional;
            return Ok(if is_text { ColumnValue::Text("".into()) } else { ColumnValue::Null });
        };
        let text = |bytes| String::from_utf8(bytes).map_err(corrupt);
        Ok(match column.kind {
            ColumnKind::Text => ColumnValue::Text(text(bytes)?.into()),
            ColumnKind::Number => ColumnValue::Number(text(bytes)?.parse().map_err(corrupt)?),
            ColumnKind::Bytes => ColumnValue::Bytes(bytes.into()),
        })
    }

    /// Returns the record. The row may end with a fence, in the form `time reason actor`. A fence
    /// is the revocation of a group that is not yet written into the other fields of the row. If
    /// there is a fence, this function sets the revocation in the record.
    fn under_its_fence(mut self, mut record: TokenRecord) -> Result<TokenRecord, StoreError> {
        let Some(fence) = self.next()? else { return Ok(record) };
        let fence = str::from_utf8(&fence).map_err(corrupt)?;
        let mut parts = fence.splitn(3, ' ');
        let mut part = || parts.next().ok_or_else(missing);
        let at = part()?.parse().map_err(corrupt).and_then(|at| Timestamp::from_unix_millis(at).map_err(corrupt))?;
        let reason = RevocationReason::parse(part()?).map_err(corrupt)?;
        let by = Actor::of_stored(part()?).map_err(corrupt)?;
        record.revoke(&Revocation { at, by, reason });
        Ok(record)
    }
}

/// Returns the error for a required field that is absent.
fn missing() -> StoreError {
    corrupt("a row lacks a required field")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows are read by position, so the fields must have the order in which the scripts return
    /// them.
    #[test]
    fn rows_are_read_in_the_order_of_the_scripts() {
        let fields = FIELDS.iter().filter(|name| ![PROJECT, ID].contains(name));
        let order: Vec<_> = fields.map(|name| format!("'{name}',")).collect();
        let script = include_str!("lua/rows.lua").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(script.contains(&format!("FIELDS = {{ {} }}", order.join(" "))), "{script}");
    }
}
