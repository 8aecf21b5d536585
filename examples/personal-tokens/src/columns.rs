//! Adds the columns that tables of an earlier version lack.

use sqlx::SqlitePool;

/// A column that an earlier version of the schema did not have.
struct Column {
    table: &'static str,
    name: &'static str,
    /// The SQL statements that add the column.
    add: &'static str,
}

const COLUMNS: [Column; 3] = [
    Column {
        table: "users",
        name: "sessions_ended",
        add: "ALTER TABLE users ADD COLUMN sessions_ended INTEGER NOT NULL DEFAULT 0",
    },
    // The rows of an earlier version count as new.
    Column {
        table: "spent_forms",
        name: "at",
        add: "ALTER TABLE spent_forms ADD COLUMN at INTEGER NOT NULL DEFAULT 0; \
              UPDATE spent_forms SET at = unixepoch() * 1000",
    },
    Column {
        table: "github_deliveries",
        name: "at",
        add: "ALTER TABLE github_deliveries ADD COLUMN at INTEGER NOT NULL DEFAULT 0; \
              UPDATE github_deliveries SET at = unixepoch() * 1000",
    },
];

/// Adds the missing columns. Several processes may start at the same time.
pub async fn add_missing(pool: &SqlitePool) -> sqlx::Result<()> {
    for column in &COLUMNS {
        if is_there(pool, column).await? {
            continue;
        }
        // Take the write lock before looking again, so that only one process adds the column.
        let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
        if !is_there(&mut *transaction, column).await? {
            sqlx::raw_sql(column.add).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
    }
    Ok(())
}

async fn is_there(db: impl sqlx::SqliteExecutor<'_>, column: &Column) -> sqlx::Result<bool> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pragma_table_info(?) WHERE name = ?)")
        .bind(column.table)
        .bind(column.name)
        .fetch_one(db)
        .await
}
