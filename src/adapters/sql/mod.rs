//! The parts that the stores on SQL databases share: the statements, and the mapping between
//! records and rows.

#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(super) mod access;
pub(super) mod calls;
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(super) mod changed;
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(super) mod gate;
pub(super) mod groups;
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(super) mod lease;
pub(crate) mod migration;
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(super) mod patience;
pub(super) mod query;
pub(super) mod row;
pub(super) mod schema;
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(super) mod server;
pub(super) mod session;
pub(super) mod statement;
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(super) mod turn;
pub(super) mod write;

/// The SQL expressions that differ between the engines.
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
    /// The condition that a row is not revoked, for the rows that end after a time. It is empty if
    /// the expression `ends` is null for revoked rows.
    and_not_revoked: &'static str,
    /// The `FROM` of a `SELECT` that has conditions, but reads no table.
    from_nothing: &'static str,
    /// Whether the engine can seek a pair of values in an index. If not, the condition on a pair
    /// must name each column.
    seeks_pairs: bool,
    /// Whether a subquery in `FROM` may use the columns of the query around it.
    is_lateral: bool,
}

#[cfg(feature = "sqlite")]
pub(super) const SQLITE: Dialect = Dialect {
    place_of: "instr",
    expires_order: "expires_order",
    // SQLite's MIN returns NULL if one argument is NULL, whereas PostgreSQL's LEAST ignores NULL.
    ends: "min(coalesce(grace_until, 253402300800000), coalesce(confirm_by, 253402300800000), \
           coalesce(expires_at, 253402300800000))",
    and_not_revoked: " AND revoked_at IS NULL",
    from_nothing: "",
    seeks_pairs: true,
    is_lateral: true,
};

#[cfg(feature = "postgres")]
pub(super) const POSTGRES: Dialect = Dialect {
    place_of: "strpos",
    expires_order: "coalesce(expires_at, 253402300800000)",
    ends: "coalesce(least(grace_until, confirm_by, expires_at), 253402300800000)",
    and_not_revoked: " AND revoked_at IS NULL",
    from_nothing: "",
    seeks_pairs: true,
    is_lateral: true,
};

/// MySQL has no index on an expression and no partial index, so the schema has generated columns.
#[cfg(feature = "mysql")]
pub(super) const MYSQL: Dialect = Dialect {
    place_of: "instr",
    expires_order: "expires_order",
    ends: "ends_order",
    and_not_revoked: "",
    from_nothing: " FROM DUAL",
    seeks_pairs: false,
    is_lateral: false,
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
