//! The service put together.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{StatusCode, Uri};
use axum::middleware::{from_fn, map_response};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use keyfob::{Clock, Tokens};
use sqlx::SqlitePool;
use time::Duration;
use tower_sessions::cookie::SameSite;
use tower_sessions::{Expiry, SessionManagerLayer};

use crate::api::problem::Problem;
use crate::api::{models as api_models, tokens as api, whoami};
use crate::config::Config;
use crate::llm::models::Models;
use crate::llm::upstream::Asker;
use crate::llm::{chat, mcp};
use crate::people::accounts::Accounts;
use crate::people::owners::TokenOwners;
use crate::people::projects::Projects;
use crate::tokens::audit::Audit;
use crate::tokens::names::TokenNames;
use crate::web::error::PageError;
use crate::web::sessions::SqliteSessions;
use crate::web::{admin, admin_tokens, assets, csrf, forms, history, models, page, pane, sign_in};

/// Where the tokens are kept.
pub type Store = keyfob::SqliteStore;

/// What every handler is given.
pub struct App {
    pub tokens: Tokens<Store, Arc<dyn Clock>, TokenOwners>,
    pub accounts: Accounts,
    pub projects: Projects,
    pub models: Models,
    pub asker: Asker,
    pub names: TokenNames,
    pub audit: Audit,
    pub config: Config,
    pub pool: SqlitePool,
    /// Browsers reach the service by HTTPS: its cookie must not travel otherwise.
    pub behind_tls: bool,
}

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    let sessions = SessionManagerLayer::new(SqliteSessions::new(app.pool.clone()))
        // The prefix makes browsers insist on Secure and on this very host.
        .with_name(if app.behind_tls { "__Host-session" } else { "session" })
        .with_secure(app.behind_tls)
        .with_http_only(true)
        .with_same_site(SameSite::Strict)
        .with_expiry(Expiry::OnInactivity(Duration::hours(8)));

    let by_session = Router::new()
        .route("/", get(|| async { Redirect::to("/settings/tokens") }))
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/settings/tokens", get(page::show).post(forms::create))
        .route("/settings/tokens/{uuid}/delete", post(forms::delete))
        .route("/settings/tokens/{uuid}/rotate", post(forms::rotate))
        .route("/settings/tokens/{uuid}/{act}", post(forms::act))
        .route("/settings/tokens/{uuid}/connect", post(pane::submit))
        .route("/settings/tokens/{uuid}/connect/{tool}", get(pane::download))
        .route("/settings/tokens/{uuid}", get(history::show))
        .route("/admin", get(admin::show))
        .route("/admin/people/{id}/revoke-all", post(admin::revoke_all))
        .route("/admin/projects/{id}/revoke-all", post(admin::revoke_project))
        .route("/admin/people/{id}/suspend", post(admin::suspend))
        .route("/admin/people/{id}/reinstate", post(admin::reinstate))
        .route("/admin/people/{id}", get(admin_tokens::of_person))
        .route("/admin/projects/{id}", get(admin_tokens::of_project))
        .route("/admin/tokens/{project}/{id}", get(admin_tokens::history))
        .route("/admin/tokens/{project}/{id}/revoke", post(admin_tokens::revoke))
        .route("/admin/models", get(models::show).post(models::add))
        .route("/admin/models/{id}/remove", post(models::remove))
        .route("/api/v2/auth/token/", get(api::list).post(api::create))
        .route("/api/v2/auth/token/{uuid}", get(api::get).delete(api::delete))
        .layer(sessions)
        .layer(from_fn(csrf::same_origin));

    // These see no session at all: a signed-in browser is nobody here.
    let by_token = Router::new()
        .route("/api/v2/auth/whoami", get(whoami::whoami))
        .route("/api/v2/projects/{project}/whoami", get(whoami::whoami_in_project))
        .route("/api/v2/projects/{project}/notes", get(whoami::notes))
        .route("/api/v2/configurations/models/{project}", get(api_models::models))
        .route("/mcp", post(mcp::mcp))
        .route("/llm/v1/models", get(chat::models))
        .route("/llm/v1/chat/completions", post(chat::completions).layer(DefaultBodyLimit::max(chat::MOST_BYTES)));

    let by_anybody = Router::new()
        .route("/static/style.css", get(assets::style))
        .route("/static/page.js", get(assets::script))
        .route("/static/icon.svg", get(assets::icon));

    by_session
        .merge(by_token)
        .merge(by_anybody)
        .fallback(not_found)
        .layer(DefaultBodyLimit::max(16 * 1024))
        .layer(map_response(with_fixed_headers))
        .with_state(app)
}

async fn not_found(uri: Uri, _: Request) -> Response {
    if uri.path().starts_with("/api/") {
        return Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such page").into_response();
    }
    PageError::NotFound.into_response()
}

/// On every answer, the refusals too.
async fn with_fixed_headers(mut response: Response) -> Response {
    const FIXED: [(HeaderName, &str); 6] = [
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
             base-uri 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Not "no-referrer", under which browsers send `Origin: null` with our own forms.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in FIXED {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
