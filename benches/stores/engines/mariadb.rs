//! The engine MariaDB. The benchmark fills it by LOAD DATA.

use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;

use keyfob::{TokenKey, TokenRecord, TokenStore, store::mysql::MysqlStore};
use sqlx::{AssertSqlSafe, MySqlPool, Row};
use tempfile::NamedTempFile;

use super::mariadb_server::Server;
use super::row::{COLUMNS, SELECT_UNNUMBERED, Value, values};
use super::{Engine, FOLDER, GROWN};
use crate::tokens::Population;

/// Settings of the server, for a machine with several GB of memory. They keep the server from
/// writing in the background during a measurement.
const SETTINGS: [&str; 4] = [
    "innodb-buffer-pool-size=2G",
    "innodb-log-file-size=8G",
    "innodb-max-dirty-pages-pct-lwm=0",
    // For the sort of an index.
    "innodb-sort-buffer-size=64M",
];

pub struct Mariadb {
    store: MysqlStore,
    _server: Server,
}

impl Engine for Mariadb {
    type Store = MysqlStore;

    const NAME: &'static str = "MariaDB";
    const MOST: u64 = 10_000_000;
    const FLOOR: &'static str = "bare prepared SELECT by the primary key, on the same pool";
    const AT_MOST: Option<(f64, f64)> = None;

    async fn start() -> Option<Self> {
        let server = Server::start_in(FOLDER, &SETTINGS)?;
        is_filled_as_by_inserts(&server).await;
        Some(Self { store: server.store().await, _server: server })
    }

    async fn version(&self) -> String {
        let version: String = sqlx::query_scalar("SELECT version()").fetch_one(self.store.pool()).await.unwrap();
        format!("MariaDB {}", version.split('-').next().unwrap_or_default())
    }

    async fn load(&mut self, population: &Population, projects: Range<u64>) {
        fill(self.store.pool(), projects.map(|project| population.records(project))).await;
    }

    fn store(&self) -> &MysqlStore {
        &self.store
    }

    async fn read_barely(&self, key: &TokenKey) {
        let row = sqlx::query(SELECT_UNNUMBERED).bind(key.project.as_str()).bind(key.id.as_str());
        assert!(row.fetch_optional(self.store.pool()).await.unwrap().is_some());
    }

    async fn room(&mut self, tokens: u64) -> Vec<(&'static str, f64)> {
        let pool = self.store.pool();
        let (table, indices) = bytes_of(pool, "keyfob_tokens").await;
        sqlx::raw_sql("CREATE TABLE grown LIKE keyfob_tokens").execute(pool).await.unwrap();
        let grow = format!(
            "INSERT INTO grown ({COLUMNS}) SELECT {COLUMNS} FROM keyfob_tokens WHERE project < '00400' ORDER BY md5(id)"
        );
        sqlx::raw_sql(AssertSqlSafe(grow)).execute(pool).await.unwrap();
        let grown = bytes_of(pool, "grown").await;
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM grown").fetch_one(pool).await.unwrap();
        sqlx::raw_sql("DROP TABLE grown").execute(pool).await.unwrap();
        let tokens = tokens as f64;
        vec![
            ("on disk", (table + indices) / tokens),
            ("on disk, only the table", table / tokens),
            ("on disk, only the indices", indices / tokens),
            (GROWN, (grown.0 + grown.1) / count as f64),
        ]
    }

    async fn stop(self) {
        self.store.pool().close().await;
    }
}

/// Returns the bytes that the rows of a table take, and the bytes that its indices take.
async fn bytes_of(pool: &MySqlPool, table: &'static str) -> (f64, f64) {
    sqlx::raw_sql(AssertSqlSafe(format!("ANALYZE TABLE {table}"))).execute(pool).await.unwrap();
    let sizes: (u64, u64) = sqlx::query_as(
        "SELECT data_length, index_length FROM information_schema.tables \
         WHERE table_schema = database() AND table_name = ?",
    )
    .bind(table)
    .fetch_one(pool)
    .await
    .unwrap();
    (sizes.0 as f64, sizes.1 as f64)
}

