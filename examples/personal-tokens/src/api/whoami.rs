//! Who a token speaks for: the first call to try it with.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use keyfob::{Access, Challenge, ProjectId, Scope};
use serde_json::{Value, json};

use crate::api::extract::Segment;
use crate::api::guard::{Caller, admit};
use crate::api::problem::Problem;
use crate::app::App;
use crate::tokens::scopes::NOTES_READ;

/// `GET /api/v2/auth/whoami`: names no project, so any live token will do.
pub async fn whoami(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<Value>, Problem> {
    Ok(describe(&admit(&app, &headers, &Access::to_own_project(&[])).await?))
}

/// `GET /api/v2/projects/{project}/whoami`: what every route of a project looks like. A token of another one is refused.
pub async fn whoami_in_project(
    State(app): State<Arc<App>>,
    Segment(project): Segment,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let Ok(project) = ProjectId::new(&project) else {
        return Err(Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such page"));
    };
    Ok(describe(&admit(&app, &headers, &Access::to(&project, &[])).await?))
}

/// `GET /api/v2/projects/{project}/notes`: what a route looks like that needs a scope, `notes:read`.
pub async fn notes(
    State(app): State<Arc<App>>,
    Segment(project): Segment,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let Ok(project) = ProjectId::new(&project) else {
        return Err(Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such page"));
    };
    let scopes = [Scope::new(NOTES_READ).map_err(|_| Challenge::UNAVAILABLE)?];
    let caller = admit(&app, &headers, &Access::to(&project, &scopes)).await?;
    Ok(Json(json!({ "project": caller.project.name, "notes": [] })))
}

fn describe<P>(caller: &Caller<P>) -> Json<Value> {
    let Caller { token, user, project } = caller;
    Json(json!({
        "user": { "id": user.id, "name": user.name },
        "project": { "id": project.id, "name": project.name },
        "token": {
            "name": token.name().as_str(),
            "public_id": token.key().id.as_str(),
            "expires": token.expires_at().map(|time| time.to_string()),
        },
    }))
}
