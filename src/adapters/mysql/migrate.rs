//! The migrations of the MySQL store, and the check of the schema.

use sqlx::MySql;

use super::failure::{failed, is_denied};
use super::handle::MysqlStore;
use crate::adapters::sql::migration::Migration;
use crate::adapters::sql::patience::{in_time, within};
use crate::adapters::sql::row::columns;
use crate::adapters::sql::schema::{Part, check, part};
use crate::words::store_error::StoreError;

/// The parts of the schema that the database has, each with its definition. The two collations that
/// compare text byte by byte, and spaces at the end too, have the same definition.
const PARTS: &str = "\
    SELECT concat('table ', table_name), engine FROM information_schema.tables \
        WHERE table_schema = database() AND table_name IN ('keyfob_tokens', 'keyfob_turns') \
    UNION ALL \
    SELECT concat('column ', table_name, '.', column_name), \
            concat_ws(' ', concat(data_type, if(data_type LIKE 'var%', concat('(', character_maximum_length, ')'), '')), \
                if(collation_name IN ('utf8mb4_nopad_bin', 'utf8mb4_0900_bin'), 'bytewise', collation_name), \
                if(is_nullable = 'NO', 'NOT NULL', NULL)) \
        FROM information_schema.columns \
        WHERE table_schema = database() AND table_name IN ('keyfob_tokens', 'keyfob_turns') \
    UNION ALL \
    SELECT if(index_name = 'PRIMARY', concat('primary key of ', table_name), concat('index ', index_name)), \
            concat(if(min(non_unique) = 0, 'UNIQUE ', ''), group_concat(column_name ORDER BY seq_in_index SEPARATOR ', ')) \
        FROM information_schema.statistics \
        WHERE table_schema = database() AND table_name IN ('keyfob_tokens', 'keyfob_turns') \
        GROUP BY table_name, index_name";

/// Statements that change nothing, and need a privilege: the privilege, the table and the
/// statement.
const PRIVILEGES: [(&str, &str, &str); 8] = [
    ("SELECT", "keyfob_tokens", "SELECT 1 FROM keyfob_tokens WHERE 1 = 0"),
    (
        "INSERT",
        "keyfob_tokens",
        concat!(
            "INSERT INTO keyfob_tokens (name_folded, ",
            columns!(),
            ") SELECT name_folded, ",
            columns!(),
            " FROM keyfob_tokens WHERE 1 = 0"
        ),
    ),
    ("UPDATE", "keyfob_tokens", "UPDATE keyfob_tokens SET version = version WHERE 1 = 0"),
    ("DELETE", "keyfob_tokens", "DELETE FROM keyfob_tokens WHERE 1 = 0"),
    ("SELECT", "keyfob_turns", "SELECT 1 FROM keyfob_turns WHERE 1 = 0"),
    ("INSERT", "keyfob_turns", "INSERT INTO keyfob_turns SELECT project FROM keyfob_turns WHERE 1 = 0"),
    ("UPDATE", "keyfob_turns", "UPDATE keyfob_turns SET project = project WHERE 1 = 0"),
    ("DELETE", "keyfob_turns", "DELETE FROM keyfob_turns WHERE 1 = 0"),
];

impl MysqlStore {
    /// The migrations of the schema, in the order in which they run: two tables with their indices,
    /// with a comment on each column. Run them with [`migrate`](Self::migrate) or with your own
    /// migration tool. The scripts are also in the folder `src/migrations/mysql` of the crate.
    pub const MIGRATIONS: &'static [Migration] =
        &[Migration { name: "0001_keyfob_tokens", sql: include_str!("../../migrations/mysql/0001_keyfob_tokens.sql") }];

