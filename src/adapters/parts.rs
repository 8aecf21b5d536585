//! Requests and responses of the crate `http`, for the frameworks that use them: axum and tonic.

use http::header::{CONTENT_TYPE, Entry};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};

use super::http::framework::Framework;
use super::http::refusal::Refusal;
use super::http::route::RouteGuard;

/// Checks a request against a guard. Before the check, all headers that may hold a token are marked
/// as sensitive. Returns the request with the verified caller attached, or the refusal with the head
/// of the request.
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

/// Returns the content type of the request if it is one of gRPC.
pub(super) fn grpc_content_type(request: &Parts) -> Option<&[u8]> {
    let content_type = request.headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
    content_type.filter(|content_type| Refusal::is_for_grpc(content_type))
}

/// Returns a trailers-only response of gRPC. `content_type` is the value of the request.
pub(super) fn grpc_response<B: Default>(refusal: &Refusal, content_type: &[u8]) -> Response<B> {
    response(StatusCode::OK, header_map(refusal.grpc_headers(content_type)), B::default(), refusal)
}

/// Returns the status of a refusal in HTTP.
pub(super) fn status(refusal: &Refusal) -> StatusCode {
    StatusCode::from_u16(refusal.status()).expect("the status of a refusal is from 400 to 599")
}

/// Returns a response whose extensions contain the refusal.
pub(super) fn response<B>(status: StatusCode, headers: HeaderMap, body: B, refusal: &Refusal) -> Response<B> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response.extensions_mut().insert(refusal.clone());
    response
}

/// Returns the headers of a refusal as a map.
pub(super) fn header_map(headers: impl Iterator<Item = (&'static str, impl AsRef<str>)>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let value = HeaderValue::from_str(value.as_ref()).expect("the headers of a refusal are printable ASCII");
        map.append(HeaderName::from_static(name), value);
    }
    map
}
