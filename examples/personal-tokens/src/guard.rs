//! The guard of the routes that tokens open.

use std::time::Duration;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use keyfob::{Access, Challenge, Credential, ProjectDemand, TokenStore, Touch, Verified, VerifyError};

use crate::accounts::User;
use crate::app::App;
use crate::problem::Problem;
use crate::projects::Project;
use crate::setup::SetupError;

/// Who calls, by a token that passed: the proof, and what the host knows of its owner and project.
pub struct Caller<P> {
    pub token: Verified<P>,
    pub user: User,
    pub project: Project,
}

/// A last use is written only if the one before is this old, so that a busy token costs a write a minute.
const USE_RESOLUTION: Duration = Duration::from_secs(60);

/// Lets a request pass that presents a token for this access, whose owner is still active and still in the project.
pub async fn admit<P: ProjectDemand>(
    app: &App,
    headers: &HeaderMap,
    access: &Access<'_, P>,
) -> Result<Caller<P>, Problem> {
    let authorization = headers.get_all(AUTHORIZATION);
    let credential = Credential::from_authorization_or_api_key(authorization, headers.get_all("x-api-key"))
        .map_err(Challenge::from)?;
    let token = app.tokens.verify(&credential, access).await.map_err(refused)?;

    // What only the host knows, asked on each request: a suspension and a lost membership count at once.
    let id = |text: &str| text.parse::<i64>().map_err(|error| unavailable(error.into()));
    let user = app.accounts.find(id(token.owner().as_str())?).await.map_err(|error| unavailable(error.into()))?;
    let Some(user) = user.filter(|user| !user.suspended) else {
        let detail = "the token's owner is suspended";
        return Err(Problem::of_token(StatusCode::UNAUTHORIZED, "invalid_token", "owner_suspended", detail));
    };
    let project = app.projects.find_of_user(user.id, id(token.project().as_str())?).await;
    let Some(project) = project.map_err(|error| unavailable(error.into()))? else {
        let detail = "the token's owner is not in the project any more";
        return Err(Problem::of_token(StatusCode::FORBIDDEN, "insufficient_scope", "project_left", detail));
    };
    note_use(app, &token).await;
    Ok(Caller { token, user, project })
}

fn refused(error: VerifyError) -> Problem {
    // The reason and never the token: a rejected text may be somebody's real one with a typing error.
    match error.rejection() {
        Some(rejection) => {
            let key = error.key();
            let (project, id) = (key.map(|key| key.project.to_string()), key.map(|key| key.id.to_string()));
            tracing::info!(%rejection, project, id, "token refused");
        }
        None => tracing::error!(error = &error as &dyn std::error::Error, "token not checked"),
    }
    error.challenge().into()
}

fn unavailable(error: SetupError) -> Problem {
    tracing::error!(error = &*error as &dyn std::error::Error, "token's owner not checked");
    Challenge::UNAVAILABLE.into()
}

/// A failure is logged, and never fails the request.
async fn note_use<P>(app: &App, token: &Verified<P>) {
    let now = app.tokens.now();
    let last = token.last_used_at();
    if last.is_some_and(|last| now.saturating_since(last) < USE_RESOLUTION) {
        return;
    }
    if let Err(error) = app.tokens.store().touch_many(&[Touch { key: token.key(), used_at: now }]).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "last use not written");
    }
}
