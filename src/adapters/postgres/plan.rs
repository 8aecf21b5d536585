//! The choice between two kinds of query plans: a plan that PostgreSQL caches for later calls, and
//! a new plan for each call.

use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;

use crate::adapters::sql::row::columns;
use crate::adapters::sql::statement::Statement;
use crate::words::ids::TokenKey;

/// Converts a statement into a query that PostgreSQL plans again for each call. So the plan fits
/// the values of the call and the current statistics of the table. A cached plan may be bad: if
/// PostgreSQL made it while the table was empty, all indices seemed equally good.
pub(super) fn planned(sql: Statement) -> Query<'static, Postgres, PgArguments> {
    sql.query::<Postgres>().persistent(false)
}

/// The end of a `SELECT` that finds the row of a token by its key. PostgreSQL caches the plan of
/// such a statement. The `ORDER BY id` needs no sort with the primary key, but it needs a sort with
/// every other index that begins with the project. So PostgreSQL chooses the primary key, even if
/// it makes the plan while the table is empty.
macro_rules! by_primary_key {
    () => {
        " FROM keyfob_tokens WHERE project = $1 AND id BETWEEN $2 AND $2 ORDER BY id LIMIT 1"
    };
}
pub(super) use by_primary_key;

/// A query for the row of a token and the rows of its chain: the tokens that the token is bound to,
/// directly or through another token. The macro takes an optional literal, and appends it to the
/// list of the selected columns. Like [`by_primary_key`], the query finds each row through the
/// primary key.
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
/// All rows are from the same moment. For a token that is bound to none, use [`find`], which takes
/// less time.
pub(super) fn find_chain(key: &TokenKey) -> Query<'_, Postgres, PgArguments> {
    sqlx::query(chain!()).bind(key.project.as_str()).bind(key.id.as_str())
}

/// Returns the query for the row of a token. The text of the query is constant, so that PostgreSQL
/// prepares the query only once for each connection.
pub(super) fn find(key: &TokenKey) -> Query<'_, Postgres, PgArguments> {
    const FIND: &str = concat!("SELECT ", columns!(), by_primary_key!());
    sqlx::query(FIND).bind(key.project.as_str()).bind(key.id.as_str())
}
