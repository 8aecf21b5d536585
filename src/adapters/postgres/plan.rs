//! Which plan a statement runs by: one that is kept, or one for its values.

use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;

use crate::adapters::sql::row::columns;
use crate::adapters::sql::statement::Statement;
use crate::words::ids::TokenKey;

/// A statement that is planned for its values each time, by what the table is like now. A plan that is kept, until PostgreSQL
/// counts the table's rows anew, may be of a time when it was empty and each index as good as any other.
pub(super) fn planned(sql: Statement) -> Query<'static, Postgres, PgArguments> {
    sql.query::<Postgres>().persistent(false)
}

/// The row of a key, with its place for the conditions of a statement whose plan is kept. The order costs nothing where a
/// row is found by the primary key, and would cost a sorting by any other index that begins with the project: so none
/// of these is taken, however empty the table was when the plan was made.
macro_rules! by_primary_key {
    () => {
        " FROM keyfob_tokens WHERE project = $1 AND id BETWEEN $2 AND $2 ORDER BY id LIMIT 1"
    };
}
pub(super) use by_primary_key;

/// A row and those of the tokens it is bound to, each with what else is to be read beside it. Each is found by the primary key, as
/// by [`by_primary_key`].
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

/// A row, and those of the tokens it is bound to.
pub(super) fn find_chain(key: &TokenKey) -> Query<'_, Postgres, PgArguments> {
    sqlx::query(chain!()).bind(key.project.as_str()).bind(key.id.as_str())
}

/// The hot path of every verification: static text, prepared once for each connection.
pub(super) fn find(key: &TokenKey) -> Query<'_, Postgres, PgArguments> {
    const FIND: &str = concat!("SELECT ", columns!(), by_primary_key!());
    sqlx::query(FIND).bind(key.project.as_str()).bind(key.id.as_str())
}
