//! Starts a separate host for each test. A host is an instance of the service, with its own data
//! directory and with a clock that the test sets. The tests send requests to the router of the
//! host, without a network.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test crate uses only a part of this module")]

use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use keyfob::{Clock, SystemClock, clock::FixedClock};
use personal_tokens::api::openapi;
use personal_tokens::app::{App, router};
use personal_tokens::db::query;
use personal_tokens::first::{self, FirstSignIn};
use personal_tokens::people::{accounts, changes};
use personal_tokens::serve::{Limits, serve};
use personal_tokens::setup::{self, Settings};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

use self::engine::Server;

pub mod document;
pub mod engine;
pub mod process;
#[path = "../../../../tests/support/size.rs"]
pub mod size;
pub mod upstream;

/// The path of the API's routes for the tokens of the signed-in person.
pub const TOKENS: &str = "/api/v2/auth/token/";
/// The path of the route that revokes all tokens of the signed-in person.
pub const REVOKE_ALL: &str = "/api/v2/auth/token/revoke-all";
/// The path of the route that returns the owner and the project of the presented token.
pub const WHOAMI: &str = "/api/v2/auth/whoami";

/// Creates a temporary folder, in memory if possible. The service syncs each of its writes, and a
/// sync to memory takes no time, so the tests run faster.
pub fn tempdir() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// Repeats a check until it returns true. Panics with `what` if this takes more than 60 seconds.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A running instance of the service, with its own data directory. The directory is deleted after
/// the test.
pub struct Host {
    pub app: Arc<App>,
    pub router: Router,
    /// The clock of the service. The test sets it.
    pub clock: FixedClock,
    /// The name and the password of the first person, an administrator.
    pub first: FirstSignIn,
    /// The text of all responses so far, with their headers.
    pub answered: Mutex<String>,
    /// The OpenAPI document of the host.
    pub document: Value,
    dir: TempDir,
    pub settings: Settings,
    /// The server with the state of the host, which runs as long as the test.
    server: Server,
}

/// An HTTP response of the service.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    /// Returns the body as JSON. Panics if the body is not JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {} {}", self.status, self.body))
    }

    /// Checks that the response has this status, and returns the response.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// Returns the value of the first hidden form field with this name in the page.
    #[track_caller]
    pub fn field(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let (_, rest) = self.body.split_once(&start).unwrap_or_else(|| panic!("no field {name}: {}", self.body));
        rest.split('"').next().unwrap().into()
    }

    /// Checks that the response is a problem document (RFC 9457) with this status and reason.
    #[track_caller]
    pub fn is_problem(&self, status: u16, reason: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["type"], "about:blank");
        // The crate http has older phrases for two statuses than RFC 9110.
        let phrase = match self.status.as_u16() {
            413 => "Content Too Large",
            422 => "Unprocessable Content",
            _ => self.status.canonical_reason().unwrap(),
        };
        assert_eq!(problem["title"], phrase);
        assert_eq!(problem["status"], status);
        assert_eq!(problem["reason"], reason);
        assert!(problem["detail"].as_str().unwrap().len() > 10);
    }
}

impl Host {
    pub async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    pub async fn start_with(settings: Settings) -> Self {
        Self::start_in(tempdir(), settings).await
    }

    /// Starts a host whose data directory contains this `config.json`.
    pub async fn start_configured(config: Value) -> Self {
        Self::start_configured_with(config, Settings::default()).await
    }

    pub async fn start_configured_with(config: Value, settings: Settings) -> Self {
        Self::start_in(configured(&config, 0o600), settings).await
    }

    /// Opens the data directory a second time, as another process would, and returns the router.
    pub async fn another(&self, settings: Settings) -> Router {
        let Settings { database, state, .. } = self.settings.clone();
        let settings = Settings { database, state, ..settings };
        let (app, first) = setup::open(self.dir.path(), settings, Arc::new(self.clock.clone())).await.unwrap();
        assert!(first.is_none());
        router(app).unwrap()
    }

    /// Starts the service with this `config.json`, and returns the text of the error. Returns an
    /// empty text if the service starts. `mode` is the Unix permissions of the file.
    pub async fn refused(config: &Value, mode: u32) -> String {
        let dir = configured(config, mode);
        let opened = setup::open(dir.path(), Settings::default(), Arc::new(SystemClock)).await;
        opened.err().map(|error| error.to_string()).unwrap_or_default()
    }

