//! A route that says hello, bare and behind a guard.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header::AUTHORIZATION};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use keyfob::{MemoryStore, Tokens, axum::Guard, http::Authenticated};
use tower::Service;

use crate::world::{Population, keyring, project, ready};

/// A route whose guard has a fixed project.
const HELLO: &str = "/hello";
/// A route whose guard takes the project from the path.
const IN_PROJECT: &str = "/projects/{project}/hello";

/// A router in this process, and a request to it.
pub struct Client {
    router: Router,
    path: &'static str,
    authorization: String,
}

impl Client {
    fn new(route: &'static str, handler: MethodRouter, token: &str) -> Self {
        let path = if route == HELLO { HELLO } else { "/projects/145/hello" };
        Self { router: Router::new().route(route, handler), path, authorization: format!("Bearer {token}") }
    }

    /// Sends the request, and drops the response.
    pub fn call(&mut self) {
        let request = Request::get(self.path).header(AUTHORIZATION, &self.authorization).body(Body::empty());
        let response: Result<Response, Infallible> = ready(self.router.call(request.expect("the request is valid")));
        assert_eq!(response.expect("the router never fails").status(), StatusCode::OK);
    }
}

/// The clients of the bare and of the guarded routes. All of them send the same request.
pub struct Clients {
    pub bare: Client,
    pub guarded: Client,
    /// The handler of this route takes the verified token.
    pub extracted: Client,
    pub bare_in_project: Client,
    pub guarded_in_project: Client,
}

impl Clients {
    /// Creates a router for each route.
    pub fn new() -> Self {
        let store = MemoryStore::new();
        let population = Population::new(1, &store);
        let token = str::from_utf8(&population.texts[0]).expect("a token is ASCII");
        let guard = Guard::new(Tokens::new(keyring(0), store));
        let fixed = || guard.project(project(), "").expect("the scopes are valid");
        let in_path = guard.project_in_path("project", "").expect("the scopes are valid");
        Self {
            bare: Client::new(HELLO, get(hello), token),
            guarded: Client::new(HELLO, get(hello).layer(fixed()), token),
            extracted: Client::new(HELLO, get(hello_owner).layer(fixed()), token),
            bare_in_project: Client::new(IN_PROJECT, get(hello), token),
            guarded_in_project: Client::new(IN_PROJECT, get(hello).layer(in_path), token),
        }
    }
}

async fn hello() -> &'static str {
    "Hello, world!"
}

async fn hello_owner(caller: Authenticated) -> &'static str {
    std::hint::black_box(caller.owner());
    "Hello, world!"
}
