//! The differences between the SQL engines.
//!
//! A fence is a set of triggers that refuse writes to the tokens. The stores report a refused write
//! as [`Unavailable`](keyfob::store::StoreErrorKind::Unavailable), as for a read-only database.

use super::row::{COLUMNS, IMPORT_KEY};

/// The SQL of one engine, where engines differ.
pub struct Dialect {
    /// The name of the engine.
    pub engine: &'static str,
    /// Returns the placeholder of the bound value with this number, which starts at 1.
    pub placeholder: fn(usize) -> String,
    /// The word before a list of pairs in `(project, id) IN (…)`.
    pub pairs: &'static str,
    /// Whether the engine finds the rows after a pair `(project, id)` in an index. If not, the
    /// condition names each column.
    pub seeks_pairs: bool,
    /// The clause after the name of the table that makes the engine use the primary key.
    pub by_key: &'static str,
    /// Whether the import keys are in the table `keyfob_imports`, not in a column of the tokens.
    pub has_imports_table: bool,
    /// The statements that every connection of the tool runs first.
    pub setup: &'static [&'static str],
    /// The query that takes the lock of a copy. It returns 1 if the connection holds the lock. The
    /// lock of an engine without this query is a file.
    pub turn: Option<&'static str>,
    /// The query for the names of the columns of `keyfob_tokens`, in any order.
    pub columns: &'static str,
    /// The query that returns 1 if the table with the bound name exists, and 0 otherwise.
    pub has_table: &'static str,
    /// The statement that begins a transaction that writes.
    pub begin: &'static str,
    /// The statements that limit how long a transaction of the fence waits for locks.
    pub patience: &'static [&'static str],
    /// Whether the engine commits each statement that creates or drops a trigger or a table. Then
    /// the fence is not complete until the last of its statements has run.
    pub ddl_commits: bool,
    /// The statements that create the triggers of the fence.
    pub fence: &'static [&'static str],
    /// The statements that drop those triggers of the fence that exist.
    pub unfence: &'static [&'static str],
    /// The query for the number of triggers of the fence.
    pub fences: &'static str,
    /// The number of triggers of a complete fence.
    pub fence_count: i64,
    /// Whether the fence also refuses the writes of the tool. The tool then drops the fence at the
    /// start of each of its transactions, and creates the fence again before the commit.
    pub fence_stops_all: bool,
    /// The `SQLSTATE` or the error code that says that another connection holds a lock.
    pub busy: &'static str,
    /// The statements that update the statistics of the engine.
    pub analyze: &'static [&'static str],
}

pub const SQLITE: Dialect = Dialect {
    engine: "SQLite",
    placeholder: |_| "?".to_owned(),
    pairs: "VALUES ",
    seeks_pairs: true,
    by_key: "",
    has_imports_table: false,
    setup: &[],
    turn: None,
    // `pragma_table_info` does not list generated columns, which the tool does not copy.
    columns: "SELECT name FROM pragma_table_info('keyfob_tokens')",
    has_table: "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?",
    begin: "BEGIN IMMEDIATE",
    patience: &[],
    ddl_commits: false,
    fence: &[
        "CREATE TRIGGER keyfob_fence_insert BEFORE INSERT ON keyfob_tokens \
         BEGIN SELECT RAISE(ABORT, 'keyfob: this store is fenced for a copy'); END",
        "CREATE TRIGGER keyfob_fence_update BEFORE UPDATE ON keyfob_tokens \
         BEGIN SELECT RAISE(ABORT, 'keyfob: this store is fenced for a copy'); END",
        "CREATE TRIGGER keyfob_fence_delete BEFORE DELETE ON keyfob_tokens \
         BEGIN SELECT RAISE(ABORT, 'keyfob: this store is fenced for a copy'); END",
    ],
    unfence: &[
        "DROP TRIGGER IF EXISTS keyfob_fence_insert",
        "DROP TRIGGER IF EXISTS keyfob_fence_update",
        "DROP TRIGGER IF EXISTS keyfob_fence_delete",
    ],
    fences: "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'keyfob_tokens' \
             AND name LIKE 'keyfob!_fence!_%' ESCAPE '!'",
    fence_count: 3,
    fence_stops_all: true,
    busy: "5",
    analyze: &["ANALYZE keyfob_tokens"],
};