    /// Creates the tables and their indices if they do not exist. Several processes may call this
    /// method at the same time.
    ///
    /// # Errors
    /// - Returns [`Unavailable`](crate::store::StoreErrorKind::Unavailable) if the server cannot be
    ///   reached, or if the migration takes longer than 5 seconds.
    /// - Returns [`Other`](crate::store::StoreErrorKind::Other) if the server reports another
    ///   failure, such as a missing privilege.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        within::<MySql, _>(async {
            for migration in Self::MIGRATIONS {
                sqlx::raw_sql(migration.sql).execute(&self.access.pool).await?;
            }
            Ok(())
        })
        .await
    }

    /// Checks that the database has the schema of this version of keyfob: the tables with InnoDB as
    /// their engine, their columns with types and collations, their primary keys and indices. Also
    /// checks that the user of the connection may read and write the tables. Changes nothing. Call
    /// this method at each start if your own tool runs the migrations. Your service may add columns
    /// and indices.
    ///
    /// # Errors
    /// - Returns [`Schema`](crate::store::StoreErrorKind::Schema) if a part of the schema or a
    ///   privilege is missing or different. The source of the error names it.
    /// - Returns [`Unavailable`](crate::store::StoreErrorKind::Unavailable) if the server does not
    ///   reply within 5 seconds.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        let found = sqlx::query_as::<_, Part>(PARTS).fetch_all(&self.access.pool);
        check(wanted(), in_time(async { found.await.map_err(failed) }).await?)?;
        for (privilege, table, statement) in PRIVILEGES {
            let allowed = in_time(async {
                // The pool's connections may refuse writes by default.
                let mut session = self.access.pool.begin_with("START TRANSACTION READ WRITE").await.map_err(failed)?;
                match sqlx::query(statement).execute(&mut *session).await {
                    Err(error) if is_denied(&error) => Ok(false),
                    done => done.map(|_| true).map_err(failed),
                }
            });
            let named = part(format_args!("privilege {privilege} on {table}"), "");
            check([named.clone()], allowed.await?.then_some(named))?;
        }
        Ok(())
    }
}

/// Returns the parts of the schema that the migrations create.
fn wanted() -> Vec<Part> {
    let mut parts = Vec::new();
    let mut table = "";
    for line in MysqlStore::MIGRATIONS.iter().flat_map(|migration| migration.sql.lines()) {
        if let Some(rest) = line.strip_prefix("CREATE TABLE IF NOT EXISTS ") {
            table = rest.trim_end_matches(" (");
            parts.push(part(format_args!("table {table}"), "InnoDB"));
        }
        let Some(line) = line.strip_prefix("    ") else { continue };
        let Some((first, rest)) = line.split_once(' ') else { continue };
        let columns = || rest.split_once('(').map_or(rest, |(_, rest)| rest).trim_end_matches([')', ',']);
        match first {
            "KEY" | "UNIQUE" => {
                let (unique, rest) = rest.strip_prefix("KEY ").map_or(("", rest), |rest| ("UNIQUE ", rest));
                let name = rest.split_once(' ').map_or(rest, |(name, _)| name);
                parts.push(part(format_args!("index {name}"), format_args!("{unique}{}", columns())));
            }
            "PRIMARY" => {
                parts.push(part(format_args!("primary key of {table}"), format_args!("UNIQUE {}", columns())));
            }
            name if name.starts_with(|letter: char| letter.is_ascii_lowercase()) => {
                let kind = rest.split_once([' ', ',']).map_or(rest, |(kind, _)| kind).to_ascii_lowercase();
                let text = if kind == "text" || kind.starts_with("varchar") { " bytewise" } else { "" };
                let suffix = if rest.contains("NOT NULL") { " NOT NULL" } else { "" };
                parts.push(part(format_args!("column {table}.{name}"), format_args!("{kind}{text}{suffix}")));
                if rest.contains("PRIMARY KEY") {
                    parts.push(part(format_args!("primary key of {table}"), format_args!("UNIQUE {name}")));
                }
            }
            _ => {}
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::columns::COLUMNS;

    #[test]
    fn the_wanted_parts_include_each_column_and_each_index() {
        let parts = wanted();
        for column in COLUMNS {
            let suffix = if column.optional { "" } else { " NOT NULL" };
            let name = format!("column keyfob_tokens.{}", column.name);
            let (_, definition) = parts.iter().find(|(part, _)| *part == name).unwrap();
            assert_eq!(definition.ends_with(" NOT NULL"), !suffix.is_empty(), "{name}: {definition}");
        }
        let has = |name: &str, definition: &str| parts.contains(&part(name, definition));
        assert!(has("column keyfob_tokens.name_folded", "varbinary(1020) NOT NULL"), "{parts:?}");
        assert!(has("column keyfob_tokens.owner", "varchar(255) bytewise NOT NULL"));
        assert!(has("primary key of keyfob_tokens", "UNIQUE project, id"));
        assert!(has("primary key of keyfob_turns", "UNIQUE project"));
        assert!(has("index keyfob_tokens_owner_ends", "owner, project, ends_order"));
        assert!(has("index keyfob_tokens_import", "UNIQUE import_key"));
        assert_eq!(parts.iter().filter(|(name, _)| name.starts_with("index ")).count(), 13);
        assert_eq!(parts.iter().filter(|(name, _)| name.starts_with("column ")).count(), COLUMNS.len() + 7);
    }
}
