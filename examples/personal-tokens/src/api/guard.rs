//! Behind the guard of the routes that tokens open: who calls, as the host knows them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::response::Response;
use keyfob::{
    Challenge, Rejection,
    access::{InProject, OwnProject, ProjectRequirement},
    axum::{Authenticated, Guard, Refusal},
};

use crate::api::resource;
use crate::app::App;
use crate::config::origin;
use crate::leaks::reporter::forwarded_for;
use crate::people::accounts::User;
use crate::people::projects::Project;
use crate::setup::SetupError;

/// Named in every `WWW-Authenticate`.
const REALM: &str = "personal-tokens";

/// What the routes of tokens are guarded with.
pub fn guard(app: &App) -> Guard {
    let (behind_tls, public_url) = (app.behind_tls, app.config.public_url.clone());
    Guard::new(Arc::clone(&app.tokens))
        .with_realm(REALM)
        .with_api_key_header()
        .with_client_address(move |request| client_address(request, behind_tls))
        .with_resource_metadata(move |request| {
            let origin = origin(public_url.as_deref(), behind_tls, &request.headers);
            Some(resource::metadata_address(&origin, request.uri.path()))
        })
}

/// Behind a proxy, the address that the proxy names, otherwise that of the connection.
fn client_address(request: &Parts, behind_proxy: bool) -> Option<IpAddr> {
    if behind_proxy {
        return forwarded_for(&request.headers);
    }
    let ConnectInfo(peer) = request.extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(peer.ip().to_canonical())
}

/// Who calls, by a token that passed: the proof, and what the host knows of its owner and project.
pub struct Caller<P = InProject> {
    pub token: Authenticated<P>,
    pub user: User,
    pub project: Project,
}

/// Who calls a route that names no project.
pub type OwnCaller = Caller<OwnProject>;

impl<P: ProjectRequirement + 'static> FromRequestParts<Arc<App>> for Caller<P> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let token = Authenticated::<P>::from_request_parts(parts, app).await?;
        // Whether both still count, keyfob has asked; here they are read for what is answered.
        let failed = |error: SetupError| unavailable(&*error);
        let id = |text: &str| text.parse::<i64>().map_err(|error| failed(error.into()));
        let user = app.accounts.find(id(token.owner().as_str())?).await.map_err(|error| failed(error.into()))?;
        let user = user.ok_or_else(|| token.refuse(Rejection::OwnerSuspended))?;
        let project = app.projects.find_of_user(user.id, id(token.project().as_str())?).await;
        let project = project.map_err(|error| failed(error.into()))?;
        let project = project.ok_or_else(|| token.refuse(Rejection::OwnerOutsideProject))?;
        Ok(Self { token, user, project })
    }
}

/// What failed is ours to log, and nobody else's to read.
pub fn unavailable(error: &(dyn std::error::Error + 'static)) -> Refusal {
    tracing::error!(error, "request failed");
    Refusal::challenge(Challenge::UNAVAILABLE, REALM)
}

/// Refusals are told to the event sink; a check that failed is logged here.
pub async fn log_failures(response: Response) -> Response {
    let refusal = response.extensions().get::<Refusal>();
    if let Some(cause) = refusal.and_then(Refusal::cause).filter(|cause| cause.rejection().is_none()) {
        tracing::error!(error = cause as &dyn std::error::Error, "token not checked");
    }
    response
}
