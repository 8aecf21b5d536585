//! The reports from GitHub that this service has answered. They are stored, so that every process
//! on the same database detects a replay, even after a restart.

use crate::db::{Db, query};
use keyfob::Timestamp;

/// Returns whether a report with this digest was answered before.
pub async fn is_answered(db: &Db, digest: &[u8; 32]) -> sqlx::Result<bool> {
    query("SELECT EXISTS (SELECT 1 FROM github_deliveries WHERE digest = ?)").bind(digest.as_slice()).value(db).await
}

/// Stores that a report was answered, with the id of the key that signed the report.
pub async fn note(db: &Db, digest: &[u8; 32], key_id: &str, now: Timestamp) -> sqlx::Result<()> {
    query("INSERT INTO github_deliveries (digest, key_id, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
        .bind(digest.as_slice())
        .bind(key_id)
        .bind(now.as_unix_millis())
        .execute(db)
        .await?;
    Ok(())
}

/// Deletes all stored reports except the reports that one of these keys signed. A deleted report
/// cannot be replayed, because the service accepts only signatures of these keys.
pub async fn keep_of(db: &Db, key_ids: &[&str]) -> Result<(), crate::setup::SetupError> {
    query("DELETE FROM github_deliveries WHERE key_id NOT IN (?*)").bind(key_ids).execute(db).await?;
    Ok(())
}
