//! The columns of a record, for stores on any engine.

use std::borrow::Cow;

use crate::rules::record::TokenRecord;

/// One column of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Column {
    /// The name of the column in the stores of this crate.
    pub name: &'static str,
    /// The kind of its values.
    pub kind: ColumnKind,
    /// Whether the column may be null.
    pub optional: bool,
}

/// The kind of values that a column holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ColumnKind {
    /// Text, possibly empty.
    Text,
    /// A signed 64-bit integer. Times are in milliseconds since 1970-01-01T00:00:00Z, booleans are
    /// 1 and 0.
    Number,
    /// A byte string.
    Bytes,
}

/// The value of one column.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ColumnValue<'v> {
    /// No value.
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
        /// The columns of a record, in the order of [`TokenRecord::to_columns`] and
        /// [`TokenRecord::from_columns`].
        ///
        /// A store that searches or sorts by name also keeps [`Name::folded`](crate::Name::folded),
        /// because engines fold names differently.
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
    /// The number of [`COLUMNS`](crate::store::COLUMNS).
    pub const COLUMNS: usize = 37;
}
