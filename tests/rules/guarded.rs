//! Counts the heap allocations of a guard for an accepted request.

use std::convert::Infallible;
use std::future::Ready;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use axum::routing::any_service;
use keyfob::http::CredentialPlaces;
use keyfob::{MemoryStore, ScopeSet, Tokens};
use tower::layer::layer_fn;
use tower::{Layer, Service};

use crate::allocations::{allocations, ready};
use crate::support::{actor, keyring, new_token, project};

/// An extension of each request, which no guard knows.
#[derive(Clone)]
struct Connection;

/// A service that answers every request without an allocation.
#[derive(Clone)]
struct Empty;

impl Service<Request<Body>> for Empty {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        assert!(request.extensions().get::<Connection>().is_some(), "the extensions are kept");
        std::future::ready(Ok(Response::new(Body::empty())))
    }
}

/// A layer that adds nothing to a service. It shows what axum itself allocates for a layer.
#[derive(Clone)]
struct Plain<S>(S);

impl<S: Service<Request<Body>>> Service<Request<Body>> for Plain<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        self.0.call(request)
    }
}

fn tokens() -> (Arc<Tokens<MemoryStore>>, String) {
    let tokens = Arc::new(Tokens::new(keyring(), MemoryStore::new()));
    let new = new_token().with_scopes(ScopeSet::new("repo:read").unwrap());
    let issued = ready(tokens.issue(&actor(), new)).unwrap();
    (tokens, format!("Bearer {}", issued.token.expose_secret()))
}

/// An extension of a request. With eight extensions, their map has room for the caller and for
/// those of axum. It grows at the fourth and at the eighth.
#[derive(Clone)]
struct Other<const N: usize>;

/// Returns the number of allocations of a service for one request, which it must accept. The
/// request has as many headers as fit into the first allocation of a header map.
fn count<S>(mut service: S, path: &str, authorization: &str) -> u64
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let headers = [("host", "acme.example"), ("user-agent", "agent/1"), ("accept", "*/*"), ("x-trace", "1")];
    let mut send = || {
        let mut request =
            Request::builder().uri(path).header("authorization", authorization).header("x-project", "145");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.extension(Connection).extension(Other::<0>).extension(Other::<1>);
        let request = request.extension(Other::<2>).extension(Other::<3>).extension(Other::<4>);
        let request = request.extension(Other::<5>).extension(Other::<6>).body(Body::empty()).unwrap();
        let (count, response) = allocations(|| ready(service.call(request)).unwrap());
        assert_eq!(response.status(), 200);
        count
    };
    // A thread keeps a copy of a record after it has read the record twice.
    (send(), send(), send()).2
}

#[test]
fn a_guard_allocates_only_the_attached_caller() {
    let (tokens, authorization) = tokens();
    let places = || CredentialPlaces::new().with_header("x-api-key").unwrap();
    let guard = keyfob::axum::Guard::new(Arc::clone(&tokens)).with_places(places());
    let count_axum = |guard: keyfob::http::RouteGuard<_>| count(guard.layer(Empty), "/", &authorization);
    assert_eq!(count(Empty, "/", &authorization), 0);
    assert_eq!(count_axum(guard.own_project("repo:read").unwrap()), 1);
    assert_eq!(count_axum(guard.project(project("145"), "repo:read").unwrap()), 1);
    assert_eq!(count_axum(guard.project_in_header("x-project", "repo:read").unwrap()), 1);
    assert_eq!(count_axum(guard.project(project("145"), "").unwrap().or_other()), 1);
    let guard = keyfob::tonic::Guard::new(tokens).with_places(places());
    let guard = guard.project_in_header("x-project", "repo:read").unwrap();
    assert_eq!(count(guard.layer(Empty), "/acme.Notes/Read", &authorization), 1);
}

#[test]
fn a_guard_of_a_path_allocates_only_the_attached_caller() {
    let (tokens, authorization) = tokens();
    let guard = keyfob::axum::Guard::new(tokens).project_in_path("project", "repo:read").unwrap();
    let path = "/projects/{project}/{file}";
    let plain = Router::new().route(path, any_service(Empty).layer(layer_fn(Plain))).with_state(());
    let guarded = Router::new().route(path, any_service(Empty).layer(guard)).with_state(());
    let count = |app| count::<Router>(app, "/projects/145/a", &authorization);
    assert_eq!(count(guarded), count(plain) + 1);
}
