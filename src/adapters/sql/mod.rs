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
    /// When a row that is not revoked ends by itself, never last: as the schema says it. Word for word as in the index.
    pub(super) ends: &'static str,
}

#[cfg(feature = "sqlite")]
pub(super) const SQLITE: Dialect = Dialect {
    place_of: "instr",
    expires_order: "expires_order",
    // NULL if one of them is NULL, where PostgreSQL's LEAST ignores it.
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
    /// An engine takes an index of an expression for the same words only.
    #[test]
    fn each_schema_has_the_ends_of_its_dialect() {
        #[cfg(feature = "sqlite")]
        assert!(crate::store::sqlite::SqliteStore::MIGRATION.contains(super::SQLITE.ends));
        #[cfg(feature = "postgres")]
        assert!(crate::store::postgres::PostgresStore::MIGRATION.contains(super::POSTGRES.ends));
    }
}
