//! The table of all routes of the API. The router is created from this table, and a test compares
//! the table with the OpenAPI document.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::routing::{MethodRouter, delete, get, post};
use keyfob::{
    Invalid,
    axum::{Axum, Guard},
    http::RouteGuard,
    leak::LeakReport,
};

use crate::api::{delegate, models, openapi, resource, tokens, whoami};
use crate::app::App;
use crate::health;
use crate::leaks::reports;
use crate::llm::{chat, extension, mcp};
use crate::tokens::scopes;

/// Returns the routes that require a session.
pub fn by_session() -> Routes {
    Routes::default()
        .get("/api/v2/auth/token/", tokens::list)
        .post("/api/v2/auth/token/", tokens::create)
        .post("/api/v2/auth/token/revoke-all", tokens::revoke_all)
        .get("/api/v2/auth/token/{uuid}", tokens::get)
        .delete("/api/v2/auth/token/{uuid}", tokens::delete)
        .post("/api/v2/auth/token/{uuid}/rotate", tokens::rotate)
        .post("/api/v2/auth/token/{uuid}/delegate", tokens::delegate)
        .get("/api/v2/auth/token/{uuid}/issued", tokens::issued)
        .post("/api/v2/auth/token/{uuid}/disable", tokens::disable)
        .post("/api/v2/auth/token/{uuid}/enable", tokens::enable)
        .post("/api/v2/auth/token/{uuid}/rename", tokens::rename)
        .post("/api/v2/auth/token/{uuid}/narrow", tokens::narrow)
        .post("/api/v2/auth/token/{uuid}/confirm", tokens::confirm)
        .post("/api/v2/auth/token/{uuid}/end-grace", tokens::end_grace)
}

/// Returns the routes that accept a token or a session. These routes only read.
///
/// # Errors
/// Returns [`Invalid`] if a scope is malformed.
pub fn by_token_or_session(guard: &Guard) -> Result<Routes, Invalid> {
    let models_of_project = guard.project_in_path("project", scopes::MODELS_USE)?.or_other();
    let models = get(models::models).route_layer(models_of_project);
    Ok(Routes::default().on("get", "/api/v2/configurations/models/{project}", models))
}

/// Returns the routes that require a token. These routes ignore sessions, so a signed-in browser
/// has no access to them.
///
/// # Errors
/// Returns [`Invalid`] if a scope is malformed.
pub fn by_token(guard: &Guard) -> Result<Routes, Invalid> {
    let any = guard.own_project("")?;
    let of_project = guard.project_in_path("project", "")?;
    let notes = guard.project_in_path("project", scopes::NOTES_READ)?;
    let models_of_project = guard.project_in_path("project", scopes::MODELS_USE)?;
    let models_of_own = guard.own_project(scopes::MODELS_USE)?;
    let manage = guard.own_project(scopes::TOKENS_MANAGE)?;
    Ok(Routes::default()
        .guarded_post(&manage, "/api/v2/auth/token/self/delegate", delegate::delegate)
        .guarded_get(&any, "/api/v2/auth/whoami", whoami::whoami)
        .guarded_get(&of_project, "/api/v2/projects/{project}/whoami", whoami::whoami_in_project)
        .guarded_get(&notes, "/api/v2/projects/{project}/notes", whoami::notes)
        .guarded_get(&models_of_own, "/llm/v1/models", chat::models)
        .guarded_post(&models_of_own, "/llm/v1/chat/completions", chat::completions)
        .guarded_post(&any, "/mcp", mcp::mcp)
        .guarded_post(&models_of_project, "/api/v1/prompt_lib/predict/prompt_lib/{project}", extension::predict)
        .guarded_post(
            &models_of_project,
            "/api/v1/prompt_lib/predict/prompt_lib/{project}/{version}",
            extension::predict_with_version,
        )
        .guarded_get(&models_of_project, "/api/v1/integrations/integrations/default/{project}", extension::integrations)
        .guarded_get(&models_of_project, "/api/v1/prompt_lib/tags/prompt_lib/{project}", extension::nothing)
        .guarded_get(&models_of_project, "/api/v1/prompt_lib/prompts/prompt_lib/{project}", extension::nothing)
        .guarded_get(&models_of_project, "/api/v1/datasources/datasources/prompt_lib/{project}", extension::nothing)
        .guarded_get(&models_of_project, "/api/v1/applications/applications/prompt_lib/{project}", extension::nothing))
}

/// Returns the routes that are open to anybody.
pub fn by_anybody() -> Routes {
    Routes::default()
        .get("/api/v2/openapi.json", openapi::show)
        .on("post", "/api/v2/leaks", post(reports::by_anybody).layer(DefaultBodyLimit::max(reports::MOST_BYTES)))
        .on(
            "post",
            "/api/v2/leaks/github",
            post(reports::by_github).layer(DefaultBodyLimit::max(LeakReport::MAX_BYTES)),
        )
        .get("/.well-known/oauth-protected-resource", resource::of_service)
        .get("/.well-known/oauth-protected-resource/mcp", resource::of_mcp)
        .get("/health/live", health::live)
        .get("/health/ready", health::ready)
}

/// The start of the paths that existing clients write both with and without a slash at the end.
/// Both forms have the same handler. A redirect would not do, because clients do not repeat a POST.
const TOKENS: &str = "/api/v2/auth/token/";

/// Returns a path with a slash at its end if it has none, and without the slash if it has one.
fn other_form(path: &str) -> String {
    path.strip_suffix('/').map_or_else(|| format!("{path}/"), str::to_owned)
}

/// A router with a list of its routes. axum does not offer such a list.
#[derive(Default)]
pub struct Routes {
    router: Router<Arc<App>>,
    /// The method and the path of each route, as the OpenAPI document writes them. A path under
    /// [`TOKENS`] is listed once, although it is routed twice.
    pub listed: Vec<(&'static str, &'static str)>,
}

impl Routes {
    pub fn into_router(self) -> Router<Arc<App>> {
        self.router
    }

    fn get<T: 'static>(self, path: &'static str, handler: impl Handler<T, Arc<App>>) -> Self {
        self.on("get", path, get(handler))
    }

    fn post<T: 'static>(self, path: &'static str, handler: impl Handler<T, Arc<App>>) -> Self {
        self.on("post", path, post(handler))
    }

    fn delete<T: 'static>(self, path: &'static str, handler: impl Handler<T, Arc<App>>) -> Self {
        self.on("delete", path, delete(handler))
    }

    fn guarded_get<T: 'static>(
        self,
        guard: &RouteGuard<Axum>,
        path: &'static str,
        handler: impl Handler<T, Arc<App>>,
    ) -> Self {
        self.on("get", path, get(handler).route_layer(guard.clone()))
    }

    fn guarded_post<T: 'static>(
        self,
        guard: &RouteGuard<Axum>,
        path: &'static str,
        handler: impl Handler<T, Arc<App>>,
    ) -> Self {
        self.on("post", path, post(handler).route_layer(guard.clone()))
    }

    fn on(mut self, method: &'static str, path: &'static str, route: MethodRouter<Arc<App>>) -> Self {
        self.listed.push((method, path));
        let mut router = self.router;
        if path.starts_with(TOKENS) {
            router = router.route(&other_form(path), route.clone());
        }
        Self { router: router.route(path, route), ..self }
    }
}
