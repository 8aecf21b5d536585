//! The engine SQLite. The benchmark fills it in one large transaction.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use keyfob::{TokenKey, TokenRecord, TokenStore, store::sqlite::SqliteStore};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Sqlite as Database, SqliteConnection, SqlitePool};
use tempfile::TempDir;

use super::row::{COLUMNS, SELECT, Value, WIDTH, values};
use super::{Engine, FOLDER, GROWN};
use crate::tokens::Population;

/// The number of rows that one statement inserts.
const ROWS: usize = 100;

pub struct Sqlite {
    store: SqliteStore,
    folder: TempDir,
}

impl Engine for Sqlite {
    type Store = SqliteStore;

    const NAME: &'static str = "SQLite";
    const MOST: u64 = 10_000_000;
    const FLOOR: &'static str = "bare prepared SELECT by the primary key, on the same pool";
    const AT_MOST: Option<(f64, f64)> = None;

    async fn start() -> Option<Self> {
        is_filled_as_by_inserts().await;
        let folder = tempfile::tempdir_in(FOLDER).unwrap();
        Some(Self { store: SqliteStore::open(folder.path().join("tokens.db")).await.unwrap(), folder })
    }

    async fn version(&self) -> String {
        let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(self.store.pool()).await.unwrap();
        format!("SQLite {version}")
    }

    async fn load(&mut self, population: &Population, projects: Range<u64>) {
        let path = self.folder.path().join("tokens.db");
        self.store.pool().close().await;
        fill(&path, projects.map(|project| population.records(project))).await;
        self.store = SqliteStore::open(&path).await.unwrap();
    }

    fn store(&self) -> &SqliteStore {
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
        let whole = number("SELECT sum(pgsize) FROM dbstat WHERE aggregate = TRUE").await;
        let table = number("SELECT pgsize FROM dbstat WHERE aggregate = TRUE AND name = 'keyfob_tokens'").await;
        let tokens = tokens as f64;
        vec![
            ("on disk", whole / tokens),
            ("on disk, only the table", table / tokens),
            ("on disk, only the indices", (whole - table) / tokens),
            (GROWN, self.grown().await),
        ]
    }

    async fn stop(self) {
        // Dropping `folder` deletes the files. The pool must close the files before.
        self.store.pool().close().await;
    }
}

impl Sqlite {
    /// Inserts the first 200,000 tokens into a new file in random order, and returns the size of
    /// the file per token, in bytes.
    async fn grown(&self) -> f64 {
        let path = self.folder.path().join("grown.db");
        SqliteStore::open(&path).await.unwrap().pool().close().await;
        let options = SqliteConnectOptions::new().filename(&path).synchronous(SqliteSynchronous::Off);
        let mut grown = options.pragma("cache_size", "-500000").connect().await.unwrap();
        let from = self.folder.path().join("tokens.db");
        sqlx::query("ATTACH $1 AS filled").bind(from.to_str().unwrap()).execute(&mut grown).await.unwrap();
        let grow = format!(
            "INSERT INTO main.keyfob_tokens ({COLUMNS}) SELECT {COLUMNS} FROM filled.keyfob_tokens \
             WHERE project < '00400' ORDER BY random()"
        );
        let tokens = sqlx::query(AssertSqlSafe(grow)).execute(&mut grown).await.unwrap().rows_affected();
        let bytes: i64 = sqlx::query_scalar("SELECT sum(pgsize) FROM dbstat('main') WHERE aggregate = TRUE")
            .fetch_one(&mut grown)
            .await
            .unwrap();
        grown.close().await.unwrap();
        bytes as f64 / tokens as f64
    }
}

/// Fills the file in one transaction without a journal. To be faster, `fill` drops the indices
/// first. The store's migration creates the indices again at the end. No other connection may have
/// the file open.
async fn fill(path: &Path, projects: impl Iterator<Item = Vec<TokenRecord>>) {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Off)
        .synchronous(SqliteSynchronous::Off)
        .pragma("cache_size", "-1000000")
        .pragma("threads", "2");
    let mut database = options.connect().await.unwrap();
    let schema = schema(&mut database).await;
    let indices: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")
            .fetch_all(&mut database)
            .await
            .unwrap();
    let mut transaction = database.begin().await.unwrap();
    for index in indices {
        sqlx::raw_sql(AssertSqlSafe(format!("DROP INDEX {index}"))).execute(&mut *transaction).await.unwrap();
    }
    for records in projects {
        for rows in records.chunks(ROWS) {
            insert(rows, &mut transaction).await;
        }
    }
    for migration in SqliteStore::MIGRATIONS {
        sqlx::raw_sql(migration.sql).execute(&mut *transaction).await.unwrap();
    }
    transaction.commit().await.unwrap();
    assert_eq!(self::schema(&mut database).await, schema, "the migration did not restore the indices");
    database.close().await.unwrap();
    File::open(path).unwrap().sync_all().unwrap();
}

async fn insert(rows: &[TokenRecord], database: &mut SqliteConnection) {
    let places = format!("({})", ["?"; WIDTH].join(", "));
    let text = format!("INSERT INTO keyfob_tokens ({COLUMNS}) VALUES {}", vec![places; rows.len()].join(", "));
    let mut query = sqlx::query::<Database>(AssertSqlSafe(text));
    for value in rows.iter().flat_map(values) {
        query = match value {
            Value::Text(text) => query.bind(text),
            Value::Own(text) => query.bind(text),
            Value::Bytes(bytes) => query.bind(bytes),
            Value::Number(number) => query.bind(number),
        };
    }
    query.execute(database).await.unwrap();
}

async fn schema(database: &mut SqliteConnection) -> Vec<String> {
    let schema = "SELECT name || ' ' || coalesce(sql, '') FROM sqlite_schema ORDER BY name";
    sqlx::query_scalar(schema).fetch_all(database).await.unwrap()
}

/// Asserts that [`fill`] writes the same rows as the store writes when it inserts the same tokens.
async fn is_filled_as_by_inserts() {
    let folder = tempfile::tempdir_in(FOLDER).unwrap();
    let records = Population::new(200).records(0);
    let (one, other) = (folder.path().join("inserted.db"), folder.path().join("filled.db"));
    let inserted = SqliteStore::open(&one).await.unwrap();
    for record in records.clone() {
        inserted.insert(record, None, None).await.unwrap();
    }
    SqliteStore::open(&other).await.unwrap().pool().close().await;
    fill(&other, [records].into_iter()).await;
    let filled = SqliteStore::open(&other).await.unwrap();
    assert!(
        rows(inserted.pool()).await == rows(filled.pool()).await,
        "the rows differ from those that the store inserts"
    );
    inserted.pool().close().await;
    filled.pool().close().await;
}

/// Returns all rows of the table of tokens. Each row is one text that contains all columns.
async fn rows(pool: &SqlitePool) -> Vec<String> {
    let columns: Vec<String> =
        sqlx::query_scalar("SELECT 'quote(' || name || ')' FROM pragma_table_xinfo('keyfob_tokens')")
            .fetch_all(pool)
            .await
            .unwrap();
    let rows = format!("SELECT {} FROM keyfob_tokens ORDER BY project, id", columns.join(" || ' ' || "));
    sqlx::query_scalar(AssertSqlSafe(rows)).fetch_all(pool).await.unwrap()
}
