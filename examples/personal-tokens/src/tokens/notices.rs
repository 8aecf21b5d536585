//! Notices of expiry. keyfob emits each notice once. The service stores the notices of tokens that
//! end within a day, and the page shows them to the owner until the token is rotated or has ended.

use std::time::Duration;

use keyfob::{ProjectId, Timestamp, TokenId, TokenKey, TokenView, notices::NoticeLead, store::PageSize};

use crate::app::App;
use crate::db::query;
use crate::people::accounts::User;
use crate::setup::SetupError;
use crate::tokens::issued;
use crate::tokens::own::Refused;

/// The maximum number of ending tokens that the page names.
const MOST: usize = 5;
/// The number of notices whose tokens are read from the store in any case. Each further notice is
/// read only while the page names fewer than [`MOST`] tokens. After that, it is only counted.
const MOST_READ: usize = 100;

/// Claims, stores and acknowledges the notices that are due. If the process stops before it
/// acknowledges a notice, a later call claims the notice again.
pub async fn gather(app: &App) -> Result<(), SetupError> {
    const LEASE: Duration = Duration::from_secs(60);
    loop {
        let due = app.tokens.claim_notices(LEASE, PageSize::default()).await?;
        if due.is_empty() {
            return Ok(());
        }
        for notice in due {
            // Only the notice one day before the end is stored. For earlier notices, the color of
            // the row on the page is enough.
            if notice.id.lead == NoticeLead::DAY {
                issued::note_bound(app, &notice.view).await?;
                query("INSERT INTO token_notices (project, token_id, owner) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
                    .bind(notice.id.key.project.as_str())
                    .bind(notice.id.key.id.as_str())
                    .bind(notice.view.owner.as_str())
                    .execute(&app.db)
                    .await?;
            }
            app.tokens.acknowledge_notice(&notice.id).await?;
        }
    }
}

/// A token that ends within a day: the name of its project, the token, and the time of its end.
pub type Ending = (String, TokenView, Timestamp);

/// Returns at most `MOST` of the person's tokens that end within a day, and the number of further
/// such tokens. Tokens that are bound to another token come last.
pub async fn of_user(app: &App, user: &User) -> Result<(Vec<Ending>, usize), Refused> {
    let rows: Vec<(String, String)> = query(
        "SELECT project, token_id FROM token_notices LEFT JOIN bound_tokens AS bound USING (project, token_id) \
         WHERE owner = ? ORDER BY bound.token_id IS NOT NULL, token_notices.{rowid}",
    )
    .bind(user.owner_id().as_str())
    .fetch_all(&app.db)
    .await
    .map_err(Refused::failed)?;
    let (mut ending, mut more) = (Vec::new(), 0);
    for (index, (project, id)) in rows.into_iter().enumerate() {
        if index >= MOST_READ && ending.len() == MOST {
            more += 1;
            continue;
        }
        let key = TokenKey {
            project: ProjectId::new(&project).map_err(Refused::failed)?,
            id: TokenId::new(&id).map_err(Refused::failed)?,
        };
        let view = app.tokens.get(&key).await.map_err(Refused::failed)?;
        let number = project.parse().map_err(|error| Refused::failed(Box::new(error)))?;
        let project = app.projects.find_of_user(user.id, number).await.map_err(Refused::failed)?;
        match (view, project) {
            // A token that was rotated needs no notice.
            (Some(view), Some(project)) if view.status.is_live() && view.rotated_to.is_none() => {
                match view.expires_at {
                    Some(end) if ending.len() < MOST => ending.push((project.name, view, end)),
                    Some(_) => more += 1,
                    None => {}
                }
            }
            _ => forget(app, &key).await.map_err(Refused::failed)?,
        }
    }
    Ok((ending, more))
}

/// Deletes the notice of a token.
async fn forget(app: &App, key: &TokenKey) -> sqlx::Result<()> {
    query("DELETE FROM token_notices WHERE project = ? AND token_id = ?")
        .bind(key.project.as_str())
        .bind(key.id.as_str())
        .execute(&app.db)
        .await?;
    Ok(())
}
