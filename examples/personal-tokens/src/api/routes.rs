//! The routes of the API, in one table: the router is made from it, and a test compares it with the OpenAPI document.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};

use crate::api::{models, openapi, tokens, whoami};
use crate::app::App;
use crate::llm::{chat, mcp};

/// Opened by a session.
pub fn by_session() -> Routes {
    Routes::default()
        .get("/api/v2/auth/token/", tokens::list)
        .post("/api/v2/auth/token/", tokens::create)
        .post("/api/v2/auth/token/revoke-all", tokens::revoke_all)
        .get("/api/v2/auth/token/{uuid}", tokens::get)
        .delete("/api/v2/auth/token/{uuid}", tokens::delete)
        .post("/api/v2/auth/token/{uuid}/rotate", tokens::rotate)
        .post("/api/v2/auth/token/{uuid}/disable", tokens::disable)
        .post("/api/v2/auth/token/{uuid}/enable", tokens::enable)
}

/// Opened by a token. These see no session at all: a signed-in browser is nobody here.
pub fn by_token() -> Routes {
    Routes::default()
        .get("/api/v2/auth/whoami", whoami::whoami)
        .get("/api/v2/projects/{project}/whoami", whoami::whoami_in_project)
        .get("/api/v2/projects/{project}/notes", whoami::notes)
        .get("/api/v2/configurations/models/{project}", models::models)
        .get("/llm/v1/models", chat::models)
        .post("/llm/v1/chat/completions", chat::completions)
        .post("/mcp", mcp::mcp)
}

/// Open to anybody.
pub fn by_anybody() -> Routes {
    Routes::default().get("/api/v2/openapi.json", openapi::show)
}

/// A router, and what is in it: axum does not tell.
#[derive(Default)]
pub struct Routes {
    router: Router<Arc<App>>,
    /// Method and path, as the document writes them.
    pub listed: Vec<(&'static str, &'static str)>,
}

impl Routes {
    pub fn into_router(self) -> Router<Arc<App>> {
        self.router
    }

    fn get<T: 'static>(self, path: &'static str, handler: impl Handler<T, Arc<App>>) -> Self {
        self.on("get", MethodFilter::GET, path, handler)
    }

    fn post<T: 'static>(self, path: &'static str, handler: impl Handler<T, Arc<App>>) -> Self {
        self.on("post", MethodFilter::POST, path, handler)
    }

    fn delete<T: 'static>(self, path: &'static str, handler: impl Handler<T, Arc<App>>) -> Self {
        self.on("delete", MethodFilter::DELETE, path, handler)
    }

    fn on<T: 'static>(
        mut self,
        method: &'static str,
        filter: MethodFilter,
        path: &'static str,
        handler: impl Handler<T, Arc<App>>,
    ) -> Self {
        self.listed.push((method, path));
        Self { router: self.router.route(path, on(filter, handler)), ..self }
    }
}
