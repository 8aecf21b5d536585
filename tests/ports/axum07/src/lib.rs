//! A service with axum 0.7 whose routes keyfob guards.
//!
//! The guard of axum 0.8 is a tower layer for any service of the crate `http`, and the token API is
//! a tower service. So both work with axum 0.7. Only the extractors of axum 0.8 do not.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::OriginalUri;
use axum::http::Response;
use axum::http::request::Parts;
use axum::routing::get;
use axum::{Extension, Router};
use keyfob::access::OwnProject;
use keyfob::axum::{Guard, token_api};
use keyfob::http::{Caller, Member, Refusal};
use keyfob::{Invalid, MemoryStore, OwnerId, ProjectId, ScopeSet, Tokens};

/// Returns the service: the notes of a project, the owner of the presented token, and the tokens of
/// a user.
pub fn app(tokens: Arc<Tokens<MemoryStore>>) -> Result<Router, Invalid> {
    let guard = Guard::new(Arc::clone(&tokens)).with_realm("acme");
    let in_project = guard.project_by(project, "notes:read")?;
    Ok(Router::new()
        .route("/projects/:project/notes", get(notes).layer(in_project))
        .route("/whoami", get(whoami).layer(guard.own_project("")?))
        .nest_service("/projects/:project/tokens", token_api(tokens, member)))
}

async fn notes(Extension(caller): Extension<Caller>) -> Result<String, Response<Body>> {
    let caller = caller.token()?;
    Ok(format!("{} reads the notes of project {}", caller.owner(), caller.project()))
}

async fn whoami(Extension(caller): Extension<Caller<OwnProject>>) -> Result<String, Response<Body>> {
    Ok(caller.token()?.owner().to_string())
}

/// Returns the project in the path `/projects/PROJECT`. Handlers take it from the caller.
fn project(request: &Parts) -> Result<ProjectId, Refusal> {
    // A nested router removes the beginning of the path from `request.uri`.
    let path = request.extensions.get().map_or("", |OriginalUri(uri)| uri.path());
    let project = path.split_once("/projects/").and_then(|(_, rest)| rest.split('/').next());
    let no_project = |_| Refusal::new(404_u16, "not_found", "there is no such project");
    ProjectId::new(project.unwrap_or_default()).map_err(no_project)
}

/// Returns the user of a session in the project of the path. Your service also checks that the user
/// belongs to the project. It can take the user with an extractor of its own:
/// `User::from_request_parts(&mut request, &state).await`.
async fn member(request: Parts) -> Result<Member, Refusal> {
    let user = request.headers.get("x-user").and_then(|user| user.to_str().ok());
    let user = user.ok_or_else(|| Refusal::new(403_u16, "signed_out", "sign in first"))?;
    Ok(Member::new(OwnerId::new(user)?, project(&request)?, ScopeSet::new("notes:read")?))
}
