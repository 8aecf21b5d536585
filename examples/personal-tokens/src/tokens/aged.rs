//! Deletes the rows that are kept for a fixed time.

use std::time::Duration;

use crate::app::App;
use crate::db::query;
use crate::setup::SetupError;
use crate::tokens::purge::days;
use crate::tokens::uses;
use crate::web::sessions::unix_now;

/// The number of rows that one transaction deletes.
const BATCH: i64 = 500;
/// The maximum number of transactions for one table in one run. The next run deletes the rest.
const MOST_BATCHES: usize = 200;

/// A rule that deletes rows. `?1` is a time in milliseconds, and `?2` the maximum number of rows.
struct Rule {
    sql: &'static str,
    kept: Duration,
    /// Whether the rows describe how tokens ended. They are deleted only if the tokens that ended
    /// as long ago are deleted.
    is_of_ended: bool,
}

/// Deletes the rows whose time is over. `kept` is the time for which ended tokens are kept. If
/// `is_purged` is false, the tokens that ended longer ago may still exist.
pub async fn delete(app: &App, kept: Duration, is_purged: bool) -> Result<(), SetupError> {
    let rules = [
        Rule {
            sql: "DELETE FROM group_revocations WHERE id IN (SELECT * FROM (SELECT id FROM group_revocations WHERE at < ?1 LIMIT ?2) AS batch)",
            kept,
            is_of_ended: true,
        },
        // GitHub's report from this time named tokens that are deleted, so a replay has no effect.
        Rule {
            sql: "DELETE FROM github_deliveries WHERE digest IN \
                  (SELECT * FROM (SELECT digest FROM github_deliveries WHERE at < ?1 LIMIT ?2) AS batch)",
            kept,
            is_of_ended: true,
        },
        Rule {
            sql: "DELETE FROM token_refusals WHERE (project, token_id, event, reason, actor, day) IN \
                  (SELECT * FROM (SELECT project, token_id, event, reason, actor, day FROM token_refusals WHERE at < ?1 LIMIT ?2) AS batch)",
            kept,
            is_of_ended: false,
        },
        Rule {
            sql: "DELETE FROM token_leaks WHERE (project, token_id) IN \
                  (SELECT * FROM (SELECT project, token_id FROM token_leaks WHERE seen = 1 AND at < ?1 LIMIT ?2) AS batch)",
            kept,
            is_of_ended: true,
        },
        Rule {
            sql: "DELETE FROM token_leaks WHERE (project, token_id) IN \
                  (SELECT * FROM (SELECT project, token_id FROM token_leaks WHERE seen = 0 AND at < ?1 LIMIT ?2) AS batch)",
            kept: days(app.config.purge_alarms_after_days),
            is_of_ended: false,
        },
        // A page with a form is used in the session that loaded it, which ends after eight hours.
        Rule {
            sql: "DELETE FROM spent_forms WHERE id IN (SELECT * FROM (SELECT id FROM spent_forms WHERE at < ?1 LIMIT ?2) AS batch)",
            kept: days(1),
            is_of_ended: false,
        },
    ];
    for rule in rules.iter().filter(|rule| is_purged || !rule.is_of_ended) {
        let before = app.tokens.now().saturating_sub(rule.kept).as_unix_millis();
        repeat(app, rule.sql, before).await?;
    }
    let today = uses::day_of(app.tokens.now().as_unix_millis());
    uses::forget_before(&app.db, today - uses::KEPT).await?;
    // These rows belong to alarms.
    let issuers = "DELETE FROM leaked_issuers WHERE (project, token_id) IN (SELECT * FROM (SELECT project, token_id FROM leaked_issuers \
                   WHERE ?1 = 0 AND NOT EXISTS (SELECT 1 FROM token_leaks WHERE token_leaks.project = leaked_issuers.project \
                   AND token_leaks.token_id = leaked_issuers.token_id) LIMIT ?2) AS batch)";
    repeat(app, issuers, 0).await?;
    // Sessions use the clock of the system, in seconds.
    let sessions = "DELETE FROM sessions WHERE id_hash IN \
                    (SELECT * FROM (SELECT id_hash FROM sessions WHERE expires_at <= ?1 LIMIT ?2) AS batch)";
    repeat(app, sessions, unix_now()?).await
}

/// Runs a deletion until it finds no more rows, or until the run has deleted enough.
async fn repeat(app: &App, sql: &'static str, before: i64) -> Result<(), SetupError> {
    for _ in 0..MOST_BATCHES {
        let deleted = query(sql).bind(before).bind(BATCH).execute(&app.db).await?;
        if i64::try_from(deleted)? < BATCH {
            break;
        }
    }
    Ok(())
}
