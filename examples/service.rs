//! A service with routes that are guarded by a token, as the README shows it. `cargo run --example service --features sqlite`

use std::{error::Error, io::Write, sync::Arc};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::get};
use keyfob::{
    Access, Challenge, Credential, Keyring, Pepper, Prefix, ProjectDemand, ProjectId, Scope, SqliteStore, Tokens,
    Verified,
};

type AppTokens = Arc<Tokens<SqliteStore>>;

/// Reads the pepper, or makes it on the first start: a file of its own that only the service may read. Back it up.
fn pepper(path: &str, database: &str) -> Result<Pepper, Box<dyn Error>> {
    // Where there are tokens, a pepper that is missing is lost, and another one would refuse them all.
    if std::fs::exists(path)? || std::fs::exists(database)? {
        return Ok(Pepper::new(std::fs::read(path)?)?);
    }
    let pepper = Pepper::generate()?;
    let mut file = std::fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    file.write(true).create_new(true).open(path)?.write_all(pepper.expose_secret())?;
    Ok(pepper)
}

/// The way in for every guarded route: `Authorization: Bearer TOKEN`, or Basic with the token as user name; then the token;
/// then what the request needs of it. `from_authorization_or_api_key` takes `X-API-Key` too.
async fn guard<P: ProjectDemand>(
    tokens: &AppTokens,
    headers: &HeaderMap,
    access: &Access<'_, P>,
) -> Result<Verified<P>, Response> {
    let credential = Credential::from_authorization(headers.get_all(header::AUTHORIZATION));
    let credential = credential.map_err(|error| refuse(error.into()))?;
    tokens.verify(&credential, access).await.map_err(|error| refuse(error.challenge()))
}

fn refuse(challenge: Challenge) -> Response {
    let status = StatusCode::from_u16(challenge.status()).unwrap_or(StatusCode::UNAUTHORIZED);
    let mut response = (status, challenge.description()).into_response();
    if let Some(value) = challenge.www_authenticate("acme").and_then(|value| value.parse().ok()) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    response
}

async fn read_repo(
    State(tokens): State<AppTokens>,
    Path(project): Path<String>,
    headers: HeaderMap,
) -> Result<String, Response> {
    let project = ProjectId::new(&project).map_err(|_| StatusCode::NOT_FOUND.into_response())?;
    let scopes = [Scope::new("repo:read").map_err(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())?];
    let verified = guard(&tokens, &headers, &Access::to(&project, &scopes)).await?;
    Ok(format!("{} reads the repository of project {project}", verified.owner()))
}

/// Names no project, so the token's own will do.
async fn whoami(State(tokens): State<AppTokens>, headers: HeaderMap) -> Result<String, Response> {
    let verified = guard(&tokens, &headers, &Access::to_own_project(&[])).await?;
    Ok(format!("{} by \"{}\"", verified.owner(), verified.name()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let keyring = Keyring::new(Prefix::new("acme_pat")?, pepper("acme.pepper", "acme.db")?)?;
    // Creates the file and its table where they are missing. Both paths are relative to the working directory.
    let tokens = Tokens::new(keyring, SqliteStore::open("acme.db").await?);
    let app = Router::new()
        .route("/projects/{project}/repo", get(read_repo))
        .route("/whoami", get(whoami))
        .with_state(Arc::new(tokens));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    Ok(axum::serve(listener, app).await?)
}
