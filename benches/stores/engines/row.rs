//! The record of a new token as a row of an SQL table.

use keyfob::TokenRecord;

/// Expands to the names of the columns of a record, in the order in which the stores read them.
macro_rules! all_columns {
    () => {
        "prefix, project, id, digest, name, owner, kind, scopes, metadata, addresses, created_at, created_by, \
         issuer, bound, confirm_by, not_before, expires_at, last_used_at, last_used_address, last_used_client, \
         disabled_at, disabled_by, revoked_at, revoked_by, revoked_reason, family, rotated_from, rotated_to, \
         grace_until, request_id, notice_lead, notice_lease_until, notice_leases, import_algorithm, \
         import_parameters, import_salt, version"
    };
}

/// The query with which the SQL stores look up the record of a token.
pub const SELECT: &str = concat!("SELECT ", all_columns!(), " FROM keyfob_tokens WHERE project = $1 AND id = $2");

/// The same query, with the placeholders of MariaDB.
pub const SELECT_UNNUMBERED: &str =
    concat!("SELECT ", all_columns!(), " FROM keyfob_tokens WHERE project = ? AND id = ?");

/// The names of the columns that are not NULL in the row of a new token that expires.
pub const COLUMNS: &str = "prefix, project, id, digest, name, name_folded, owner, kind, scopes, metadata, addresses, \
     created_at, created_by, expires_at, family, notice_leases, version";
/// The number of columns in [`COLUMNS`].
pub const WIDTH: usize = 17;

/// The value of a column.
pub enum Value<'r> {
    Text(&'r str),
    Own(String),
    Bytes(&'r [u8]),
    Number(i64),
}

/// Returns the values that a record has in the [`COLUMNS`].
pub fn values(record: &TokenRecord) -> [Value<'_>; WIDTH] {
    [
        Value::Text(record.prefix.as_str()),
        Value::Text(record.project.as_str()),
        Value::Text(record.id.as_str()),
        Value::Bytes(record.digest.as_bytes()),
        Value::Text(record.name.as_str()),
        Value::Own(record.name.folded()),
        Value::Text(record.owner.as_str()),
        Value::Text(record.kind.as_str()),
        Value::Text(record.scopes.as_str()),
        Value::Text(record.metadata.as_str()),
        Value::Text(record.addresses.as_str()),
        Value::Number(record.created_at.as_unix_millis()),
        Value::Text(record.created_by.as_str()),
        Value::Number(record.expires_at.unwrap().as_unix_millis()),
        Value::Text(record.family.as_str()),
        Value::Number(record.notice_leases as i64),
        Value::Number(record.version as i64),
    ]
}
