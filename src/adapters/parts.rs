//! Requests and responses of the crate `http`, for the frameworks that use them: axum and tonic.

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};

use super::http::admit::{Admission, Waiting};
use super::http::framework::Framework;
use super::http::refusal::Refusal;
use super::http::response::RefusalResponse;
use super::http::route::RouteGuard;
#[cfg(feature = "token-api")]
use super::http::token_api::TokenApiResponse;

/// The result of the part of a check that does not wait.
pub(super) enum Checked<B> {
    Admitted(Request<B>),
    /// The refusal, with the head of the request.
    Refused(Refusal, Parts),
    Waits(Waits<B>),
}

/// A request whose verification must wait.
pub(super) struct Waits<B> {
    waiting: Waiting,
    head: Parts,
    body: B,
}

/// Checks a request against a guard, as far as this needs no waiting. Before the check, all headers
/// that may hold a token are marked as sensitive. An admitted request has the verified caller
/// attached.
fn check<F, B>(guard: &RouteGuard<F>, request: Request<B>) -> Checked<B>
where
    F: Framework<Request = Parts>,
{
    let (mut head, body) = request.into_parts();
    hide(&mut head.headers, guard);
    match guard.admit_held(&mut head) {
        Ok(Admission::Admitted) => Checked::Admitted(Request::from_parts(head, body)),
        Ok(Admission::Waits(waiting)) => Checked::Waits(Waits { waiting, head, body }),
        Err(refusal) => Checked::Refused(refusal, head),
    }
}

/// Completes the check of a request whose verification must wait. Returns the request with the
/// verified caller attached, or the refusal with the head of the request.
pub(super) async fn wait<F, B>(guard: &RouteGuard<F>, request: Waits<B>) -> Result<Request<B>, (Refusal, Parts)>
where
    F: Framework<Request = Parts>,
{
    let Waits { waiting, mut head, body } = request;
    match guard.admit_after(waiting, &mut head).await {
        Ok(()) => Ok(Request::from_parts(head, body)),
        Err(refusal) => Err((refusal, head)),
    }
}

/// Marks the headers that may contain a credential as sensitive, so that Debug output does not show
/// their values.
fn hide<F: Framework>(headers: &mut HeaderMap, guard: &RouteGuard<F>) {
    // `HeaderMap::entry` may allocate, and `get_mut` reaches only the first value of a header.
    for (name, value) in headers {
        // The first secret header is always `Authorization`, which is compared in one step.
        if name == AUTHORIZATION || guard.secret_headers().skip(1).any(|secret| name == secret) {
            value.set_sensitive(true);
        }
    }
}

/// Returns the instance of the inner service on which `poll_ready` was called, and leaves a clone
/// in its place. Only this instance may be called. If the request is refused, the instance must be
/// dropped, because `poll_ready` may have reserved something for the call.
pub(super) fn take_ready<S: Clone>(service: &mut S) -> S {
    let next = service.clone();
    core::mem::replace(service, next)
}

/// Checks a request as [`check`] does, in front of a service that is ready. If a function of the
/// host panics, the instance that is ready is dropped, as after a refusal.
pub(super) fn check_before<S, F, B>(service: &mut S, guard: &RouteGuard<F>, request: Request<B>) -> Checked<B>
where
    F: Framework<Request = Parts>,
    S: Clone,
{
    let on_panic = TakenOnPanic(service);
    let checked = check(guard, request);
    core::mem::forget(on_panic);
    checked
}

/// Drops the instance of a service that is ready, unless it is forgotten.
struct TakenOnPanic<'s, S: Clone>(&'s mut S);

impl<S: Clone> Drop for TakenOnPanic<'_, S> {
    fn drop(&mut self) {
        drop(take_ready(self.0));
    }
}

/// Returns the values of all headers with this name.
pub(super) fn header<'r>(request: &'r Parts, name: &'r str) -> impl Iterator<Item = &'r [u8]> {
    // A constant is found without reading the text of its name.
    let values = match name {
        "authorization" => request.headers.get_all(AUTHORIZATION),
        _ => request.headers.get_all(name),
    };
    values.iter().map(|value| value.as_bytes())
}

/// Returns the content type of the request.
pub(super) fn content_type(request: &Parts) -> Option<&[u8]> {
    request.headers.get(CONTENT_TYPE).map(|value| value.as_bytes())
}

/// Returns the response to a refused request. `grpc` is the content type of a call of gRPC, which
/// gets a response of gRPC. `body` converts the text of the body. The extensions of the response
/// contain the refusal.
pub(super) fn refused<B>(refusal: Refusal, grpc: Option<&[u8]>, body: impl FnOnce(String) -> B) -> Response<B> {
    let RefusalResponse { status, headers, body: text } = refusal.response(grpc);
    let mut response = Response::new(body(text));
    *response.status_mut() = StatusCode::from_u16(status).expect("the status is 200 or from 400 to 599");
    *response.headers_mut() = header_map(headers.into_iter());
    response.extensions_mut().insert(refusal);
    response
}

/// For services of the crate `http`: a refusal as a response, without any web framework. Needs the
/// feature `axum` or `tonic`. The extensions of the response contain the refusal.
impl<B: From<String>> From<Refusal> for Response<B> {
    fn from(refusal: Refusal) -> Self {
        refused(refusal, None, B::from)
    }
}

/// For services of the crate `http`. Needs the feature `axum` or `tonic`.
#[cfg(feature = "token-api")]
impl<B: From<String>> From<TokenApiResponse> for Response<B> {
    fn from(answer: TokenApiResponse) -> Self {
        let (status, headers) = (answer.status(), header_map(answer.headers()));
        let mut response = Self::new(answer.into_body().into());
        *response.status_mut() = StatusCode::from_u16(status).expect("the status is 200, 201 or 204");
        *response.headers_mut() = headers;
        response
    }
}

/// Returns the headers of a response of keyfob as a map.
pub(super) fn header_map(headers: impl Iterator<Item = (&'static str, impl AsRef<str>)>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let value = HeaderValue::from_str(value.as_ref()).expect("the headers are printable ASCII");
        map.append(HeaderName::from_static(name), value);
    }
    map
}
