//! The guard as a tower layer.

use core::task::{Context, Poll};

use axum::body::Body;
use axum::http::Request;
use axum::http::header::TE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::framework::Axum;
use crate::adapters::guarded_future::GuardedFuture;
use crate::adapters::http::refusal::Refusal;
use crate::adapters::http::route::RouteGuard;
use crate::adapters::parts::{self, Checked};

impl<S> Layer<S> for RouteGuard<Axum> {
    type Service = GuardedService<S>;

    fn layer(&self, inner: S) -> GuardedService<S> {
        GuardedService { inner, guard: self.clone() }
    }
}

/// A service that a [`RouteGuard`] protects. It returns the response of the inner service, or a
/// [`Refusal`], as an axum response.
///
/// The guard reads the records of the token in `call` if the store holds them in memory. Poll the
/// returned future without delay, as servers do: a revocation after the records were read affects
/// only later requests.
#[derive(Clone, Debug)]
pub struct GuardedService<S> {
    inner: S,
    guard: RouteGuard<Axum>,
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
    type Future = GuardedFuture<S::Future, S::Response, Response, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match parts::check_before(&mut self.inner, &self.guard, request) {
            Checked::Admitted(request) => GuardedFuture::inner(self.inner.call(request), IntoResponse::into_response),
            Checked::Refused(refusal, head) => {
                drop(parts::take_ready(&mut self.inner));
                GuardedFuture::refused(refused(refusal, &head))
            }
            Checked::Waits(request) => {
                let (mut inner, guard) = (parts::take_ready(&mut self.inner), self.guard.clone());
                GuardedFuture::waiting(async move {
                    match parts::wait(&guard, request).await {
                        Ok(request) => Ok(inner.call(request).await?.into_response()),
                        Err((refusal, head)) => Ok(refused(refusal, &head)),
                    }
                })
            }
        }
    }
}

/// Returns the refusal as a response, in the protocol of the request.
fn refused(refusal: Refusal, request: &Parts) -> Response {
    parts::refused(refusal, grpc_type(request), Body::from)
}

/// Returns the content type of a call of gRPC, or `None` for another request.
fn grpc_type(request: &Parts) -> Option<&[u8]> {
    let te = request.headers.get(TE).map(|value| value.as_bytes());
    let is_call = |content_type: &&[u8]| Refusal::is_for_grpc(request.method.as_str(), content_type, te);
    parts::content_type(request).filter(is_call)
}
