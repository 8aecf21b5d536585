//! The guard as a tower layer for tonic.

use core::convert::identity;
use core::task::{Context, Poll};

use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Request, Response};
use tonic::server::NamedService;
use tower_layer::Layer;
use tower_service::Service;

use super::framework::Tonic;
use super::methods::MethodGuards;
use crate::adapters::guarded_future::GuardedFuture;
use crate::adapters::http::refusal::Refusal;
use crate::adapters::http::route::RouteGuard;
use crate::adapters::parts::{self, Checked};

impl<S> Layer<S> for RouteGuard<Tonic> {
    type Service = GuardedService<S>;

    fn layer(&self, inner: S) -> GuardedService<S> {
        MethodGuards::new(self.clone()).layer(inner)
    }
}

impl<S> Layer<S> for MethodGuards {
    type Service = GuardedService<S>;

    fn layer(&self, inner: S) -> GuardedService<S> {
        GuardedService { inner, guards: self.clone() }
    }
}

/// A service of tonic that a [`RouteGuard`] or [`MethodGuards`] protect. It has the name of the
/// inner service.
///
/// The response to a refused call is a trailers-only response, and its extensions contain the
/// [`Refusal`]. A request whose `Content-Type` is not one of gRPC gets the status and the headers
/// of the refusal in HTTP, without a body.
///
/// The guard reads the records of the token in `call` if the store holds them in memory. Poll the
/// returned future without delay, as servers do: a revocation after the records were read affects
/// only later requests.
#[derive(Clone, Debug)]
pub struct GuardedService<S> {
    inner: S,
    guards: MethodGuards,
}

impl<S, B, R> Service<Request<B>> for GuardedService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = GuardedFuture<S::Future, Response<R>, Response<R>, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let guard = self.guards.of_path(request.uri().path());
        match parts::check_before(&mut self.inner, guard, request) {
            Checked::Admitted(request) => GuardedFuture::inner(self.inner.call(request), identity),
            Checked::Refused(refusal, head) => {
                drop(parts::take_ready(&mut self.inner));
                GuardedFuture::refused(respond(refusal, &head))
            }
            Checked::Waits(request) => {
                let (mut inner, guard) = (parts::take_ready(&mut self.inner), guard.clone());
                GuardedFuture::waiting(async move {
                    match parts::wait(&guard, request).await {
                        Ok(request) => inner.call(request).await,
                        Err((refusal, head)) => Ok(respond(refusal, &head)),
                    }
                })
            }
        }
    }
}

impl<S: NamedService> NamedService for GuardedService<S> {
    const NAME: &'static str = S::NAME;
}

/// Returns the refusal as a response, in the protocol of the request. The response has no body.
fn respond<R: Default>(refusal: Refusal, request: &Parts) -> Response<R> {
    // A server of tonic serves nothing else, so the content type is enough.
    let grpc = parts::content_type(request).filter(|content_type| Refusal::is_grpc_type(content_type));
    let mut response = parts::refused(refusal, grpc, |_| R::default());
    if grpc.is_none() {
        response.headers_mut().remove(CONTENT_TYPE);
    }
    response
}
