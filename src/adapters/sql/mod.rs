//! The parts that the SQL engines share: the statements, and the mapping between records and rows.

pub(super) mod query;
pub(super) mod row;
pub(super) mod statement;
pub(super) mod write;

/// The differences between the SQL engines.
pub(super) struct Dialect {
    /// The function that returns the position of one text in another, or 0 if it is absent.
    place_of: &'static str,
    /// The expiry as a sort key, in which a token that never expires sorts last. The schema indexes
    /// the same expression.
    expires_order: &'static str,
    /// The time at which a row that is not revoked ends without any further change. A row that
    /// never ends sorts last. It is the same expression, character by character, as in the schema's
    /// indices.
    pub(super) ends: &'static str,
}

#[cfg(feature = "sqlite")]
pub(super) const SQLITE: Dialect = Dialect {
    place_of: "instr",
    expires_order: "expires_order",
    // SQLite's MIN returns NULL if one argument is NULL, whereas PostgreSQL's LEAST ignores NULL.
    ends: "min(coalesce(grace_until, 253402300800000), coalesce(confirm_by, 253402300800000), \
           coalesce(expires_at, 253402300800000))",
};

#[cfg(feature = "postgres")]
pub(super) const POSTGRES: Dialect = Dialect {
    place_of: "strpos",
    expires_order: "coalesce(expires_at, 253402300800000)",
    ends: "coalesce(least(grace_until, confirm_by, expires_at), 253402300800000)",
};

#[cfg(test)]
mod tests {
    /// An engine uses an index on an expression only for exactly the same expression.
    #[test]
    fn each_schema_has_the_ends_of_its_dialect() {
        #[cfg(feature = "sqlite")]
        assert!(crate::store::sqlite::SqliteStore::MIGRATION.contains(super::SQLITE.ends));
        #[cfg(feature = "postgres")]
        assert!(crate::store::postgres::PostgresStore::MIGRATION.contains(super::POSTGRES.ends));
    }
}
