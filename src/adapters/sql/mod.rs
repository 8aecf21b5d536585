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
#[cfg(all(test, feature = "conformance", feature = "sqlite"))]
pub(super) mod mutation;
#[cfg(any(feature = "postgres", feature = "mysql"))]
pub(super) mod patience;
pub(super) mod projects;
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
    /// The SQL expression for the time at which a token ended or will end, by revocation too. It is
    /// NULL or at least [`NEVER`](query::NEVER) if the token never ends. The index
    /// `keyfob_tokens_ended` contains the same expression, character by character.
    ended: &'static str,
    /// The clause that makes the engine use the index `keyfob_tokens_ended`. It is empty for an
    /// engine whose planner knows how many tokens have ended.
    by_ended: &'static str,
    /// The SQL expression for the lead of the last notice of a token as a sort key. A token without
    /// a notice sorts last: its key is one millisecond above the largest lead. The index
    /// `keyfob_tokens_notices` contains the same expression.
    sent: &'static str,
    /// Whether a `GROUP BY` jumps from one group to the next in an index. If not, it reads all
    /// rows.
    skips_to_groups: bool,
    /// Whether a list names its index with `FORCE INDEX`, because the planner would choose another
    /// index for some owners, and read many tokens of other owners.
    forces_lists: bool,
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
    ended: "min(coalesce(revoked_at, 253402300800000), coalesce(grace_until, 253402300800000), \
            coalesce(confirm_by, 253402300800000), coalesce(expires_at, 253402300800000))",
    // Without statistics, SQLite would walk through all projects, to save the sort of the result.
    by_ended: " INDEXED BY keyfob_tokens_ended",
    sent: "coalesce(notice_lead, 31622400001)",
    skips_to_groups: false,
    forces_lists: false,
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
    ended: "least(revoked_at, grace_until, confirm_by, expires_at)",
    by_ended: "",
    sent: "coalesce(notice_lead, 31622400001)",
    skips_to_groups: false,
    forces_lists: false,
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
    ended: "ended_order",
    by_ended: "",
    sent: "notice_order",
    skips_to_groups: true,
    forces_lists: true,
};

#[cfg(test)]
mod tests {
    /// Each schema must contain exactly the expressions of its dialect. An engine uses an index on
    /// an expression only for queries with exactly the same expression.
    #[test]
    fn each_schema_has_the_expressions_of_its_dialect() {
        let has = |schema: &str, dialect: &super::Dialect| {
            for expression in [dialect.ends, dialect.ended, dialect.sent] {
                assert!(schema.contains(expression), "{expression}");
            }
        };
        #[cfg(feature = "sqlite")]
        has(crate::store::sqlite::SqliteStore::MIGRATIONS[0].sql, &super::SQLITE);
        #[cfg(feature = "postgres")]
        has(crate::store::postgres::PostgresStore::MIGRATIONS[0].sql, &super::POSTGRES);
        #[cfg(feature = "mysql")]
        has(crate::store::mysql::MysqlStore::MIGRATIONS[0].sql, &super::MYSQL);
    }
}