    /// Returns whether the state is in SQLite. A test that needs more than the common SQL ends if
    /// it is not.
    pub fn is_on_sqlite(&self) -> bool {
        self.app.db.sqlite().is_some()
    }

    /// Returns whether the tokens are in the database of the host's state. A test that changes
    /// their rows ends if they are not.
    pub fn has_token_table(&self) -> bool {
        self.settings.state.is_none()
    }

    /// Runs SQL statements on the database of the host's state.
    pub async fn run(&self, statements: &'static str) {
        for statement in statements.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
            query(statement).execute(&self.app.db).await.unwrap();
        }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    async fn start_in(dir: TempDir, settings: Settings) -> Self {
        let (settings, server) = engine::chosen(settings);
        let clock = FixedClock::new(SystemClock.now());
        let (app, first) = setup::open(dir.path(), settings.clone(), Arc::new(clock.clone())).await.unwrap();
        let router = router(Arc::clone(&app)).unwrap();
        let document = openapi::document(&app);
        Self { app, router, clock, first: first.unwrap(), answered: Mutex::default(), document, dir, settings, server }
    }

    /// Sends a request to the host's router, and returns the response.
    ///
    /// Checks that the response has the headers that every response must have. If the route belongs
    /// to the API, also checks that the OpenAPI document describes the response.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        self.send_to(&self.router, request).await
    }

    /// Sends a request to this router instead of the host's own router. Makes the same checks as
    /// [`send`](Self::send).
    pub async fn send_to(&self, router: &Router, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        *self.answered.lock().unwrap() += &format!("{:?}\n{body}\n", parts.headers);
        let answer = Answer { status: parts.status, headers: parts.headers, body };
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'; script-src 'self'; "));
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        if ["/api/", "/llm/", "/mcp", "/health/"].iter().any(|start| path.starts_with(start)) {
            document::assert_describes(&self.document, &method, &path, &answer);
        }
        answer
    }

    pub async fn try_sign_in(&self, name: &str, password: &str) -> Answer {
        let form = format!("name={name}&password={password}");
        let request = Request::post("/sign-in")
            .header("sec-fetch-site", "same-origin")
            .header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(form.into()).unwrap()).await
    }

    pub async fn sign_in(&self, name: &str, password: &str) -> Person<'_> {
        let answer = self.try_sign_in(name, password).await.is(303);
        let cookie = answer.header("set-cookie");
        Person { host: self, cookie: cookie.split(';').next().unwrap().into() }
    }

    /// Signs in the first person, ada, who is an administrator.
    pub async fn ada(&self) -> Person<'_> {
        self.sign_in(&self.first.name, &self.first.password).await
    }

    /// Adds another person, eve, and signs her in. She has a personal project, and is not a member
    /// of any shared project.
    pub async fn eve(&self) -> Person<'_> {
        first::add_user(&self.app.db, "eve", "eves-password").await.unwrap();
        self.sign_in("eve", "eves-password").await
    }

    /// Suspends ada. Another person becomes an administrator first, because the last one cannot be
    /// suspended.
    pub async fn suspend_ada(&self) {
        let db = &self.app.db;
        let other = first::add_user(db, "grace", "graces-password").await.unwrap();
        accounts::appoint(db, other).await.unwrap();
        changes::suspend(db, other, 1).await.unwrap().unwrap();
    }

    /// Sends a chat question to the route for models, with this token.
    pub async fn ask(&self, token: &str, question: &str) -> Answer {
        let request = Request::post("/llm/v1/chat/completions")
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        self.send(request.body(question.to_owned().into()).unwrap()).await
    }

    /// Serves the host on a free loopback port until the test ends, and returns the address.
    pub async fn serve(&self) -> SocketAddr {
        self.serve_within(Limits::default()).await
    }

    pub async fn serve_within(&self, limits: Limits) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, self.router.clone(), limits, std::future::pending()));
        address
    }

    /// Sends a GET request with this token as the Bearer token.
    pub async fn with_token(&self, path: &str, token: &str) -> Answer {
        self.with_headers(path, &[("authorization", &format!("Bearer {token}"))]).await
    }

    /// Sends a GET request with these headers.
    pub async fn with_headers(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }
}

