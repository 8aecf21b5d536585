//! Deletes tokens that ended long ago, and the rows that the host stores about these tokens.

use std::time::Duration;

use keyfob::{ProjectId, TokenId, TokenKey};

use crate::app::App;
use crate::setup::SetupError;
use crate::tokens::uses;

/// The maximum number of tokens that one query returns.
const BATCH: i64 = 500;

/// Deletes the tokens that ended more than `purge_after_days` ago, with their names and audit
/// trails. Returns the number of deleted tokens. The alarm of a leaked token stays until the owner
/// has dismissed it, unless the token is bound to another token.
///
/// A name and a trail are deleted only if the token existed before this purge. A token that was
/// never found may be in another database, with which the operator meant to start the host.
pub async fn purge(app: &App) -> Result<u64, SetupError> {
    let now = app.tokens.now();
    uses::forget_before(&app.pool, uses::day_of(now.as_unix_millis()) - uses::KEPT).await?;
    let kept = Duration::from_secs(u64::from(app.config.purge_after_days) * 24 * 60 * 60);
    let existing = quiet(app, now.saturating_sub(kept).as_unix_millis()).await?;
    // If the purge fails, it may have deleted the tokens of some projects.
    let purged = app.tokens.purge(kept).await;
    for key in existing {
        if app.tokens.get(&key).await?.is_none() {
            forget(app, &key).await?;
        }
    }
    Ok(purged?)
}

/// Returns the existing tokens whose trails have no entry after `before`. A token that the purge
/// deletes has no later entry.
async fn quiet(app: &App, before: i64) -> Result<Vec<TokenKey>, SetupError> {
    let (mut existing, mut last) = (Vec::new(), (String::new(), String::new()));
    loop {
        let sql = "SELECT project, token_id FROM token_events WHERE (project, token_id) > (?, ?) \
                   GROUP BY project, token_id HAVING max(at) <= ? ORDER BY project, token_id LIMIT ?";
        let query = sqlx::query_as(sql).bind(&last.0).bind(&last.1).bind(before).bind(BATCH);
        let batch: Vec<(String, String)> = query.fetch_all(&app.pool).await?;
        for (project, id) in &batch {
            let key = TokenKey { project: ProjectId::new(project)?, id: TokenId::new(id)? };
            if app.tokens.get(&key).await?.is_some() {
                existing.push(key);
            }
        }
        match batch.into_iter().next_back() {
            Some(key) => last = key,
            None => return Ok(existing),
        }
    }
}

/// Deletes the rows that the host stores about a token which keyfob has deleted.
async fn forget(app: &App, key: &TokenKey) -> sqlx::Result<()> {
    const DELETIONS: [&str; 8] = [
        "DELETE FROM token_leaks WHERE project = ?1 AND token_id = ?2 AND (seen = 1 OR EXISTS (SELECT 1 FROM bound_tokens \
         WHERE project = ?1 AND token_id = ?2))",
        "DELETE FROM leaked_issuers WHERE project = ?1 AND token_id = ?2 AND NOT EXISTS (SELECT 1 FROM token_leaks \
         WHERE project = ?1 AND token_id = ?2)",
        "DELETE FROM token_notices WHERE project = ?1 AND token_id = ?2",
        "DELETE FROM bound_tokens WHERE project = ?1 AND token_id = ?2",
        "DELETE FROM token_refusals WHERE project = ?1 AND token_id = ?2",
        "DELETE FROM token_uses WHERE project = ?1 AND token_id = ?2",
        "DELETE FROM token_names WHERE project = ?1 AND token_id = ?2",
        "DELETE FROM token_events WHERE project = ?1 AND token_id = ?2",
    ];
    let mut transaction = app.pool.begin_with("BEGIN IMMEDIATE").await?;
    for sql in DELETIONS {
        sqlx::query(sql).bind(key.project.as_str()).bind(key.id.as_str()).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}
