//! A service with one guard for these tests, and functions that send requests to the service.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::routing::MethodRouter;
use keyfob::{
    Issued, Lifetime, MemoryStore, NewToken, OwnerId, ProjectId, ScopeSet, TokenRecord, Tokens,
    access::OwnProject,
    axum::Guard,
    clock::FixedClock,
    http::Authenticated,
    owners::{OwnerState, Owners, OwnersError},
};
use serde_json::Value;
use tower::ServiceExt;

use crate::support::{actor, keyring, new_token, now};

pub const HOUR: Duration = Duration::from_secs(3600);
pub const MS: Duration = Duration::from_millis(1);

pub type Made = Issued<Arc<TokenRecord>>;

/// A directory of owners that returns the same state for every owner.
#[derive(Clone)]
pub struct Directory(pub Arc<Mutex<OwnerState>>);

impl Owners for Directory {
    fn known(&self, _: &OwnerId, _: &ProjectId) -> Option<OwnerState> {
        Some(*self.0.lock().unwrap())
    }

    async fn state(&self, _: &OwnerId, _: &ProjectId) -> Result<OwnerState, OwnersError> {
        Ok(*self.0.lock().unwrap())
    }
}

pub struct World {
    pub clock: FixedClock,
    pub directory: Directory,
    pub tokens: Arc<Tokens<MemoryStore>>,
    pub guard: Guard,
}

impl World {
    pub fn new() -> Self {
        let clock = FixedClock::new(now());
        let directory = Directory(Arc::new(Mutex::new(OwnerState::Active)));
        let tokens =
            Tokens::new(keyring(), MemoryStore::new()).with_clock(clock.clone()).with_owners(directory.clone());
        let tokens = Arc::new(tokens);
        let guard = Guard::new(Arc::clone(&tokens)).with_realm("acme");
        Self { clock, directory, tokens, guard }
    }

    pub async fn issue(&self, new: NewToken) -> Made {
        self.tokens.issue(&actor(), new).await.unwrap()
    }

    /// Issues a token for project 145 with a lifetime of one hour and two scopes.
    pub async fn usual(&self) -> Made {
        let scopes = ScopeSet::new("notes:read repo:read").unwrap();
        self.issue(new_token().with_lifetime(Lifetime::For(HOUR)).with_scopes(scopes)).await
    }
}

pub async fn in_project(caller: Authenticated) -> String {
    format!("{} in {}", caller.owner(), caller.project())
}

pub async fn own_project(caller: Authenticated<OwnProject>) -> String {
    format!("{} of {}", caller.owner(), caller.project())
}

/// Returns an app whose only route is `route`, at `path`.
pub fn app(path: &str, route: MethodRouter) -> Router {
    Router::new().route(path, route)
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    /// Checks the fields that every problem document has, and returns its reason.
    #[track_caller]
    pub fn reason(&self) -> String {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(self.headers[header::CACHE_CONTROL], "no-store");
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        let members = problem.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(members, ["detail", "reason", "status", "title", "type"]);
        assert_eq!(problem["type"], "about:blank");
        // The crate `http` has the older phrases of two statuses.
        let phrase = match self.status.as_u16() {
            413 => "Content Too Large",
            422 => "Unprocessable Content",
            _ => self.status.canonical_reason().unwrap(),
        };
        assert_eq!(problem["title"], phrase);
        assert_eq!(problem["status"], self.status.as_u16());
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        problem["reason"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub fn refused(&self, status: u16, reason: &str) {
        assert_eq!((self.status.as_u16(), self.reason().as_str()), (status, reason));
    }

    pub fn challenge(&self) -> Option<&str> {
        self.headers.get(header::WWW_AUTHENTICATE).map(|value| value.to_str().unwrap())
    }

    #[track_caller]
    pub fn passed(&self, body: &str) {
        assert_eq!((self.status, self.body.as_str()), (StatusCode::OK, body));
    }
}

/// Creates a request to `path` with these headers.
pub fn request(method: Method, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

pub async fn send(app: &Router, request: Request<Body>) -> Answer {
    let response = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    Answer { status: parts.status, headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

pub async fn get(app: &Router, path: &str, headers: &[(&str, &str)]) -> Answer {
    send(app, request(Method::GET, path, headers)).await
}

pub fn bearer(made: &Made) -> String {
    format!("Bearer {}", made.token.expose_secret())
}

/// Sends a request with the token as a bearer credential.
pub async fn with(app: &Router, path: &str, made: &Made) -> Answer {
    get(app, path, &[("authorization", &bearer(made))]).await
}
