//! Deletes the data whose time is over. The README of the host lists what is kept for how long.
//!
//! Each step reads and writes in batches. So it needs little memory, and locks the database only
//! for short times.

use std::time::Duration;

use keyfob::{
    TokenKey, TokenStore,
    store::{ListQuery, PageSize, ProjectsQuery, StatusFilter, StatusGroup, StoreMaintenance},
};

use crate::app::App;
use crate::setup::SetupError;
use crate::tokens::{aged, gone};

/// Returns a time in days as a [`Duration`].
pub fn days(days: u32) -> Duration {
    Duration::from_secs(u64::from(days) * 24 * 60 * 60)
}

/// Deletes the tokens that ended more than `purge_after_days` ago, and the other data whose time is
/// over. Returns the number of deleted tokens.
///
/// A name and a trail are deleted with their token. If a token was never found, it may be in
/// another database, with which the operator meant to start the host. Its name and its trail are
/// deleted only after no run has found the token for `purge_after_days`.
///
/// # Errors
/// Returns the first error. A step that fails does not prevent the other steps, and the next run
/// continues where this one stopped.
pub async fn purge(app: &App) -> Result<u64, SetupError> {
    let kept = days(app.config.purge_after_days);
    // Tokens of ended issuers are revoked first, so that they count as ended too.
    let orphans = app.tokens.revoke_orphans().await;
    let marked = mark_ended(app, kept).await;
    let purged = app.tokens.purge(kept).await;
    let forgotten = gone::forget_marked(app, kept).await;
    let searched = gone::search(app).await;
    // The rows that explain how a token ended are needed as long as the token exists.
    let aged = aged::delete(app, kept, purged.is_ok()).await;
    orphans?;
    marked?;
    let purged = purged?;
    forgotten?;
    searched?;
    aged?;
    Ok(purged)
}

/// Marks the tokens that the purge will delete. The marks are stored, so that the next run deletes
/// the rows of these tokens even if the process stops after the purge.
async fn mark_ended(app: &App, kept: Duration) -> Result<(), SetupError> {
    let (store, before) = (app.tokens.store(), app.tokens.now().saturating_sub(kept));
    let mut projects = ProjectsQuery::default();
    loop {
        let page = store.projects(&projects).await?;
        let Some(last) = page.last().copied() else { return Ok(()) };
        for project in page {
            let mut query = ListQuery::new(project);
            query.status = Some(StatusFilter { group: StatusGroup::Ended, at: before });
            query.most = PageSize::MAX;
            loop {
                let page = store.list(&query).await?;
                let ended = page.items.iter().filter(|record| record.ends_at().is_some_and(|end| end < before));
                let keys: Vec<TokenKey> = ended.map(|record| record.key()).collect();
                gone::mark(&app.db, &keys, gone::FOUND).await?;
                query.after = page.next;
                if query.after.is_none() {
                    break;
                }
            }
        }
        projects.after = Some(last);
    }
}