/// Fills the table by LOAD DATA. To be faster, `fill` drops the indices first, and creates them
/// again at the end.
async fn fill(pool: &MySqlPool, projects: impl Iterator<Item = Vec<TokenRecord>>) {
    let schema = schema(pool).await;
    let (mut drops, mut adds) = (Vec::new(), Vec::new());
    for line in schema.lines().map(|line| line.trim().trim_end_matches(',')) {
        if let Some((_, rest)) = line.split_once("KEY `").filter(|_| !line.starts_with("PRIMARY")) {
            drops.push(format!("DROP KEY `{}`", rest.split('`').next().unwrap_or_default()));
            adds.push(format!("ADD {line}"));
        }
    }
    alter(pool, &drops).await;
    // The digest is in hex, because a byte of it could be a tab or a line break.
    let columns = COLUMNS.replace("digest", "@digest");
    for part in parts(projects) {
        let load = format!(
            "LOAD DATA INFILE '{}' INTO TABLE keyfob_tokens CHARACTER SET utf8mb4 ({columns}) \
             SET digest = unhex(@digest)",
            part.path().display()
        );
        sqlx::raw_sql(AssertSqlSafe(load)).execute(pool).await.unwrap();
    }
    alter(pool, &adds).await;
    assert_eq!(self::schema(pool).await, schema, "the indices were not restored");
    // Otherwise the server would write the pages in the next minutes, and this would disturb the
    // measurements.
    let mut connection = pool.acquire().await.unwrap();
    let flush = "ANALYZE TABLE keyfob_tokens; FLUSH TABLES keyfob_tokens FOR EXPORT; UNLOCK TABLES";
    sqlx::raw_sql(flush).execute(&mut *connection).await.unwrap();
}

async fn alter(pool: &MySqlPool, changes: &[String]) {
    let sql = format!("ALTER TABLE keyfob_tokens {}", changes.join(", "));
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool).await.unwrap();
}

/// Writes the records to one file after the other, which the server can read.
fn parts(projects: impl Iterator<Item = Vec<TokenRecord>>) -> impl Iterator<Item = NamedTempFile> {
    /// The number of bytes of a file.
    const PART: usize = 64 * 1024 * 1024;
    let mut projects = projects.peekable();
    std::iter::from_fn(move || {
        projects.peek()?;
        let mut lines = String::new();
        while lines.len() < PART
            && let Some(records) = projects.next()
        {
            records.iter().for_each(|record| push_line(&mut lines, record));
        }
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(lines.as_bytes()).unwrap();
        file.as_file().set_permissions(PermissionsExt::from_mode(0o644)).unwrap();
        Some(file)
    })
}

/// Appends a record as a line in the text format of LOAD DATA. The line needs no escapes, because
/// no text of these records contains a tab, a backslash or a line break.
fn push_line(lines: &mut String, record: &TokenRecord) {
    for (at, value) in values(record).into_iter().enumerate() {
        if at > 0 {
            lines.push('\t');
        }
        match value {
            Value::Text(text) => lines.push_str(text),
            Value::Own(text) => lines.push_str(&text),
            Value::Number(number) => write!(lines, "{number}").unwrap(),
            Value::Bytes(bytes) => bytes.iter().for_each(|byte| write!(lines, "{byte:02x}").unwrap()),
        }
    }
    lines.push('\n');
}

async fn schema(pool: &MySqlPool) -> String {
    sqlx::raw_sql("SHOW CREATE TABLE keyfob_tokens").fetch_one(pool).await.unwrap().get(1)
}

/// Asserts that [`fill`] writes the same rows as the store writes when it inserts the same tokens.
async fn is_filled_as_by_inserts(server: &Server) {
    let records = Population::new(200).records(0);
    let (inserted, filled) = (server.store().await, server.store().await);
    for record in records.clone() {
        inserted.insert(record, None, None).await.unwrap();
    }
    fill(filled.pool(), [records].into_iter()).await;
    let rows = async |store: &MysqlStore| -> Vec<Vec<Option<Vec<u8>>>> {
        let rows = sqlx::raw_sql("SELECT * FROM keyfob_tokens ORDER BY project, id").fetch_all(store.pool()).await;
        let values = |row: &sqlx::mysql::MySqlRow| (0..row.len()).map(|at| row.get_unchecked(at)).collect();
        rows.unwrap().iter().map(values).collect()
    };
    assert!(rows(&inserted).await == rows(&filled).await, "the rows differ from those that the store inserts");
    inserted.pool().close().await;
    filled.pool().close().await;
}
