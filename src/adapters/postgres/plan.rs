//! The choice between two kinds of query plans: a plan that PostgreSQL keeps for later calls, and a
//! new plan for the values of one call.

use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;

use crate::adapters::sql::row::columns;
use crate::adapters::sql::statement::Statement;
use crate::words::ids::TokenKey;

/// Converts a statement into a query that PostgreSQL plans anew for each call, with the values of
/// the call and the current statistics of the table. PostgreSQL may have made a kept plan when the
/// table was empty and all indices seemed equally good. It would use this plan until it updates its
/// statistics.
pub(super) fn planned(sql: Statement) -> Query<'static, Postgres, PgArguments> {
    sql.query::<Postgres>().persistent(false)
}

/// The end of a `SELECT` that finds the row of a key, for a statement whose plan PostgreSQL keeps.
/// With the primary key, the `ORDER BY id` needs no sort. With every other index that begins with
/// the project, it needs a sort. So PostgreSQL chooses the primary key, even if it made the plan
/// when the table was empty.
macro_rules! by_primary_key {
    () => {
        " FROM keyfob_tokens WHERE project = $1 AND id BETWEEN $2 AND $2 ORDER BY id LIMIT 1"
    };
}
pub(super) use by_primary_key;

/// A query for the row of a token and the rows of its chain: the tokens that the token is bound to,
/// directly or through another token. If the macro gets a literal, the query also selects the
/// column in the literal. PostgreSQL finds each row through the primary key, as with
/// [`by_primary_key`].
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

/// Returns the query for the row of a token and the rows of the tokens that this token is bound to.
pub(super) fn find_chain(key: &TokenKey) -> Query<'_, Postgres, PgArguments> {
    sqlx::query(chain!()).bind(key.project.as_str()).bind(key.id.as_str())
}

/// Returns the query for the row of a token. Every verification runs this query. Its text is
/// constant, so that PostgreSQL prepares it only once for each connection.
pub(super) fn find(key: &TokenKey) -> Query<'_, Postgres, PgArguments> {
    const FIND: &str = concat!("SELECT ", columns!(), by_primary_key!());
    sqlx::query(FIND).bind(key.project.as_str()).bind(key.id.as_str())
}