pub const POSTGRES: Dialect = Dialect {
    engine: "PostgreSQL",
    placeholder: |number| format!("${number}"),
    pairs: "VALUES ",
    seeks_pairs: true,
    by_key: "",
    has_imports_table: true,
    setup: &[
        // The fence lets connections with this setting pass.
        "SET keyfob.copying = 'yes'",
        // While the table grows, its statistics are outdated. These settings keep the look-ups of a
        // page on the primary key.
        "SET enable_seqscan = off",
        "SET enable_hashjoin = off",
        "SET enable_mergejoin = off",
    ],
    // The key of the lock is an arbitrary number that no other program uses.
    turn: Some("SELECT pg_try_advisory_lock(118074042544995)::int::bigint"),
    columns: "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass('keyfob_tokens') \
              AND attnum > 0 AND NOT attisdropped",
    has_table: "SELECT count(*) FROM pg_class WHERE oid = to_regclass($1)",
    begin: "BEGIN",
    // A long report or a dump may hold locks on the tables. While this transaction waits for them,
    // look-ups of services wait too.
    patience: &["SET LOCAL lock_timeout = '100ms'"],
    ddl_commits: false,
    fence: &[
        "CREATE FUNCTION keyfob_fence() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF current_setting('keyfob.copying', true) IS DISTINCT FROM 'yes' THEN
                 RAISE EXCEPTION 'keyfob: this store is fenced for a copy' USING ERRCODE = 'read_only_sql_transaction';
             END IF;
             RETURN NULL;
         END $$",
        "CREATE TRIGGER keyfob_fence BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON keyfob_tokens \
         FOR EACH STATEMENT EXECUTE FUNCTION keyfob_fence()",
        "CREATE TRIGGER keyfob_fence BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON keyfob_imports \
         FOR EACH STATEMENT EXECUTE FUNCTION keyfob_fence()",
    ],
    unfence: &[
        "DROP TRIGGER IF EXISTS keyfob_fence ON keyfob_tokens",
        "DROP TRIGGER IF EXISTS keyfob_fence ON keyfob_imports",
        "DROP FUNCTION IF EXISTS keyfob_fence()",
    ],
    fences: "SELECT count(*) FROM pg_trigger WHERE tgname = 'keyfob_fence' \
             AND tgrelid IN (to_regclass('keyfob_tokens'), to_regclass('keyfob_imports'))",
    fence_count: 2,
    fence_stops_all: false,
    busy: "55P03",
    // Without this command, PostgreSQL would choose good query plans only later.
    analyze: &["ANALYZE keyfob_tokens", "ANALYZE keyfob_imports"],
};

/// Returns the statement that creates a trigger of MariaDB's fence, or drops it.
///
/// A statement that changes a trigger waits for the transactions that use the table, and look-ups
/// of services wait behind it. So it gives up after 100 ms, and the tool repeats it.
macro_rules! mariadb_trigger {
    (create $event:literal) => {
        concat!(
            "SET STATEMENT max_statement_time = 0.1 FOR CREATE TRIGGER IF NOT EXISTS keyfob_fence_",
            $event,
            " BEFORE ",
            $event,
            " ON keyfob_tokens FOR EACH ROW IF @keyfob_copying IS NULL THEN \
             SIGNAL SQLSTATE '25006' SET MYSQL_ERRNO = 1792, \
             MESSAGE_TEXT = 'keyfob: this store is fenced for a copy'; END IF"
        )
    };
    (drop $event:literal) => {
        concat!("SET STATEMENT max_statement_time = 0.1 FOR DROP TRIGGER IF EXISTS keyfob_fence_", $event)
    };
}

/// MariaDB commits each statement that creates or drops a trigger. An interrupted run may leave
/// one or two of the three triggers, and the next run adds or drops the others.
pub const MARIADB: Dialect = Dialect {
    engine: "MariaDB",
    placeholder: |_| "?".to_owned(),
    pairs: "",
    seeks_pairs: false,
    by_key: " FORCE INDEX (PRIMARY)",
    has_imports_table: false,
    setup: &[
        // The fence lets connections with this variable pass. Without the other setting, MariaDB
        // would convert a list of 500 keys into a join, and would not look them up.
        "SET @keyfob_copying = 1, @@session.in_predicate_conversion_threshold = 0",
    ],
    // A lock belongs to the whole server, and its name has at most 64 characters.
    turn: Some("SELECT get_lock(concat('keyfob copy ', md5(database())), 0)"),
    // The tool does not copy generated columns.
    columns: "SELECT column_name FROM information_schema.columns \
              WHERE table_schema = database() AND table_name = 'keyfob_tokens' AND extra NOT LIKE '%GENERATED%'",
    has_table: "SELECT count(*) FROM information_schema.tables WHERE table_schema = database() AND table_name = ?",
    begin: "START TRANSACTION",
    patience: &[],
    ddl_commits: true,
    fence: &[mariadb_trigger!(create "insert"), mariadb_trigger!(create "update"), mariadb_trigger!(create "delete")],
    unfence: &[mariadb_trigger!(drop "insert"), mariadb_trigger!(drop "update"), mariadb_trigger!(drop "delete")],
    fences: "SELECT count(*) FROM information_schema.triggers WHERE trigger_schema = database() \
             AND event_object_table = 'keyfob_tokens' AND trigger_name LIKE 'keyfob!_fence!_%' ESCAPE '!'",
    fence_count: 3,
    fence_stops_all: false,
    // The statement was interrupted by its time limit.
    busy: "70100",
    analyze: &["ANALYZE TABLE keyfob_tokens"],
};

