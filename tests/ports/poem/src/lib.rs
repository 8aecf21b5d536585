//! A service with poem whose routes keyfob guards.

pub mod connect;

use std::sync::Arc;

use keyfob::access::OwnProject;
use keyfob::http::{Guard, Member, Refusal};
use keyfob::{Invalid, MemoryStore, OwnerId, ProjectId, ScopeSet, Tokens};
use poem::web::Data;
use poem::{Body, Endpoint, EndpointExt, Request, Response, Result, Route, get, handler};

use crate::connect::{Caller, Poem, answer, guarded, refused};

/// Returns the service: the notes of a project, the owner of the presented token, and the tokens of
/// a user.
pub fn app(tokens: Arc<Tokens<MemoryStore>>) -> Result<impl Endpoint, Invalid> {
    let guard = Guard::<Poem>::new(Arc::clone(&tokens)).with_realm("acme");
    let in_project = guard.project_in_path("project", "notes:read")?;
    Ok(Route::new()
        .at("/projects/:project/notes", guarded(get(notes), in_project))
        .at("/whoami", guarded(get(whoami), guard.own_project("")?))
        .at("/projects/:project/tokens", token_api)
        .at("/projects/:project/tokens/:token_id", token_api)
        .data(tokens))
}

#[handler]
fn notes(Caller(caller): Caller) -> String {
    format!("{} reads the notes of project {}", caller.owner(), caller.project())
}

#[handler]
fn whoami(Caller(caller): Caller<OwnProject>) -> String {
    caller.owner().to_string()
}

/// Responds to a user who manages their own tokens.
#[handler]
async fn token_api(request: &Request, body: Body, tokens: Data<&Arc<Tokens<MemoryStore>>>) -> Result<Response> {
    answer(&tokens, &member(request).map_err(refused)?, request, body).await
}

/// Returns the user of a session in the project of the path. Your service also checks that the user
/// belongs to the project.
fn member(request: &Request) -> Result<Member, Refusal> {
    let signed_out = || Refusal::new(403_u16, "signed_out", "sign in first");
    let user = request.header("x-user").ok_or_else(signed_out)?;
    let project = ProjectId::new(request.raw_path_param("project").unwrap_or_default())?;
    Ok(Member::new(OwnerId::new(user)?, project, ScopeSet::new("notes:read")?))
}
