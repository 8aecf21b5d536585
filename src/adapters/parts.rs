//! Requests and responses of the crate `http`, for the frameworks that use them: axum and tonic.

use http::header::{CONTENT_TYPE, Entry};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};

use super::http::framework::Framework;
use super::http::refusal::Refusal;
use super::http::response::RefusalResponse;
use super::http::route::RouteGuard;
#[cfg(feature = "token-api")]
use super::http::token_api::TokenApiResponse;

/// Checks a request against a guard. Before the check, all headers that may hold a token are marked
/// as sensitive. Returns the request with the verified caller attached, or the refusal with the
/// head of the request.
pub(super) async fn admit<F, B>(route: &RouteGuard<F>, request: Request<B>) -> Result<Request<B>, (Refusal, Parts)>
where
    F: Framework<Request = Parts>,
{
    let (mut parts, body) = request.into_parts();
    hide(&mut parts.headers, route.secret_headers());
    match route.admit(&mut parts).await {
        Ok(()) => Ok(Request::from_parts(parts, body)),
        Err(refusal) => Err((refusal, parts)),
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

/// Returns the values of all headers with this name.
pub(super) fn header<'r>(request: &'r Parts, name: &'r str) -> impl Iterator<Item = &'r [u8]> {
    request.headers.get_all(name).iter().map(|value| value.as_bytes())
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
