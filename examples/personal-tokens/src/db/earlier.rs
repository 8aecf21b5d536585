//! Changes the tables of a SQLite file that an earlier version created.

use serde_json::Value;

use super::{Tx, query};
use crate::people::accounts::session_mark;

/// A column that an earlier version of a SQLite file does not have.
struct Column {
    table: &'static str,
    name: &'static str,
    /// The SQL statements that add the column.
    add: &'static [&'static str],
}

const COLUMNS: [Column; 3] = [
    Column {
        table: "users",
        name: "sessions_ended",
        add: &["ALTER TABLE users ADD COLUMN sessions_ended INTEGER NOT NULL DEFAULT 0"],
    },
    // The rows of an earlier version count as new.
    Column {
        table: "spent_forms",
        name: "at",
        add: &[
            "ALTER TABLE spent_forms ADD COLUMN at INTEGER NOT NULL DEFAULT 0",
            "UPDATE spent_forms SET at = unixepoch() * 1000",
        ],
    },
    Column {
        table: "github_deliveries",
        name: "at",
        add: &[
            "ALTER TABLE github_deliveries ADD COLUMN at INTEGER NOT NULL DEFAULT 0",
            "UPDATE github_deliveries SET at = unixepoch() * 1000",
        ],
    },
];

/// Adds the columns that the tables of an earlier version lack.
///
/// # Errors
/// Returns an error if a statement fails.
pub(super) async fn add_missing(tx: &mut Tx) -> sqlx::Result<()> {
    for column in &COLUMNS {
        let sql = "SELECT EXISTS (SELECT 1 FROM pragma_table_info(?) WHERE name = ?)";
        if !query(sql).bind(column.table).bind(column.name).is_true(&mut *tx).await? {
            for statement in column.add {
                query(*statement).execute(&mut *tx).await?;
            }
            if column.name == "sessions_ended" {
                mark_sessions(tx).await?;
            }
        }
    }
    Ok(())
}

/// Stores in each session the mark of its person, so that the session goes on. An earlier version
/// had no marks. Later, a session without its mark has ended.
async fn mark_sessions(tx: &mut Tx) -> sqlx::Result<()> {
    let people: Vec<(i64, String)> = query("SELECT id, password_hash FROM users").fetch_all(&mut *tx).await?;
    let sessions: Vec<(Vec<u8>, String)> = query("SELECT id_hash, data FROM sessions").fetch_all(&mut *tx).await?;
    for (id, data) in sessions {
        let Ok(mut data) = serde_json::from_str::<Value>(&data) else { continue };
        let Some(visit) = data.get_mut("visit").and_then(Value::as_object_mut) else { continue };
        let user = visit.get("user").and_then(Value::as_i64);
        let Some((_, hash)) = people.iter().find(|(id, _)| Some(*id) == user) else { continue };
        visit.insert("mark".into(), session_mark(0, hash).into());
        let sql = "UPDATE sessions SET data = ? WHERE id_hash = ?";
        query(sql).bind(data.to_string()).bind(id).execute(&mut *tx).await?;
    }
    Ok(())
}
