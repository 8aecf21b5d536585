//! The columns of a record, for stores on any kind of engine.

use std::borrow::Cow;

use crate::rules::record::TokenRecord;

/// The description of one column of a token record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Column {
    /// The name of the column in the stores of this crate.
    pub name: &'static str,
    /// The kind of values that the column holds.
    pub kind: ColumnKind,
    /// Whether the column may be null.
    pub optional: bool,
}

/// The kind of values that a column holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ColumnKind {
    /// A text, possibly empty.
    Text,
    /// A signed 64-bit integer. A time is stored as milliseconds since 1970-01-01T00:00:00Z, and a
    /// boolean as 1 or 0.
    Number,
    /// A byte string.
    Bytes,
}

/// The value of one column in one record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ColumnValue<'v> {
    /// The absence of a value.
    Null,
    /// A text.
    Text(Cow<'v, str>),
    /// A signed 64-bit integer.
    Number(i64),
    /// A byte string.
    Bytes(Cow<'v, [u8]>),
}

macro_rules! columns {
    ($($name:literal $kind:ident $optional:literal;)+) => {
        /// The columns of a record, in the order in which [`TokenRecord::to_columns`] and
        /// [`TokenRecord::from_columns`] use them.
        ///
        /// A store that searches or sorts by name needs one more column for
        /// [`Name::folded`](crate::Name::folded), because engines differ in how they fold names.
        pub const COLUMNS: [Column; TokenRecord::COLUMNS] =
            [$(Column { name: $name, kind: ColumnKind::$kind, optional: $optional }),+];
    };
}

columns! {
    "prefix" Text false;
    "project" Text false;
    "id" Text false;
    "digest" Bytes false;
    "name" Text false;
    "owner" Text false;
    "kind" Text false;
    "scopes" Text false;
    "metadata" Text false;
    "addresses" Text false;
    "created_at" Number false;
    "created_by" Text false;
    "issuer" Text true;
    "bound" Number true;
    "confirm_by" Number true;
    "not_before" Number true;
    "expires_at" Number true;
    "last_used_at" Number true;
    "last_used_address" Text true;
    "last_used_client" Text true;
    "disabled_at" Number true;
    "disabled_by" Text true;
    "revoked_at" Number true;
    "revoked_by" Text true;
    "revoked_reason" Text true;
    "family" Text false;
    "rotated_from" Text true;
    "rotated_to" Text true;
    "grace_until" Number true;
    "request_id" Text true;
    "notice_lead" Number true;
    "notice_lease_until" Number true;
    "notice_leases" Number false;
    "import_algorithm" Text true;
    "import_parameters" Text true;
    "import_salt" Bytes true;
    "version" Number false;
}

impl TokenRecord {
    /// The number of columns of a record: the length of [`COLUMNS`](crate::store::COLUMNS).
    pub const COLUMNS: usize = 37;
}
