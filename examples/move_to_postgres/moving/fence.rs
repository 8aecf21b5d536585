//! The fences around both sides, and whose copy stands in PostgreSQL.

use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

use super::{Failure, refuse};

/// What PostgreSQL holds.
pub enum Target {
    Empty,
    /// A fenced copy of the file of this id; whether it was found equal.
    Copy {
        of: String,
        equal: bool,
    },
    /// Tokens without a fence.
    InUse,
}

/// One move at a time, for as long as the connection lives.
pub async fn take_turn(target: &mut PgConnection) -> Result<(), Failure> {
    // A number that is nobody else's.
    const TURN: i64 = 0x6b65_7966_6f63;
    if !sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(TURN).fetch_one(&mut *target).await? {
        return refuse("another move into this database is under way");
    }
    // By this the fence knows who may pass.
    sqlx::raw_sql("SET keyfob.moving = 'yes'").execute(target).await?;
    Ok(())
}

/// By which the file is known, wherever it lies; made with the first copy.
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

pub async fn target(target: &mut PgConnection) -> Result<Target, Failure> {
    const HOLDS: &str = "SELECT EXISTS (SELECT 1 FROM keyfob_tokens) OR EXISTS (SELECT 1 FROM keyfob_imports)";
    if sqlx::query_scalar("SELECT to_regclass('keyfob_move') IS NOT NULL").fetch_one(&mut *target).await? {
        let (of, equal) = sqlx::query_as("SELECT source, equal FROM keyfob_move").fetch_one(target).await?;
        return Ok(Target::Copy { of, equal });
    }
    let holds: bool = sqlx::query_scalar(HOLDS).fetch_one(target).await?;
    Ok(if holds { Target::InUse } else { Target::Empty })
}

/// Fences PostgreSQL while it is empty. A writing call of a service is answered there as by a database that is read only.
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
    // The triggers have locked out whoever writes, so that this stays true.
    let holds: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM keyfob_tokens)").fetch_one(&mut *transaction).await?;
    if holds {
        return refuse("PostgreSQL is in use");
    }
    sqlx::query("INSERT INTO keyfob_move VALUES ($1, false)").bind(source).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
}

pub async fn set_equal(target: &mut PgConnection, equal: bool) -> Result<(), Failure> {
    sqlx::query("UPDATE keyfob_move SET equal = $1").bind(equal).execute(target).await?;
    Ok(())
}

/// Takes all of the fence away, at once.
pub async fn open_target(target: &mut PgConnection) -> Result<(), Failure> {
    const OPEN: &str = "
        DROP TRIGGER keyfob_move_fence ON keyfob_tokens;
        DROP TRIGGER keyfob_move_fence ON keyfob_imports;
        DROP FUNCTION keyfob_move_fence();
        DROP TABLE keyfob_move;";
    loop {
        let mut transaction = target.begin().await?;
        // Look-ups would queue behind one that waits for a long report or a dump: it waits for a moment only, and tries again.
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

const SOURCE_FENCE: [&str; 3] = ["insert", "update", "delete"];

/// What is committed before it will be copied; what comes later is refused, and may be tried again behind the move.
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

pub async fn is_source_closed(source: &mut SqliteConnection) -> Result<bool, Failure> {
    const FENCE: &str = "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'keyfob_tokens' \
         AND name LIKE 'keyfob_moved_%'";
    let triggers: i64 = sqlx::query_scalar(FENCE).fetch_one(source).await?;
    Ok(triggers as usize == SOURCE_FENCE.len())
}

pub async fn open_source(source: &mut SqliteConnection) -> Result<(), Failure> {
    let mut transaction = source.begin_with("BEGIN IMMEDIATE").await?;
    for act in SOURCE_FENCE {
        let sql = format!("DROP TRIGGER IF EXISTS keyfob_moved_{act}");
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(())
}
