//! The choice of query plans: a plan that PostgreSQL keeps, or a new one for the given values.

use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;

use crate::adapters::sql::row::columns;
use crate::adapters::sql::statement::Statement;
use crate::words::ids::TokenKey;

/// Returns a query that PostgreSQL plans anew each time, for its values and the current statistics
/// of the table. A kept plan may be from a time when the table was empty and all indices seemed
/// equally good, until PostgreSQL updates its statistics.
pub(super) fn planned(sql: Statement) -> Query<'static, Postgres, PgArguments> {
    sql.query::<Postgres>().persistent(false)
}

/// Selects the row of a key, for a statement whose plan PostgreSQL keeps. The `ORDER BY id` is free
/// in the primary key, but needs a sort in every other index that begins with the project. So
/// PostgreSQL chooses the primary key, even if the table was empty when it made the plan.
macro_rules! by_primary_key {
    () => {
        " FROM keyfob_tokens WHERE project = $1 AND id BETWEEN $2 AND $2 ORDER BY id LIMIT 1"
    };
}
pub(super) use by_primary_key;

/// Selects a row and the rows of the tokens that it is bound to, with an additional column if one
/// is given. Each row is found through the primary key, as in [`by_primary_key`].
macro_rules! chain {
    ($($beside:literal)?) => {
        concat!(
            "WITH RECURSIVE chain AS ((SELECT 0 AS depth, ", columns!(), by_primary_key!(), ") UNION ALL \
             SELECT chain.depth + 1, above.* FROM chain CROSS JOIN LATERAL (SELECT ", columns!(),
            " FROM keyfob_tokens WHERE project = $1 AND id BETWEEN chain.issuer AND chain.issuer ORDER BY id LIMIT 1) AS above \
             WHERE chain.bound = 1 AND chain.depth < 4) SELECT ", columns!(), $($beside,)? " FROM chain ORDER BY depth"
        )
    };
}
pub(super) use chain;

/// Returns the query for a row and the rows of the tokens that it is bound to.
pub(super) fn find_chain(key: &TokenKey) -> Query<'_, Postgres, PgArguments> {
    sqlx::query(chain!()).bind(key.project.as_str()).bind(key.id.as_str())
}

/// Returns the query for a row. Every verification runs it, so its text is constant and PostgreSQL
/// prepares it once for each connection.
pub(super) fn find(key: &TokenKey) -> Query<'_, Postgres, PgArguments> {
    const FIND: &str = concat!("SELECT ", columns!(), by_primary_key!());
    sqlx::query(FIND).bind(key.project.as_str()).bind(key.id.as_str())
}
