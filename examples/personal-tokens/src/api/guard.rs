//! The guard of the routes that tokens open.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use keyfob::{Access, Challenge, Credential, ProjectDemand, Rejection, Verified, VerifyError};

use crate::api::problem::Problem;
use crate::app::App;
use crate::people::accounts::User;
use crate::people::projects::Project;
use crate::setup::SetupError;

/// Who calls, by a token that passed: the proof, and what the host knows of its owner and project.
pub struct Caller<P> {
    pub token: Verified<P>,
    pub user: User,
    pub project: Project,
}

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

    // Whether both still count, keyfob has asked; here they are read for what is answered.
    let id = |text: &str| text.parse::<i64>().map_err(|error| unavailable(error.into()));
    let user = app.accounts.find(id(token.owner().as_str())?).await.map_err(|error| unavailable(error.into()))?;
    let user = user.ok_or(Challenge::from(Rejection::OwnerSuspended))?;
    let project = app.projects.find_of_user(user.id, id(token.project().as_str())?).await;
    let project = project.map_err(|error| unavailable(error.into()))?;
    let project = project.ok_or(Challenge::from(Rejection::OwnerOutsideProject))?;
    Ok(Caller { token, user, project })
}

/// Refusals are told to the event sink; what failed is ours to log.
fn refused(error: VerifyError) -> Problem {
    if error.rejection().is_none() {
        tracing::error!(error = &error as &dyn std::error::Error, "token not checked");
    }
    error.challenge().into()
}

fn unavailable(error: SetupError) -> Problem {
    tracing::error!(error = &*error as &dyn std::error::Error, "token's owner not checked");
    Challenge::UNAVAILABLE.into()
}
