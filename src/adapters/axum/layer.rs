//! The guard as a tower layer.

use core::pin::Pin;
use core::task::{Context, Poll};

use axum::http::header::{CONTENT_TYPE, Entry};
use axum::http::{HeaderMap, HeaderName, Request};
use axum::response::{IntoResponse, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::framework::Axum;
use super::respond::grpc;
use crate::adapters::http::refusal::Refusal;
use crate::adapters::http::route::RouteGuard;

impl<S> Layer<S> for RouteGuard<Axum> {
    type Service = GuardedService<S>;

    fn layer(&self, inner: S) -> GuardedService<S> {
        GuardedService { inner, route: self.clone() }
    }
}

/// A service that a [`RouteGuard`] protects. It returns the response of the inner service, or a
/// [`Refusal`], as an axum response.
#[derive(Clone, Debug)]
pub struct GuardedService<S> {
    inner: S,
    route: RouteGuard<Axum>,
}

impl<S, B> Service<Request<B>> for GuardedService<S>
where
    S: Service<Request<B>> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // `poll_ready` was called on this instance, not on the clone, so this instance must be
        // called.
        let next = self.inner.clone();
        let mut inner = core::mem::replace(&mut self.inner, next);
        let route = self.route.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            hide(&mut parts.headers, route.secret_headers());
            match route.admit(&mut parts).await {
                Ok(()) => Ok(inner.call(Request::from_parts(parts, body)).await?.into_response()),
                Err(refusal) => Ok(respond(refusal, &parts.headers)),
            }
        })
    }
}

/// Returns the refusal as a response, in the protocol of the request.
fn respond(refusal: Refusal, request: &HeaderMap) -> Response {
    match request.get(CONTENT_TYPE).map(|value| value.as_bytes()) {
        Some(content_type) if Refusal::is_for_grpc(content_type) => grpc(&refusal, content_type),
        _ => refusal.into_response(),
    }
}

/// Marks the headers that may contain a credential as sensitive, so that Debug output does not show
/// their values.
fn hide<'n>(headers: &mut HeaderMap, names: impl Iterator<Item = &'n str>) {
    for name in names {
        let name = HeaderName::try_from(name).expect("the name of a place is valid");
        if let Entry::Occupied(mut values) = headers.entry(name) {
            values.iter_mut().for_each(|value| value.set_sensitive(true));
        }
    }
}
