//! The fences of the move. A fence is a set of triggers that refuse writes, either to the SQLite
//! file or to the PostgreSQL database.
//!
//! Together with the fence of PostgreSQL, the move creates the table `keyfob_move`. This table
//! names the file whose copy the database holds.

use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

use super::{Failure, refuse};

/// The state of the PostgreSQL database.
pub enum Target {
    /// The database has no tokens and no fence.
    Empty,
    /// The database is fenced and holds a copy of the file with the id `of`. `equal` says whether
    /// the last run of the step `--finish` found the file and the database equal.
    Copy { of: String, equal: bool },
    /// The database has tokens and no fence.
    InUse,
}

/// Takes a lock in the PostgreSQL database, so that only one move into it runs at a time. The lock
/// lasts until the connection closes.
///
/// # Errors
/// Returns a failure if another move holds the lock.
pub async fn take_turn(target: &mut PgConnection) -> Result<(), Failure> {
    // The key of the lock is an arbitrary number that no other program uses.
    const TURN: i64 = 0x6b65_7966_6f63;
    if !sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(TURN).fetch_one(&mut *target).await? {
        return refuse("another move into this database is under way");
    }
    // The fence of PostgreSQL refuses writes by all connections without this setting.
    sqlx::raw_sql("SET keyfob.moving = 'yes'").execute(target).await?;
    Ok(())
}

/// Returns the id of the SQLite file. The first call creates the id and stores it in the file. So
/// the id stays the same if the file is moved or copied.
pub async fn source_id(source: &mut SqliteConnection) -> Result<String, Failure> {
    const TABLE: &str = "CREATE TABLE IF NOT EXISTS keyfob_move (id TEXT NOT NULL) STRICT";
    const MAKE: &str =
        "INSERT INTO keyfob_move SELECT hex(randomblob(16)) WHERE NOT EXISTS (SELECT 1 FROM keyfob_move)";
    let mut transaction = source.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::query(TABLE).execute(&mut *transaction).await?;
    sqlx::query(MAKE).execute(&mut *transaction).await?;
    let id = sqlx::query_scalar("SELECT id FROM keyfob_move").fetch_one(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(id)
}

/// Returns the state of the PostgreSQL database.
pub async fn target(target: &mut PgConnection) -> Result<Target, Failure> {
    const HOLDS: &str = "SELECT EXISTS (SELECT 1 FROM keyfob_tokens) OR EXISTS (SELECT 1 FROM keyfob_imports)";
    if sqlx::query_scalar("SELECT to_regclass('keyfob_move') IS NOT NULL").fetch_one(&mut *target).await? {
        let (of, equal) = sqlx::query_as("SELECT source, equal FROM keyfob_move").fetch_one(target).await?;
        return Ok(Target::Copy { of, equal });
    }
    let holds: bool = sqlx::query_scalar(HOLDS).fetch_one(target).await?;
    Ok(if holds { Target::InUse } else { Target::Empty })
}

/// Fences the empty PostgreSQL database, and stores the id of the file that will be copied into it.
/// A service that writes to a fenced database gets the same error as from a read-only database.
///
/// # Errors
/// Returns a failure if a query fails, or if the database holds tokens.
pub async fn begin(target: &mut PgConnection, source: &str) -> Result<(), Failure> {
    const FENCE: &str = "
        CREATE TABLE keyfob_move (source TEXT NOT NULL, equal BOOLEAN NOT NULL);
        CREATE FUNCTION keyfob_move_fence() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF current_setting('keyfob.moving', true) IS DISTINCT FROM 'yes' THEN
                RAISE EXCEPTION 'keyfob: the tokens have not moved here yet' USING ERRCODE = 'read_only_sql_transaction';
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER keyfob_move_fence BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON keyfob_tokens
            FOR EACH STATEMENT EXECUTE FUNCTION keyfob_move_fence();
        CREATE TRIGGER keyfob_move_fence BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON keyfob_imports
            FOR EACH STATEMENT EXECUTE FUNCTION keyfob_move_fence();";
    let mut transaction = target.begin().await?;
    sqlx::raw_sql(FENCE).execute(&mut *transaction).await?;
    // Creating the triggers locked the tables, so no other connection can insert a token after this
    // check.
    let holds: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM keyfob_tokens)").fetch_one(&mut *transaction).await?;
    if holds {
        return refuse("PostgreSQL is in use: it holds tokens that are not a copy of this file");
    }
    sqlx::query("INSERT INTO keyfob_move VALUES ($1, false)").bind(source).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
}

/// Records in PostgreSQL whether a comparison found the file and the database equal.
pub async fn set_equal(target: &mut PgConnection, equal: bool) -> Result<(), Failure> {
    sqlx::query("UPDATE keyfob_move SET equal = $1").bind(equal).execute(target).await?;
    Ok(())
}

/// Removes the whole fence of PostgreSQL in one transaction. Repeats the transaction until it gets
/// the locks of the tables.
pub async fn open_target(target: &mut PgConnection) -> Result<(), Failure> {
    const OPEN: &str = "
        DROP TRIGGER keyfob_move_fence ON keyfob_tokens;
        DROP TRIGGER keyfob_move_fence ON keyfob_imports;
        DROP FUNCTION keyfob_move_fence();
        DROP TABLE keyfob_move;";
    loop {
        let mut transaction = target.begin().await?;
        // A long report or a dump may hold locks on the tables. While this transaction waits for
        // its locks, look-ups by services wait too. So this transaction waits for only 100 ms, and
        // the loop tries again a second later.
        sqlx::raw_sql("SET LOCAL lock_timeout = '100ms'").execute(&mut *transaction).await?;
        match sqlx::raw_sql(OPEN).execute(&mut *transaction).await {
            Ok(_) => return Ok(transaction.commit().await?),
            Err(error) if error.as_database_error().and_then(|error| error.code()).as_deref() == Some("55P03") => {
                transaction.rollback().await?;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The SQL statements that the fence of the SQLite file refuses on the table of tokens.
const SOURCE_FENCE: [&str; 3] = ["insert", "update", "delete"];

/// Fences the SQLite file, so that it refuses all further writes to the tokens. A caller can repeat
/// a refused write after the move.
///
/// Call this function before the last copy of the move. Then the last copy includes every write
/// that was committed before the fence.
pub async fn close_source(source: &mut SqliteConnection) -> Result<(), Failure> {
    let mut transaction = source.begin_with("BEGIN IMMEDIATE").await?;
    for act in SOURCE_FENCE {
        let sql = format!(
            "CREATE TRIGGER IF NOT EXISTS keyfob_moved_{act} BEFORE {act} ON keyfob_tokens \
             BEGIN SELECT RAISE(ABORT, 'keyfob: the tokens have moved'); END"
        );
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Returns whether the SQLite file is fenced.
pub async fn is_source_closed(source: &mut SqliteConnection) -> Result<bool, Failure> {
    const FENCE: &str = "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'keyfob_tokens' \
         AND name LIKE 'keyfob_moved_%'";
    let triggers: i64 = sqlx::query_scalar(FENCE).fetch_one(source).await?;
    Ok(triggers as usize == SOURCE_FENCE.len())
}

/// Removes the fence of the SQLite file, so that it takes writes again.
pub async fn open_source(source: &mut SqliteConnection) -> Result<(), Failure> {
    let mut transaction = source.begin_with("BEGIN IMMEDIATE").await?;
    for act in SOURCE_FENCE {
        let sql = format!("DROP TRIGGER IF EXISTS keyfob_moved_{act}");
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(())
}
