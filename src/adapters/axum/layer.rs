//! The guard as a tower layer.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::Arc;

use axum::http::Request;
use axum::response::{IntoResponse, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::rule::Rule;

/// A layer that lets those requests pass which present a token for what it names. Made by a [`Guard`](crate::axum::Guard); for axum's
/// `MethodRouter::layer` and `Router::route_layer`, and for any tower service of `http::Request`s.
///
/// The service within is called for verified requests only.
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

/// A service behind a [`GuardLayer`]. Its answers are axum's responses: those of the service within, or a
/// [`Refusal`](crate::axum::Refusal).
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
        // The one that was polled ready is the one to call.
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
