//! Who a token speaks for: the first call to try it with.

use axum::Json;
use serde_json::{Value, json};

use crate::api::guard::{Caller, OwnCaller};

/// `GET /api/v2/auth/whoami`: names no project, so any live token will do.
pub async fn whoami(caller: OwnCaller) -> Json<Value> {
    describe(&caller)
}

/// `GET /api/v2/projects/{project}/whoami`: what every route of a project looks like. A token of another one is refused.
pub async fn whoami_in_project(caller: Caller) -> Json<Value> {
    describe(&caller)
}

/// `GET /api/v2/projects/{project}/notes`: what a route looks like that needs a scope, `notes:read`.
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
