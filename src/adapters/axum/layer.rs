//! The guard as a tower layer.

use core::pin::Pin;
use core::task::{Context, Poll};

use axum::body::Body;
use axum::http::Request;
use axum::http::header::TE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::framework::Axum;
use crate::adapters::http::refusal::Refusal;
use crate::adapters::http::route::RouteGuard;
use crate::adapters::parts;

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
            match parts::admit(&route, request).await {
                Ok(request) => Ok(inner.call(request).await?.into_response()),
                Err((refusal, request)) => Ok(parts::refused(refusal, grpc_type(&request), Body::from)),
            }
        })
    }
}

/// Returns the content type of a call of gRPC, or `None` for another request.
fn grpc_type(request: &Parts) -> Option<&[u8]> {
    let te = request.headers.get(TE).map(|value| value.as_bytes());
    let is_call = |content_type: &&[u8]| Refusal::is_for_grpc(request.method.as_str(), content_type, te);
    parts::content_type(request).filter(is_call)
}
