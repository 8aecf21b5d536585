//! The engine PostgreSQL. The benchmark fills it by COPY.

use std::fmt::Write;
use std::ops::Range;

use keyfob::{TokenKey, TokenRecord, TokenStore, store::postgres::PostgresStore};
use sqlx::postgres::PgPoolCopyExt;
use sqlx::{AssertSqlSafe, PgPool};

use super::postgres_server::Server;
use super::row::{COLUMNS, SELECT, Value, values};
use super::{Engine, FOLDER, GROWN};
use crate::tokens::Population;

/// Settings of the server, for a machine with several GB of memory. They keep the server from
/// writing in the background during a measurement. `wal_level` is minimal because there is no
/// standby, so the server does not have to log the indices that it builds.
const SETTINGS: [&str; 8] = [
    "shared_buffers=2GB",
    "maintenance_work_mem=1GB",
    "max_wal_size=8GB",
    "checkpoint_timeout=1h",
    "wal_level=minimal",
    "max_wal_senders=0",
    "effective_cache_size=8GB",
    "random_page_cost=1.1",
];

/// The query for the definitions of all indices and constraints of keyfob's tables.
const INDICES: &str = "SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'keyfob%' \
     UNION SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid::regclass::text LIKE 'keyfob%' \
     ORDER BY 1";

pub struct Postgres {
    store: PostgresStore,
    _server: Server,
}

impl Engine for Postgres {
    type Store = PostgresStore;

    const NAME: &'static str = "PostgreSQL";
    const MOST: u64 = 10_000_000;
    const FLOOR: &'static str = "bare prepared SELECT by the primary key, on the same pool";
    const AT_MOST: Option<(f64, f64)> = Some((1.25, 1.5));

    async fn start() -> Option<Self> {
        let server = Server::start_in(FOLDER, &SETTINGS)?;
        is_filled_as_by_inserts(&server).await;
        Some(Self { store: server.store().await, _server: server })
    }

    async fn version(&self) -> String {
        let version: String =
            sqlx::query_scalar("SELECT current_setting('server_version')").fetch_one(self.store.pool()).await.unwrap();
        format!("PostgreSQL {}", version.split(' ').next().unwrap_or_default())
    }

    async fn load(&mut self, population: &Population, projects: Range<u64>) {
        fill(self.store.pool(), projects.map(|project| population.records(project))).await;
    }

    fn store(&self) -> &PostgresStore {
        &self.store
    }

    async fn read_barely(&self, key: &TokenKey) {
        let row = sqlx::query(SELECT).bind(key.project.as_str()).bind(key.id.as_str());
        assert!(row.fetch_optional(self.store.pool()).await.unwrap().is_some());
    }

    async fn room(&mut self, tokens: u64) -> Vec<(&'static str, f64)> {
        let number = async |of: &'static str| -> f64 {
            let number: i64 = sqlx::query_scalar(of).fetch_one(self.store.pool()).await.unwrap();
            number as f64
        };
        let table = number("SELECT pg_table_size('keyfob_tokens')").await;
        let indices = number("SELECT pg_indexes_size('keyfob_tokens')").await;
        sqlx::raw_sql(GROW).execute(self.store.pool()).await.unwrap();
        let grown = number("SELECT pg_total_relation_size('grown')").await;
        let grown_tokens = number("SELECT count(*) FROM grown").await;
        sqlx::raw_sql("DROP TABLE grown").execute(self.store.pool()).await.unwrap();
        let tokens = tokens as f64;
        vec![
            ("on disk", (table + indices) / tokens),
            ("on disk, only the table", table / tokens),
            ("on disk, only the indices", indices / tokens),
            (GROWN, grown / grown_tokens),
        ]
    }

    async fn stop(self) {
        self.store.pool().close().await;
    }
}

/// The SQL that creates a table with the same schema and inserts the first 200,000 tokens into it
/// in random order.
const GROW: &str = "CREATE TABLE grown (LIKE keyfob_tokens INCLUDING ALL); \
     INSERT INTO grown SELECT * FROM keyfob_tokens WHERE project < '00400' ORDER BY md5(id)";

/// Fills the table by COPY. To be faster, `fill` drops the indices first. The store's migration
/// creates the indices again at the end.
async fn fill(pool: &PgPool, projects: impl Iterator<Item = Vec<TokenRecord>>) {
    let schema = schema(pool).await;
    let indices: Vec<String> = sqlx::query_scalar(
        "SELECT indexname::text FROM pg_indexes WHERE tablename = 'keyfob_tokens' AND indexname <> 'keyfob_tokens_pkey'",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    for index in indices {
        sqlx::raw_sql(AssertSqlSafe(format!("DROP INDEX {index}"))).execute(pool).await.unwrap();
    }
    let mut copy = pool.copy_in_raw(&format!("COPY keyfob_tokens ({COLUMNS}) FROM STDIN")).await.unwrap();
    for records in projects {
        let mut lines = String::new();
        records.iter().for_each(|record| push_line(&mut lines, record));
        copy.send(lines.as_bytes()).await.unwrap();
    }
    copy.finish().await.unwrap();
    // `PostgresStore::migrate` would give up after five seconds.
    for migration in PostgresStore::MIGRATIONS {
        sqlx::raw_sql(migration.sql).execute(pool).await.unwrap();
    }
    assert_eq!(self::schema(pool).await, schema, "the migration did not restore the indices");
    // Otherwise the server would run a vacuum and a checkpoint by itself in the next minutes, and
    // they would disturb the measurements.
    sqlx::raw_sql("VACUUM ANALYZE keyfob_tokens").execute(pool).await.unwrap();
    sqlx::raw_sql("CHECKPOINT").execute(pool).await.unwrap();
}

/// Appends a record as a line in the text format of COPY. The line needs no escapes, because no
/// text of these records contains a tab, a backslash or a line break.
fn push_line(lines: &mut String, record: &TokenRecord) {
    for (at, value) in values(record).into_iter().enumerate() {
        if at > 0 {
            lines.push('\t');
        }
        match value {
            Value::Text(text) => lines.push_str(text),
            Value::Own(text) => lines.push_str(&text),
            Value::Number(number) => write!(lines, "{number}").unwrap(),
            Value::Bytes(bytes) => {
                lines.push_str("\\\\x");
                bytes.iter().for_each(|byte| write!(lines, "{byte:02x}").unwrap());
            }
        }
    }
    lines.push('\n');
}

async fn schema(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(INDICES).fetch_all(pool).await.unwrap()
}

/// Asserts that [`fill`] writes the same rows as the store writes when it inserts the same tokens.
async fn is_filled_as_by_inserts(server: &Server) {
    let records = Population::new(200).records(0);
    let (inserted, filled) = (server.store().await, server.store().await);
    for record in records.clone() {
        inserted.insert(record, None, None).await.unwrap();
    }
    fill(filled.pool(), [records].into_iter()).await;
    let rows = async |store: &PostgresStore| -> Vec<String> {
        let rows = sqlx::query_scalar("SELECT keyfob_tokens::text FROM keyfob_tokens ORDER BY project, id");
        rows.fetch_all(store.pool()).await.unwrap()
    };
    assert!(rows(&inserted).await == rows(&filled).await, "the rows differ from those that the store inserts");
    inserted.pool().close().await;
    filled.pool().close().await;
}
