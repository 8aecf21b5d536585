//! Adds the columns that tables of an earlier version lack.

use sqlx::SqlitePool;

/// A column that an earlier version of the schema did not have.
struct Column {
    table: &'static str,
    name: &'static str,
    /// The SQL statement that adds the column.
    add: &'static str,
}

const COLUMNS: [Column; 1] = [Column {
    table: "users",
    name: "sessions_ended",
    add: "ALTER TABLE users ADD COLUMN sessions_ended INTEGER NOT NULL DEFAULT 0",
}];

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
