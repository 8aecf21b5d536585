//! Deletes the rows that the host stores about tokens which are no longer in the database of the
//! tokens.
//!
//! A token that is about to be deleted, or that was not found, gets a mark. The rows of the token
//! are deleted when the mark is old enough and the token still does not exist.

use std::time::Duration;

use keyfob::{ProjectId, TokenId, TokenKey};

use crate::app::App;
use crate::db::{Db, Tx, query};
use crate::setup::SetupError;

/// The number of tokens that one query or one transaction handles.
const BATCH: i64 = 500;
/// The maximum number of tokens that one search looks up. The next search continues there.
const MOST_SEARCHED: usize = 20_000;
/// The time of the mark of a token that was found before the purge. Its rows are deleted as soon as
/// the token does not exist.
pub const FOUND: i64 = 0;

type Place = (String, String);

/// Marks tokens. A mark that exists keeps the earlier time.
pub async fn mark(db: &Db, keys: &[TokenKey], since: i64) -> sqlx::Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let mut transaction = db.begin().await?;
    for key in keys {
        query(
            "INSERT INTO gone_tokens (project, token_id, since) VALUES (?, ?, ?) ON CONFLICT (project, token_id) \
             DO UPDATE SET since = {least}(gone_tokens.since, excluded.since)",
        )
        .bind(key.project.as_str())
        .bind(key.id.as_str())
        .bind(since)
        .execute(&mut transaction)
        .await?;
    }
    transaction.commit().await
}

/// Deletes the rows of the tokens that do not exist and whose marks are older than `kept`. Removes
/// the marks of the tokens that exist.
pub async fn forget_marked(app: &App, kept: Duration) -> Result<(), SetupError> {
    let before = app.tokens.now().saturating_sub(kept).as_unix_millis();
    let mut last = Place::default();
    loop {
        let sql = "SELECT project, token_id FROM gone_tokens WHERE (project, token_id) > (?, ?) AND since < ? \
                   ORDER BY project, token_id LIMIT ?";
        let query = query(sql).bind(&last.0).bind(&last.1).bind(before).bind(BATCH);
        let batch: Vec<Place> = query.fetch_all(&app.db).await?;
        let found = look_up(app, &batch).await?;
        let mut transaction = app.db.begin().await?;
        for (key, exists) in &found {
            if !exists {
                forget(&mut transaction, key).await?;
            }
            unmark(&mut transaction, key).await?;
        }
        transaction.commit().await?;
        match batch.into_iter().next_back() {
            Some(place) => last = place,
            None => return Ok(()),
        }
    }
}

/// Looks up the tokens about which the host stores rows, and marks those that do not exist. Removes
/// the marks of the others.
pub async fn search(app: &App) -> Result<(), SetupError> {
    // Each table has an index that begins with these two columns. The limit within each part keeps
    // the query from reading the tables to their end.
    macro_rules! part {
        ($table:literal) => {
            concat!(
                "SELECT * FROM (SELECT DISTINCT project, token_id FROM ",
                $table,
                " WHERE (project, token_id) > (?1, ?2) ORDER BY project, token_id LIMIT ?3) AS part"
            )
        };
    }
    let sql = concat!(
        part!("token_names"),
        " UNION ",
        part!("token_events"),
        " UNION ",
        part!("token_refusals"),
        " UNION ",
        part!("token_notices"),
        " UNION ",
        part!("bound_tokens"),
        " ORDER BY 1, 2 LIMIT ?3"
    );
    let now = app.tokens.now().as_unix_millis();
    let mut last: Place =
        query("SELECT project, token_id FROM gone_search").fetch_optional(&app.db).await?.unwrap_or_default();
    let mut searched = 0;
    while searched < MOST_SEARCHED {
        let batch: Vec<Place> = query(sql).bind(&last.0).bind(&last.1).bind(BATCH).fetch_all(&app.db).await?;
        let (existing, missing): (Vec<_>, Vec<_>) =
            look_up(app, &batch).await?.into_iter().partition(|(_, exists)| *exists);
        let mut transaction = app.db.begin().await?;
        for (key, _) in &existing {
            unmark(&mut transaction, key).await?;
        }
        transaction.commit().await?;
        let missing: Vec<TokenKey> = missing.into_iter().map(|(key, _)| key).collect();
        mark(&app.db, &missing, now).await?;
        searched += batch.len();
        last = batch.into_iter().next_back().unwrap_or_default();
        query(
            "INSERT INTO gone_search (id, project, token_id) VALUES (1, ?1, ?2) ON CONFLICT (id) \
                     DO UPDATE SET project = excluded.project, token_id = excluded.token_id",
        )
        .bind(&last.0)
        .bind(&last.1)
        .execute(&app.db)
        .await?;
        if last == Place::default() {
            break;
        }
    }
    Ok(())
}

/// Returns the keys of the tokens, and whether each token exists.
async fn look_up(app: &App, places: &[Place]) -> Result<Vec<(TokenKey, bool)>, SetupError> {
    let mut found = Vec::with_capacity(places.len());
    for (project, id) in places {
        let key = TokenKey { project: ProjectId::new(project)?, id: TokenId::new(id)? };
        found.push((key, app.tokens.get(&key).await?.is_some()));
    }
    Ok(found)
}

async fn unmark(database: &mut Tx, key: &TokenKey) -> sqlx::Result<()> {
    query("DELETE FROM gone_tokens WHERE project = ? AND token_id = ?")
        .bind(key.project.as_str())
        .bind(key.id.as_str())
        .execute(database)
        .await?;
    Ok(())
}

/// Deletes the rows that the host stores about a token that does not exist. The alarm of a leaked
/// token stays until its own time is over, unless the token was bound to another token: an issuer
/// can issue any number of these.
async fn forget(database: &mut Tx, key: &TokenKey) -> sqlx::Result<()> {
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
    for sql in DELETIONS {
        query(sql).bind(key.project.as_str()).bind(key.id.as_str()).execute(&mut *database).await?;
    }
    Ok(())
}
