//! Puts the parts of the service together.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{StatusCode, Uri};
use axum::middleware::{from_fn, from_fn_with_state, map_response, map_response_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use keyfob::{Invalid, Tokens, http::Refusal, leak::Finder};
use time::Duration;
use tower_sessions::cookie::SameSite;
use tower_sessions::{Expiry, SessionManagerLayer};

use crate::api::{guard, routes};
use crate::bodies::Bodies;
use crate::config::Config;
use crate::db::Db;
use crate::engine::Store;
use crate::health::{Health, close_while_draining};
use crate::housekeeping::Housekeeping;
use crate::leaks::github::GitHub;
use crate::leaks::reports::Doors;
use crate::llm::models::Models;
use crate::llm::upstream::Asker;
use crate::metrics::{Acts, Requests};
use crate::people::accounts::Accounts;
use crate::people::projects::Projects;
use crate::telemetry::observe;
use crate::tokens::audit::Audit;
use crate::tokens::counts::ProjectCounts;
use crate::tokens::key_counts::KeyCounts;
use crate::tokens::names::TokenNames;
use crate::tokens::uses::Uses;
use crate::web::error::PageError;
use crate::web::sessions::StoredSessions;
use crate::web::{admin, agents, alarm, assets, csrf, forms, join, page, pane, password, returns, sign_in, token};

/// The maximum number of bytes in the body of a request, unless its route has another limit.
pub const MOST_OF_FORM: usize = 16 * 1024;

/// The state that every handler receives.
pub struct App {
    pub tokens: Arc<Tokens<Store>>,
    pub accounts: Accounts,
    pub projects: Projects,
    pub models: Models,
    pub asker: Asker,
    pub names: TokenNames,
    pub audit: Audit,
    pub uses: Uses,
    pub acts: Arc<Acts>,
    pub requests: Requests,
    pub key_counts: KeyCounts,
    pub project_counts: ProjectCounts,
    pub health: Health,
    pub housekeeping: Housekeeping,
    /// The receiver of GitHub's leak reports. It is `None` unless the service is a partner of
    /// GitHub's secret scanning.
    pub github: Option<Arc<GitHub>>,
    pub doors: Doors,
    /// The limit on the number of questions that are in memory at the same time, in total and for
    /// each person. A question is the body of a request to a model.
    pub questions: Arc<Bodies<i64>>,
    /// The [`Finder`] that finds tokens of this service in texts.
    pub finder: Finder,
    pub config: Config,
    /// The host's own database: that of the tokens, unless `--state-url` names another. If the
    /// tokens are in Redis, it is the SQLite file of the data directory.
    pub db: Db,
    /// Whether browsers reach the service by HTTPS. If so, the session cookie is `Secure`.
    pub behind_tls: bool,
}

impl App {
    /// Returns the name of the session cookie.
    pub fn session_cookie(&self) -> &'static str {
        // With the prefix `__Host-`, browsers accept the cookie only if it is `Secure` and set for
        // this exact host.
        if self.behind_tls { "__Host-session" } else { "session" }
    }
}

/// Creates the router with all routes.
///
/// # Errors
/// Returns [`Invalid`] if a scope of a guarded route is malformed.
pub fn router(app: Arc<App>) -> Result<Router, Invalid> {
    let guard = guard::guard(&app);
    let by_token = routes::by_token(&guard)?.into_router().layer(map_response(guard::log_failures));
    let by_either = routes::by_token_or_session(&guard)?.into_router();
    let by_either = by_either.layer(map_response(guard::log_failures));
    let sessions = SessionManagerLayer::new(StoredSessions::new(app.db.clone()))
        .with_name(app.session_cookie())
        .with_secure(app.behind_tls)
        .with_http_only(true)
        .with_same_site(SameSite::Strict)
        .with_expiry(Expiry::OnInactivity(Duration::hours(8)));

    let by_session = Router::new()
        .route("/", get(|| async { Redirect::to("/settings/tokens") }))
        .route("/sign-in", get(sign_in::show).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/settings/password", get(password::show).post(password::change))
        .route("/settings/tokens", get(page::show).post(forms::create))
        .route("/settings/tokens/{uuid}/delete", post(forms::delete))
        .route("/settings/tokens/{uuid}/rotate", post(forms::rotate))
        .route("/settings/tokens/{uuid}/rename", post(forms::rename))
        .route("/settings/tokens/{uuid}/narrow", post(forms::narrow))
        .route("/settings/tokens/{uuid}/agent", post(agents::create))
        .route("/settings/tokens/{uuid}/{act}", post(forms::act))
        .route("/settings/tokens/{uuid}/connect", post(pane::submit))
        .route("/settings/tokens/{uuid}/connect/{tool}", get(pane::download))
        .route("/settings/tokens/{uuid}", get(token::show))
        .route("/settings/leaks", get(alarm::show))
        .route("/settings/leaks/seen", post(alarm::all_seen))
        .route("/settings/leaks/{project}/{id}/seen", post(alarm::seen))
        .route("/join/{code}", get(join::show).post(join::join))
        .merge(admin::router())
        .merge(routes::by_session().into_router())
        .merge(by_either)
        .layer(from_fn_with_state(Arc::clone(&app), returns::keep_draft))
        .layer(sessions)
        .layer(from_fn(csrf::same_origin));

    let by_anybody = Router::new()
        .route("/static/style.css", get(assets::style))
        .route("/static/page.js", get(assets::script))
        .route("/static/icon.svg", get(assets::icon))
        .merge(routes::by_anybody().into_router());

    Ok(by_session
        .merge(by_token)
        .merge(by_anybody)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(MOST_OF_FORM))
        .layer(map_response(with_fixed_headers))
        .layer(map_response_with_state(Arc::clone(&app), with_transport_security))
        .layer(map_response_with_state(Arc::clone(&app), close_while_draining))
        .layer(from_fn_with_state(Arc::clone(&app), observe))
        .with_state(app))
}

/// Returns whether this URL is for programs. If so, errors are returned as problem documents and
/// not as pages.
fn is_for_programs(uri: &Uri) -> bool {
    ["/api/", "/llm/", "/mcp", "/health/", "/.well-known/"].iter().any(|start| uri.path().starts_with(start))
}

async fn not_found(uri: Uri, _: Request) -> Response {
    if is_for_programs(&uri) {
        return guard::not_found().into_response();
    }
    PageError::NotFound.into_response()
}

/// Answers a request whose method the route does not support. The router adds the `Allow` header.
async fn method_not_allowed(uri: Uri) -> Response {
    if is_for_programs(&uri) {
        let detail = "this address does not support the method";
        return Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail).into_response();
    }
    StatusCode::METHOD_NOT_ALLOWED.into_response()
}

/// Sets the header that makes browsers use only HTTPS for this host, if they reach it by HTTPS.
async fn with_transport_security(State(app): State<Arc<App>>, mut response: Response) -> Response {
    if app.behind_tls {
        let year = HeaderValue::from_static("max-age=31536000");
        response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    response
}

/// Sets the headers that every response has, including responses to refused requests.
pub(crate) async fn with_fixed_headers(mut response: Response) -> Response {
    const FIXED: [(HeaderName, &str); 6] = [
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
             base-uri 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // The value is not "no-referrer", because with that value browsers send `Origin: null` with
        // the forms of these pages.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in FIXED {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
