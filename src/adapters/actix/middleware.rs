//! The guard as a middleware of actix-web.

use core::future::{Ready, ready};
use core::pin::Pin;
use std::rc::Rc;

use actix_web::Error;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, TE};

use super::framework::Actix;
use super::respond::respond;
use crate::adapters::http::refusal::Refusal;
use crate::adapters::http::route::RouteGuard;

impl<S, B> Transform<S, ServiceRequest> for RouteGuard<Actix>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = GuardedService<S>;
    type InitError = ();
    type Future = Ready<Result<GuardedService<S>, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(GuardedService { inner: Rc::new(inner), guard: self.clone() }))
    }
}

/// A service of actix-web that a [`RouteGuard`] protects. It returns the response of the inner
/// service, or a [`Refusal`] as a response.
#[derive(Clone, Debug)]
pub struct GuardedService<S> {
    inner: Rc<S>,
    guard: RouteGuard<Actix>,
}

impl<S, B> Service<ServiceRequest> for GuardedService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    forward_ready!(inner);

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        let (inner, guard) = (Rc::clone(&self.inner), self.guard.clone());
        Box::pin(async move {
            hide(request.headers_mut(), &guard);
            let (head, _) = request.parts_mut();
            match guard.admit(head).await {
                Ok(()) => Ok(inner.call(request).await?.map_into_left_body()),
                // The refusal is a response and not an error, so that outer middleware adds its
                // headers to it, such as those for CORS.
                Err(refusal) => {
                    let header = |name| request.headers().get(name).map(|value| value.as_bytes());
                    let (method, te) = (request.method().as_str(), header(TE));
                    let is_call = |content_type: &&[u8]| Refusal::is_for_grpc(method, content_type, te);
                    let response = respond(refusal, header(CONTENT_TYPE).filter(is_call));
                    Ok(ServiceResponse::new(request.into_parts().0, response).map_into_right_body())
                }
            }
        })
    }
}

/// Marks the headers that may contain a credential as sensitive, so that Debug output does not show
/// their values.
fn hide(headers: &mut HeaderMap, guard: &RouteGuard<Actix>) {
    // Nothing is removed. This is the only method that reaches all values without copying them.
    headers.retain(|name, value| {
        if guard.secret_headers().any(|secret| name == secret) {
            value.set_sensitive(true);
        }
        true
    });
}
