//! Adds tokens to an axum service that has users, sessions and a database of its own.
//!
//! `cargo run --example existing_service --features axum,sqlite,token-api`
//!
//! A request needs a session and a membership: insert rows into the tables `sessions` and `members`
//! of `existing.db`.

use std::{collections::HashMap, error::Error, sync::Arc};

use axum::extract::{FromRequestParts, Path};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HeaderValue};
use axum::http::request::Parts;
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::get;
use axum::{Router, body::Body};
use keyfob::axum::{Guard, token_api};
use keyfob::http::{Caller, Member, Refusal};
use keyfob::store::sqlite::SqliteStore;
use keyfob::{Keyring, OwnerId, Pepper, Prefix, ProjectId, ScopeSet, Tokens};
use serde_json::json;
use sqlx::SqlitePool;

/// The state that the service has anyway, with the tokens.
#[derive(Clone)]
struct App {
    pool: SqlitePool,
    tokens: Arc<Tokens<SqliteStore>>,
}

/// Returns the user of the session in the cookie, if there is one. Your service has this already.
async fn session(parts: &Parts, app: &App) -> Result<Option<i64>, Refusal> {
    let cookie = parts.headers.get(COOKIE).and_then(|value| value.to_str().ok()?.strip_prefix("session="));
    let found = sqlx::query_scalar("SELECT user FROM sessions WHERE cookie = $1").bind(cookie);
    found.fetch_optional(&app.pool).await.map_err(|_| away())
}

/// Returns the project in the path if the user is a member of it. Your service has this already.
/// Without this check, every user could issue tokens for every project.
async fn project_of(user: i64, parts: &mut Parts, app: &App) -> Result<ProjectId, Refusal> {
    let no_project = || Refusal::new(404_u16, "not_found", "there is no such project");
    let path = Path::<HashMap<String, String>>::from_request_parts(parts, app).await;
    let Path(path) = path.map_err(|_| no_project())?;
    let project: Option<i64> = path.get("project").and_then(|project| project.parse().ok());
    let found = sqlx::query_scalar("SELECT project FROM members WHERE project = $1 AND user = $2");
    let found = found.bind(project).bind(user).fetch_optional(&app.pool);
    let project: Option<i64> = found.await.map_err(|_| away())?;
    project.and_then(|project| ProjectId::try_from(project).ok()).ok_or_else(no_project)
}

/// The user of a session and the project in the path. Routes that take it accept no token.
struct SignedIn(OwnerId, ProjectId);

impl FromRequestParts<App> for SignedIn {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        // Not 401, because a response of this status must name a scheme of `Authorization`.
        let signed_out = || Refusal::new(403_u16, "signed_out", "sign in first");
        let user = session(parts, app).await?.ok_or_else(signed_out)?;
        Ok(Self(OwnerId::from(user), project_of(user, parts, app).await?))
    }
}

/// The user of a token or of a session, and the project in the path.
struct User(OwnerId, ProjectId);

impl FromRequestParts<App> for User {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        match <Caller>::from_request_parts(parts, app).await? {
            // The guard has compared the project of the token with the project in the path.
            Caller::Token(token) => Ok(Self(token.owner().clone(), *token.project())),
            // A request without a token needs a session. If it has none, the response says that it
            // needs a token.
            Caller::Other(other) => {
                let user = session(parts, app).await?.ok_or_else(|| other.refusal())?;
                Ok(Self(OwnerId::from(user), project_of(user, parts, app).await?))
            }
        }
    }
}

fn away() -> Refusal {
    Refusal::new(503_u16, "unavailable", "the service is unavailable; try again")
}

/// Returns the notes of a project. Accepts a token with the scope `notes:read`, or a session.
async fn notes(User(user, project): User) -> String {
    format!("the notes of project {project} for user {user}")
}

/// Returns the user of a session as the owner of tokens, for the routes on which users list, issue
/// and revoke their tokens. A session may do this, and a token may not.
async fn member(SignedIn(user, project): SignedIn) -> Result<Member, Refusal> {
    Ok(Member::new(user, project, ScopeSet::new("notes:read")?))
}

/// Gives a refusal the form of the other errors of this service. The status and the challenges
/// stay.
async fn in_our_form(response: Response) -> Response {
    let Some(refusal) = response.extensions().get::<Refusal>().cloned() else { return response };
    let body = json!({"error": {"code": refusal.reason(), "message": refusal.detail()}});
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Response::from_parts(parts, Body::from(body.to_string()))
}

fn app(app: App) -> Result<Router, keyfob::Invalid> {
    let guard = Guard::new(Arc::clone(&app.tokens)).with_realm("acme");
    let either = guard.project_in_path("project", "notes:read")?.or_other();
    Ok(Router::new()
        .route("/projects/{project}/notes", get(notes).layer(either))
        .nest("/projects/{project}/tokens", token_api(app.tokens.clone(), member))
        .layer(map_response(in_our_form))
        .with_state(app))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let pool = SqlitePool::connect_with(SqliteStore::connect_options("existing.db").create_if_missing(true)).await?;
    let tables = "CREATE TABLE IF NOT EXISTS sessions (cookie TEXT PRIMARY KEY, user INTEGER NOT NULL) STRICT;
        CREATE TABLE IF NOT EXISTS members (project INTEGER, user INTEGER, PRIMARY KEY (project, user)) STRICT";
    sqlx::raw_sql(tables).execute(&pool).await?;
    let store = SqliteStore::from_pool(pool.clone()).await?;
    // If your own tool runs the migrations, call `check_schema` instead.
    store.migrate().await?;
    // This service gets another pepper at each start, and then rejects all older tokens. In yours,
    // read the pepper from where you keep secrets: see the example `service`.
    let keyring = Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?);
    let app = app(App { pool, tokens: Arc::new(Tokens::new(keyring, store)) })?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    Ok(axum::serve(listener, app).await?)
}
