//! A route of axum that says hello, bare and behind several guards.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header::AUTHORIZATION};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use axum::{Extension, Router};
use keyfob::{MemoryStore, Tokens, axum::Guard, http::Authenticated};
use tower::{Service, layer::layer_fn};
use tower_http::validate_request::ValidateRequestHeaderLayer;

use crate::measure::{Act, act, by_turns};
use crate::peers::signed::{Claims, Signed};
use crate::table::Table;
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
    /// Returns the router, the path of the request, and its header `Authorization`.
    pub fn into_parts(self) -> (Router, &'static str, String) {
        (self.router, self.path, self.authorization)
    }

    fn new(route: &'static str, handler: MethodRouter, token: &str) -> Self {
        let path = if route == HELLO { HELLO } else { "/projects/145/hello" };
        // With its state, a router builds each layer once, as `axum::serve` needs it. Without it,
        // it builds the layers again for each request.
        let router = Router::new().route(route, handler).with_state(());
        Self { router, path, authorization: format!("Bearer {token}") }
    }

    /// Sends the request, and drops the response.
    pub fn call(&mut self) {
        let request = Request::get(self.path).header(AUTHORIZATION, &self.authorization).body(Body::empty());
        let response: Result<Response, Infallible> = ready(self.router.call(request.expect("the request is valid")));
        assert_eq!(response.expect("the router never fails").status(), StatusCode::OK);
    }
}

/// A client of each route. All of them send the same request, except that of [`jwt`](Self::jwt),
/// whose token is longer.
pub struct Clients {
    pub bare: Client,
    /// This route has a layer that does nothing. axum makes two allocations for any layer.
    pub empty_layer: Client,
    pub guarded: Client,
    /// The handler of this route takes the verified token.
    pub extracted: Client,
    pub bare_in_project: Client,
    pub guarded_in_project: Client,
    /// This route accepts one fixed token.
    pub fixed_bearer: Client,
    pub jwt: Client,
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
        let (signed, jwt) = Signed::new();
        Self {
            bare: Client::new(HELLO, get(hello), token),
            empty_layer: Client::new(HELLO, get(hello).layer(layer_fn(Empty)), token),
            guarded: Client::new(HELLO, get(hello).layer(fixed()), token),
            extracted: Client::new(HELLO, get(hello_owner).layer(fixed()), token),
            bare_in_project: Client::new(IN_PROJECT, get(hello), token),
            guarded_in_project: Client::new(IN_PROJECT, get(hello).layer(in_path), token),
            fixed_bearer: Client::new(HELLO, get(hello).layer(fixed_bearer(token)), token),
            jwt: Client::new(HELLO, get(hello_claims).layer(from_fn_with_state(Arc::new(signed), check_jwt)), &jwt),
        }
    }
}

/// A service that only calls another service.
#[derive(Clone)]
struct Empty<S>(S);

impl<S: Service<Request>> Service<Request> for Empty<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> S::Future {
        self.0.call(request)
    }
}

async fn hello() -> &'static str {
    "Hello, world!"
}

async fn hello_owner(caller: Authenticated) -> &'static str {
    std::hint::black_box(caller.owner());
    "Hello, world!"
}

async fn hello_claims(Extension(claims): Extension<Arc<Claims>>) -> &'static str {
    std::hint::black_box(&claims.sub);
    "Hello, world!"
}

/// Returns a layer that accepts one fixed token.
#[expect(clippy::result_large_err, reason = "the layer takes a function that returns a response")]
fn fixed_bearer(
    token: &str,
) -> ValidateRequestHeaderLayer<impl Fn(&mut Request) -> Result<(), Response> + Clone + 'static> {
    let expected: Arc<str> = format!("Bearer {token}").into();
    ValidateRequestHeaderLayer::custom(move |request: &mut Request| match request.headers().get(AUTHORIZATION) {
        Some(presented) if presented.as_bytes() == expected.as_bytes() => Ok(()),
        _ => Err(StatusCode::UNAUTHORIZED.into_response()),
    })
}

/// Checks the token of a request, and passes its claims to the handler.
async fn check_jwt(State(signed): State<Arc<Signed>>, mut request: Request, next: Next) -> Response {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(claims) = header.and_then(|header| signed.claims(header.strip_prefix("Bearer ")?)) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    request.extensions_mut().insert(Arc::new(claims));
    next.run(request).await
}

/// Measures what each guard adds to a request.
pub fn guards(table: &mut Table) {
    let mut clients = Clients::new();
    const BARE: &str = "bare route";
    const EMPTY: &str = "a layer that does nothing";
    const BARE_IN_PROJECT: &str = "bare route with a parameter";
    fn calls(client: &mut Client) -> Act<'_> {
        act(|| client.call())
    }
    let times = by_turns(vec![
        (BARE, calls(&mut clients.bare)),
        (EMPTY, calls(&mut clients.empty_layer)),
        ("keyfob's guard", calls(&mut clients.guarded)),
        ("keyfob's guard, `Authenticated` in the handler", calls(&mut clients.extracted)),
        (BARE_IN_PROJECT, calls(&mut clients.bare_in_project)),
        ("keyfob's guard, the project in the path", calls(&mut clients.guarded_in_project)),
        ("one fixed token", calls(&mut clients.fixed_bearer)),
        ("JSON Web Token, claims in the handler", calls(&mut clients.jwt)),
    ]);
    for (name, bare) in [
        (EMPTY, BARE),
        ("keyfob's guard", BARE),
        ("keyfob's guard, `Authenticated` in the handler", BARE),
        ("keyfob's guard, the project in the path", BARE_IN_PROJECT),
        ("one fixed token", BARE),
        ("JSON Web Token, claims in the handler", BARE),
    ] {
        let throughput = times.beside(bare, &[name]).ratio;
        table.guard(name, times.median(name), times.median(bare), &times.beyond(name, bare), &throughput);
    }
}
