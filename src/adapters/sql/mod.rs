//! What the SQL engines have in common: the statements, and a record as a row.

pub(super) mod query;
pub(super) mod row;
pub(super) mod statement;
pub(super) mod write;

/// Where the engines part.
pub(super) struct Dialect {
    /// The function that gives the place of one text in another, 0 where it is not there.
    place_of: &'static str,
    /// The expiry as it sorts, never last: as the schema says it.
    expires_order: &'static str,
}

#[cfg(feature = "sqlite")]
pub(super) const SQLITE: Dialect = Dialect { place_of: "instr", expires_order: "expires_order" };

#[cfg(feature = "postgres")]
pub(super) const POSTGRES: Dialect =
    Dialect { place_of: "strpos", expires_order: "coalesce(expires_at, 253402300800000)" };
