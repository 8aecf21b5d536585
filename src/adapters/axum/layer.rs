//! The guard as a tower layer.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::Arc;

use axum::http::Request;
use axum::response::{IntoResponse, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::rule::Rule;

/// A layer that forwards a request only if the request has a token that is valid for the required
/// project and scopes. A [`Guard`](crate::axum::Guard) creates the layer. Use it with axum's
/// `MethodRouter::layer` and `Router::route_layer`, or with any tower service that takes
/// `http::Request`s.
///
/// The inner service is called only for verified requests.
#[derive(Clone, Debug)]
pub struct GuardLayer(Arc<Rule>);

impl GuardLayer {
    pub(super) fn new(rule: Rule) -> Self {
        Self(Arc::new(rule))
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = GuardedService<S>;

    fn layer(&self, inner: S) -> GuardedService<S> {
        GuardedService { inner, rule: Arc::clone(&self.0) }
    }
}

/// A service that a [`GuardLayer`] protects. It returns the response of the inner service, or a
/// [`Refusal`](crate::axum::Refusal), as an axum response.
#[derive(Clone, Debug)]
pub struct GuardedService<S> {
    inner: S,
    rule: Arc<Rule>,
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
        let rule = Arc::clone(&self.rule);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            match rule.admit(&mut parts).await {
                Ok(()) => Ok(inner.call(Request::from_parts(parts, body)).await?.into_response()),
                Err(refusal) => Ok(refusal.into_response()),
            }
        })
    }
}