/// Creates a data directory with this `config.json`. `mode` is the Unix permissions of the file.
fn configured(config: &Value, mode: u32) -> TempDir {
    let dir = tempdir();
    let path = dir.path().join("config.json");
    std::fs::write(&path, config.to_string()).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    dir
}

/// A signed-in person. Its methods send requests as the browser of this person does.
pub struct Person<'h> {
    pub host: &'h Host,
    /// The session cookie: its name and its value.
    pub cookie: String,
}

impl Person<'_> {
    pub fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        let request = Request::builder().method(method).uri(path).header("cookie", &self.cookie);
        request.header("host", "tokens.example").header("sec-fetch-site", "same-origin")
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.host.send(self.request("GET", path).body(Body::empty()).unwrap()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.host.send(self.request("DELETE", path).body(Body::empty()).unwrap()).await
    }

    /// Requests a new token with this JSON body.
    pub async fn post(&self, body: Value) -> Answer {
        self.post_text(&body.to_string()).await
    }

    /// Requests a new token with this text as the body.
    pub async fn post_text(&self, body: &str) -> Answer {
        let request = self.request("POST", TOKENS).header("content-type", "application/json");
        self.host.send(request.body(body.to_owned().into()).unwrap()).await
    }

    /// Sends a POST request with a JSON body. If the body is empty, the request has no content
    /// type.
    pub async fn post_to(&self, path: &str, body: &str) -> Answer {
        let request = self.request("POST", path);
        let request = if body.is_empty() { request } else { request.header("content-type", "application/json") };
        self.host.send(request.body(body.to_owned().into()).unwrap()).await
    }

    pub async fn post_form(&self, path: &str, form: &str) -> Answer {
        let request = self.request("POST", path).header("content-type", "application/x-www-form-urlencoded");
        self.host.send(request.body(form.to_owned().into()).unwrap()).await
    }

    /// Creates a token for a project. If `project` is `None`, the token is for the personal
    /// project. Returns the response's JSON, which contains the token in clear text.
    pub async fn make(&self, name: &str, project: Option<i64>) -> Value {
        let mut body = serde_json::json!({"name": name, "expires": {"measure": "days", "value": 30}});
        if let Some(project) = project {
            body["project_id"] = project.into();
        }
        self.post(body).await.is(200).json()
    }

    /// Returns the id of ada's project with this name.
    pub async fn project(&self, name: &str) -> i64 {
        let user = self.host.app.accounts.find(1).await.unwrap().unwrap();
        let projects = self.host.app.projects.of_user(user.id).await.unwrap();
        projects.iter().find(|project| project.name == name).unwrap().id
    }
}

/// Checks that the text contains no eight consecutive characters of the token's secret.
#[track_caller]
pub fn assert_holds_no_part(text: &str, token: &str) {
    let (_, secret) = token.rsplit_once('_').unwrap();
    for at in 0..=secret.len() - 8 {
        assert!(!text.contains(&secret[at..at + 8]), "the text contains a part of the secret");
    }
}

/// Returns the texts of the list items in the section of a page that has this id, without their
/// tags. The times are left out. Returns nothing if the page has no such section.
pub fn items_in(page: &str, section: &str) -> Vec<String> {
    let Some((_, rest)) = page.split_once(&format!("<section class=\"card\" id=\"{section}\"")) else {
        return Vec::new();
    };
    let (section, _) = rest.split_once("</section>").unwrap();
    let words = |item: &str| {
        let item = item.split("</li>").next().unwrap();
        text_of(item.split("<span class=\"pale small\">").next().unwrap())
    };
    section.split("<li>").skip(1).map(words).collect()
}

/// Returns the text of a piece of HTML: without tags, and with single spaces.
pub fn text_of(html: &str) -> String {
    let mut text = String::new();
    // A reason is on a line of its own.
    let html = html.replace("<span class=\"reason", " <span class=\"reason");
    for piece in html.split('<') {
        text += piece.split_once('>').map_or(piece, |(_, text)| text);
    }
    let text = text.replace("&#39;", "'").replace("&#34;", "\"").replace("&#60;", "<").replace("&#62;", ">");
    text.replace("&#38;", "&").split_whitespace().collect::<Vec<_>>().join(" ")
}
