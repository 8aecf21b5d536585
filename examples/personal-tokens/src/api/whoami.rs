//! The routes with which people can try a new token. Two routes return the user and the project
//! that the token acts for. The third route returns the notes of a project.

use axum::Json;
use serde_json::{Value, json};

use crate::api::guard::{Caller, OwnCaller};

/// Answers `GET /api/v2/auth/whoami`. The route names no project, so any live token is accepted.
pub async fn whoami(caller: OwnCaller) -> Json<Value> {
    describe(&caller)
}

/// Answers `GET /api/v2/projects/{project}/whoami`, an example of a route that belongs to a
/// project. A token of another project is refused.
pub async fn whoami_in_project(caller: Caller) -> Json<Value> {
    describe(&caller)
}

/// Answers `GET /api/v2/projects/{project}/notes`, an example of a route that requires a scope. The
/// scope is `notes:read`.
pub async fn notes(caller: Caller) -> Json<Value> {
    Json(json!({ "project": caller.project.name, "notes": [] }))
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
