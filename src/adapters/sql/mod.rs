//! The parts that the stores on SQL databases share: the statements, and the mapping between
//! records and rows.

pub(crate) mod migration;
#[cfg(all(test, feature = "conformance", feature = "sqlite"))]
pub(super) mod mutation;
pub(super) mod query;
pub(super) mod row;
pub(super) mod schema;
pub(super) mod statement;
pub(super) mod write;

/// The SQL expressions that differ between SQLite and PostgreSQL.
pub(super) struct Dialect {
    /// The name of the SQL function that returns the position of one text in another text, or 0 if
    /// the other text does not contain it.
    place_of: &'static str,
    /// The SQL expression for the expiry as a sort key. A token that never expires sorts last. The
    /// indices of the schema contain the same expression.
    expires_order: &'static str,
    /// The SQL expression for the time at which a token ends if it is not revoked and nothing
    /// changes its row. A token that never ends sorts last. The indices of the schema contain the
    /// same expression, character by character.
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
    /// Each schema must contain exactly the expression `ends` of its dialect. An engine uses an
    /// index on an expression only for queries with exactly the same expression.
    #[test]
    fn each_schema_has_the_ends_of_its_dialect() {
        #[cfg(feature = "sqlite")]
        assert!(crate::store::sqlite::SqliteStore::MIGRATIONS[0].sql.contains(super::SQLITE.ends));
        #[cfg(feature = "postgres")]
        assert!(crate::store::postgres::PostgresStore::MIGRATIONS[0].sql.contains(super::POSTGRES.ends));
    }
}
