//! The migrations of the SQLite store, and the check of the schema.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::failure::failed;
use super::handle::SqliteStore;
use crate::adapters::sql::migration::Migration;
use crate::adapters::sql::schema::{check, columns, indices, part};
use crate::store::columns::ColumnKind;
use crate::words::store_error::StoreError;

/// Whether the table is from a version before 0.1.0.
const IS_OLD: &str = "SELECT EXISTS (SELECT 1 FROM pragma_table_info('keyfob_tokens') WHERE name = 'notice_stage')";

/// The indices that exist only in files from before 0.1.0. Other indices have replaced them.
const DROP_OLD_INDICES: &str = "DROP INDEX IF EXISTS keyfob_tokens_owner; DROP INDEX IF EXISTS keyfob_tokens_family";

/// The parts of the schema that the file has, each with its definition.
const PARTS: &str = r#"
    SELECT 'table ' || name, CASE WHEN strict THEN 'STRICT' ELSE '' END
        FROM pragma_table_list WHERE schema = 'main' AND name = 'keyfob_tokens'
    UNION ALL
    SELECT 'column keyfob_tokens.' || name, type || CASE WHEN "notnull" THEN ' NOT NULL' ELSE '' END
        FROM pragma_table_xinfo('keyfob_tokens')
    UNION ALL
    SELECT 'primary key of keyfob_tokens', group_concat(name, ', ')
        FROM (SELECT name FROM pragma_table_xinfo('keyfob_tokens') WHERE pk > 0 ORDER BY pk) HAVING count(*) > 0
    UNION ALL
    SELECT 'index ' || name, CASE WHEN "unique" THEN 'UNIQUE' ELSE '' END
        FROM pragma_index_list('keyfob_tokens')
"#;

impl SqliteStore {
    /// The migrations of the schema, in the order in which they run: one table and its indices,
    /// with a comment on each column. Run them with [`migrate`](Self::migrate) or with your own
    /// migration tool. The scripts are also in the folder `migrations/sqlite` of the crate.
    pub const MIGRATIONS: &'static [Migration] = &[Migration {
        name: "0001_keyfob_tokens",
        sql: include_str!("../../../migrations/sqlite/0001_keyfob_tokens.sql"),
    }];

    /// Creates the table and its indices if they do not exist. Upgrades a table that a version
    /// before 0.1.0 created.
    ///
    /// # Errors
    /// - Returns [`Unavailable`](crate::store::StoreErrorKind::Unavailable) if the file cannot be
    ///   written, or if another writer locks the file for more than 5 seconds.
    /// - Returns [`Other`](crate::store::StoreErrorKind::Other) if the connection is not in WAL
    ///   mode, if its `synchronous` setting is below `FULL`, or if SQLite reports another failure.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let mut writing = self.begin().await?;
        if sqlx::query_scalar(IS_OLD).fetch_one(&mut *writing.within).await.map_err(failed)? {
            sqlx::raw_sql(include_str!("upgrade.sql")).execute(&mut *writing.within).await.map_err(failed)?;
        }
        for script in Self::MIGRATIONS.iter().map(|migration| migration.sql).chain([DROP_OLD_INDICES]) {
            sqlx::raw_sql(script).execute(&mut *writing.within).await.map_err(failed)?;
        }
        writing.commit().await
    }

    /// Checks that the file has the schema of this version of keyfob: the table, its columns with
    /// their types, its primary key and its indices. Changes nothing. Call this method at each
    /// start if your own tool runs the migrations. Your service may add columns and indices.
    ///
    /// # Errors
    /// - Returns [`Schema`](crate::store::StoreErrorKind::Schema) if a part of the schema is missing
    ///   or different. The source of the error names the part.
    /// - Returns [`Unavailable`](crate::store::StoreErrorKind::Unavailable) or
    ///   [`Other`](crate::store::StoreErrorKind::Other) if the file cannot be read.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        let found = sqlx::query(PARTS).fetch_all(&self.pool).await.map_err(failed)?;
        let read = |row: &SqliteRow| Ok((row.try_get(0)?, row.try_get(1)?));
        let found: Vec<_> = found.iter().map(read).collect::<Result<_, _>>().map_err(failed)?;
        let more = [
            part("column keyfob_tokens.name_folded", "TEXT NOT NULL"),
            part("column keyfob_tokens.expires_order", "INTEGER NOT NULL"),
            part("column keyfob_tokens.import_key", "BLOB"),
            part("primary key of keyfob_tokens", "project, id"),
        ];
        let wanted = [part("table keyfob_tokens", "STRICT")].into_iter().chain(columns(type_of)).chain(more);
        check(wanted.chain(indices(Self::MIGRATIONS)), found)
    }
}

fn type_of(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text => "TEXT",
        ColumnKind::Number => "INTEGER",
        ColumnKind::Bytes => "BLOB",
    }
}
