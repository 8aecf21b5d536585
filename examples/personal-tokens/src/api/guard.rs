//! The guard of the routes that require a token, and the extractor that returns the caller of these
//! routes.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use keyfob::{
    Challenge, Rejection,
    access::{InProject, OwnProject, ProjectRequirement},
    axum::Guard,
    http::{Authenticated, CredentialPlaces, Refusal},
};

use crate::api::resource;
use crate::app::App;
use crate::client::forwarded_for;
use crate::config::origin;
use crate::people::accounts::User;
use crate::people::projects::Project;
use crate::setup::SetupError;

/// The realm in every `WWW-Authenticate` header.
const REALM: &str = "personal-tokens";

/// Creates the guard of the routes that require a token.
pub fn guard(app: &App) -> Guard {
    let places = CredentialPlaces::new().with_header("x-api-key").expect("the name of the header is valid");
    let (behind_tls, public_url) = (app.behind_tls, app.config.public_url.clone());
    Guard::new(Arc::clone(&app.tokens))
        .with_realm(REALM)
        .with_places(places)
        .with_client_address(move |request| client_address(request, behind_tls))
        .with_resource_metadata(move |request| {
            let origin = origin(public_url.as_deref(), behind_tls, &request.headers);
            Some(resource::metadata_address(&origin, request.uri.path()))
        })
}

/// Returns the address of the client. If the service is behind a proxy, the proxy names this
/// address. If not, it is the address from which the connection comes.
fn client_address(request: &Parts, behind_proxy: bool) -> Option<IpAddr> {
    if behind_proxy {
        return forwarded_for(&request.headers);
    }
    let ConnectInfo(peer) = request.extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(peer.ip().to_canonical())
}

/// The caller of a route: the verified token, its owner and its project.
pub struct Caller<P = InProject> {
    pub token: Authenticated<P>,
    pub user: User,
    pub project: Project,
}

/// The caller of a route whose path names no project. The caller's project is the project of the
/// token.
pub type OwnCaller = Caller<OwnProject>;

impl<P: ProjectRequirement + 'static> FromRequestParts<Arc<App>> for Caller<P> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let token = Authenticated::<P>::from_request_parts(parts, app).await?;
        // keyfob has already checked that the owner may use the project. The owner and the project
        // are read here because the handlers need them.
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

/// Returns the refusal for an address that does not exist.
pub fn not_found() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "not_found", "this address does not exist")
}

/// Logs a failure, and returns a refusal that does not name the cause.
pub fn unavailable(error: &(dyn std::error::Error + 'static)) -> Refusal {
    tracing::error!(error, "request failed");
    Refusal::challenge(Challenge::UNAVAILABLE, REALM)
}

/// Logs the cause if a failure prevented the verification of a token. Rejected tokens are not
/// logged here, because they are in the audit trail.
pub async fn log_failures(response: Response) -> Response {
    let refusal = response.extensions().get::<Refusal>();
    if let Some(cause) = refusal.and_then(Refusal::cause).filter(|cause| cause.rejection().is_none()) {
        tracing::error!(error = cause as &dyn std::error::Error, "a token could not be verified");
    }
    response
}