impl Dialect {
    /// Returns `count` rows of `width` placeholders each, such as `(?, ?), (?, ?)`.
    pub fn tuples(&self, count: usize, width: usize) -> String {
        let mut number = 0;
        let mut tuple = || {
            let mut next = || {
                number += 1;
                (self.placeholder)(number)
            };
            format!("({})", (0..width).map(|_| next()).collect::<Vec<_>>().join(", "))
        };
        (0..count).map(|_| tuple()).collect::<Vec<_>>().join(", ")
    }

    fn p(&self, number: usize) -> String {
        (self.placeholder)(number)
    }

    /// Returns the start of a query for whole rows, before its conditions.
    fn select_from(&self) -> String {
        let import_key = if self.has_imports_table {
            "(SELECT import_key FROM keyfob_imports AS import \
              WHERE import.project = token.project AND import.id = token.id LIMIT 1)"
        } else {
            "import_key"
        };
        format!("SELECT {}, {import_key} FROM keyfob_tokens AS token{}", names(IMPORT_KEY), self.by_key)
    }

    /// Returns the query for the rows after a key. It binds the project, the id and the limit. If
    /// the engine does not seek pairs, it binds the project twice.
    pub fn page(&self) -> String {
        let (after, limit) = if self.seeks_pairs {
            (format!("(project, id) > ({}, {})", self.p(1), self.p(2)), self.p(3))
        } else {
            let (above, same, id) = (self.p(1), self.p(2), self.p(3));
            (format!("(project > {above} OR (project = {same} AND id > {id}))"), self.p(4))
        };
        format!("{} WHERE {after} ORDER BY project, id LIMIT {limit}", self.select_from())
    }

    /// Returns the query for the rows with this number of keys. It binds the project and the id of
    /// each key.
    pub fn rows(&self, count: usize) -> String {
        format!("{} WHERE {}", self.select_from(), self.among(count))
    }

    /// Returns the query for those of this number of keys that have a row.
    pub fn keys(&self, count: usize) -> String {
        format!("SELECT project, id FROM keyfob_tokens{} WHERE {}", self.by_key, self.among(count))
    }

    /// Returns the statement that deletes the rows with this number of keys from a table.
    pub fn delete(&self, table: &str, count: usize) -> String {
        // MariaDB allows the clause only in the form of the statement for several tables.
        let rows = if self.by_key.is_empty() { String::new() } else { format!("{table} ") };
        format!("DELETE {rows}FROM {table}{} WHERE {}", self.by_key, self.among(count))
    }

    fn among(&self, count: usize) -> String {
        format!("(project, id) IN ({}{})", self.pairs, self.tuples(count, 2))
    }

    /// Returns the number of columns that a row has in the table `keyfob_tokens`.
    pub fn width(&self) -> usize {
        if self.has_imports_table { IMPORT_KEY } else { COLUMNS.len() }
    }

    /// Returns the statement that inserts this number of rows.
    pub fn insert(&self, count: usize) -> String {
        let width = self.width();
        format!("INSERT INTO keyfob_tokens ({}) VALUES {}", names(width), self.tuples(count, width))
    }

    /// Returns the statement that inserts this number of import keys.
    pub fn insert_imports(&self, count: usize) -> String {
        format!("INSERT INTO keyfob_imports (import_key, project, id) VALUES {}", self.tuples(count, 3))
    }

    /// Returns the statement that takes this number of import keys from the tokens that have them.
    pub fn free_imports(&self, count: usize) -> String {
        let keys = self.tuples(1, count);
        if self.has_imports_table {
            format!("DELETE FROM keyfob_imports WHERE import_key IN {keys}")
        } else {
            format!("UPDATE keyfob_tokens SET import_key = NULL WHERE import_key IN {keys}")
        }
    }

    /// Returns the query for the number of import keys.
    pub fn imports(&self) -> &'static str {
        if self.has_imports_table {
            "SELECT count(*) FROM keyfob_imports"
        } else {
            "SELECT count(*) FROM keyfob_tokens WHERE import_key IS NOT NULL"
        }
    }

    /// Returns the statement that writes the record of a copy: the id of the other store.
    pub fn record(&self) -> String {
        format!("INSERT INTO keyfob_copy_target (source, equal) VALUES ({}, 0)", self.p(1))
    }

    /// Returns the statement that records whether the two stores are equal.
    pub fn set_equal(&self) -> String {
        format!("UPDATE keyfob_copy_target SET equal = {}", self.p(1))
    }

    /// Returns the statement that stores the id of the store.
    pub fn set_id(&self) -> String {
        format!("INSERT INTO keyfob_copy_source (id) VALUES ({})", self.p(1))
    }
}

/// Returns the names of the first columns, as a list for SQL.
fn names(count: usize) -> String {
    COLUMNS[..count].iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
