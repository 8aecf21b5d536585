//! The migrations of the PostgreSQL store, and the check of the schema.

use core::num::NonZeroU16;

use sqlx::Postgres;

use super::handle::PostgresStore;
use crate::adapters::postgres::failure::failed;
use crate::adapters::sql::migration::Migration;
use crate::adapters::sql::patience::{in_time, within};
use crate::adapters::sql::schema::{Part, check, columns, indices, part};
use crate::store::columns::ColumnKind;
use crate::words::store_error::StoreError;

/// The number of the advisory lock by which concurrent migrations take turns, because
/// `IF NOT EXISTS` does not protect against them. It is "keyfob" in ASCII.
const TURN: i64 = 0x6b65_7966_6f62;

/// Whether the table is from a version before 0.1.0.
const IS_OLD: &str = "SELECT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('keyfob_tokens') \
     AND attname = 'notice_stage' AND NOT attisdropped)";

/// The tables of the schema.
const TABLES: [&str; 4] = ["keyfob_tokens", "keyfob_turns", "keyfob_imports", "keyfob_beats"];

/// The privileges that the store needs on each table.
const PRIVILEGES: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];

const TEXT: &str = "text COLLATE \"C\"";

/// The parts of the schema that the database has, each with its definition. A name without a schema
/// leads to the same table as in the statements of the store, by the search path of the connection.
const PARTS: &str = r#"
    WITH own AS (
        SELECT name, to_regclass(name)::oid AS id FROM unnest($1::text[]) AS tables (name)
        WHERE to_regclass(name) IS NOT NULL
    )
    SELECT 'table ' || name, '' FROM own
    UNION ALL
    SELECT 'column ' || own.name || '.' || a.attname,
            concat_ws(' ', format_type(a.atttypid, a.atttypmod), 'COLLATE "' || c.collname || '"',
                CASE WHEN a.attnotnull THEN 'NOT NULL' END)
        FROM own JOIN pg_attribute a ON a.attrelid = own.id LEFT JOIN pg_collation c ON c.oid = a.attcollation
        WHERE a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT 'primary key of ' || own.name, substring(pg_get_constraintdef(k.oid) FROM '\((.*)\)')
        FROM own JOIN pg_constraint k ON k.conrelid = own.id AND k.contype = 'p'
    UNION ALL
    SELECT 'index ' || i.relname, CASE WHEN x.indisunique THEN 'UNIQUE' ELSE '' END
        FROM own JOIN pg_index x ON x.indrelid = own.id JOIN pg_class i ON i.oid = x.indexrelid
        WHERE x.indisvalid
    UNION ALL
    SELECT 'privilege ' || privilege || ' on ' || own.name, ''
        FROM own, unnest($2::text[]) AS privileges (privilege) WHERE has_table_privilege(own.id, privilege)
"#;

impl PostgresStore {
    /// The migrations of the schema, in the order in which they run: four tables and their indices,
    /// with a comment on each column. Run them with [`migrate`](Self::migrate) or with your own
    /// migration tool. The scripts are also in the folder `src/migrations/postgres` of the crate.
    pub const MIGRATIONS: &'static [Migration] = &[Migration {
        name: "0001_keyfob_tokens",
        sql: include_str!("../../migrations/postgres/0001_keyfob_tokens.sql"),
    }];

    /// Returns the first of the [`MIGRATIONS`](Self::MIGRATIONS), changed so that it splits the
    /// token table into this many partitions by the hash of the project. The queries of the store
    /// do not change. A query that names its project reads only one partition. Run the script only
    /// in a database that has no table `keyfob_tokens` yet.
    pub fn partitioned_migration(partitions: NonZeroU16) -> String {
        let mut parts = String::from("PARTITION BY HASH (project);\n");
        for part in 0..partitions.get() {
            parts += &format!(
                "CREATE TABLE IF NOT EXISTS keyfob_tokens_{part} PARTITION OF keyfob_tokens \
                 FOR VALUES WITH (MODULUS {partitions}, REMAINDER {part});\n"
            );
        }
        Self::MIGRATIONS[0].sql.replace("-- PARTITION BY HASH (project)\n;\n", &parts)
    }

    /// Creates the tables and their indices if they do not exist. Upgrades a table that a version
    /// before 0.1.0 created. Several processes may call this method at the same time.
    ///
    /// # Errors
    /// - Returns [`Unavailable`](crate::store::StoreErrorKind::Unavailable) if the server cannot be
    ///   reached, or if the migration takes longer than 5 seconds.
    /// - Returns [`Other`](crate::store::StoreErrorKind::Other) if PostgreSQL reports another
    ///   failure, such as a missing privilege.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        within::<Postgres, _>(async {
            let mut transaction = self.access.pool.begin().await?;
            sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(TURN).execute(&mut *transaction).await?;
            if sqlx::query_scalar(IS_OLD).fetch_one(&mut *transaction).await? {
                sqlx::raw_sql(include_str!("upgrade.sql")).execute(&mut *transaction).await?;
            }
            for migration in Self::MIGRATIONS {
                sqlx::raw_sql(migration.sql).execute(&mut *transaction).await?;
            }
            transaction.commit().await
        })
        .await
    }

    /// Checks that the database has the schema of this version of keyfob: the tables, their columns
    /// with types and collations, their primary keys and indices. Also checks that the user of the
    /// connection may read and write the tables. Changes nothing. Call this method at each start if
    /// your own tool runs the migrations. Your service may add columns and indices.
    ///
    /// # Errors
    /// - Returns [`Schema`](crate::store::StoreErrorKind::Schema) if a part of the schema or a
    ///   privilege is missing or different. The source of the error names it.
    /// - Returns [`Unavailable`](crate::store::StoreErrorKind::Unavailable) if the server does not
    ///   reply within 5 seconds.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        let found = sqlx::query_as::<_, Part>(PARTS).bind(TABLES).bind(PRIVILEGES).fetch_all(&self.access.pool);
        let found = in_time(async { found.await.map_err(failed) }).await?;
        check(wanted(), found)
    }
}

fn wanted() -> impl Iterator<Item = Part> {
    let of_each = |table: &'static str| {
        let privileges =
            PRIVILEGES.iter().map(move |privilege| part(format_args!("privilege {privilege} on {table}"), ""));
        [part(format_args!("table {table}"), "")].into_iter().chain(privileges)
    };
    let text = format!("{TEXT} NOT NULL");
    let more = [
        part("column keyfob_tokens.name_folded", &text),
        part("column keyfob_turns.project", &text),
        part("column keyfob_imports.import_key", "bytea NOT NULL"),
        part("column keyfob_imports.project", &text),
        part("column keyfob_imports.id", &text),
        part("column keyfob_beats.store", "bigint NOT NULL"),
        part("column keyfob_beats.beat", "bigint NOT NULL"),
        part("column keyfob_beats.written_at", "bigint NOT NULL"),
        part("primary key of keyfob_tokens", "project, id"),
        part("primary key of keyfob_turns", "project"),
        part("primary key of keyfob_imports", "import_key"),
        part("primary key of keyfob_beats", "store"),
    ];
    TABLES.into_iter().flat_map(of_each).chain(columns(type_of)).chain(more).chain(indices(PostgresStore::MIGRATIONS))
}

fn type_of(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text => TEXT,
        ColumnKind::Number => "bigint",
        ColumnKind::Bytes => "bytea",
    }
}
