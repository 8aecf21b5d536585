//! Refusals as responses of axum.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::adapters::http::refusal::Refusal;

/// The extensions of the response contain the refusal. So a layer outside the guard can log the
/// cause of the refusal, such as the error of a failed store:
/// ```
/// use axum::{extract::Request, middleware::Next, response::Response};
/// use keyfob::http::Refusal;
///
/// async fn log(request: Request, next: Next) -> Response {
///     let response = next.run(request).await;
///     let refusal = response.extensions().get::<Refusal>();
///     if let Some(cause) = refusal.and_then(Refusal::cause) {
///         eprintln!("{:?} refused: {:?}", cause.key(), cause);
///     }
///     response
/// }
/// ```
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status()).expect("the status of a refusal is from 400 to 599");
        response(status, self.headers(), Body::from(self.body()), &self)
    }
}

/// Returns a trailers-only response of gRPC. `content_type` is the value of the request.
pub(super) fn grpc(refusal: &Refusal, content_type: &[u8]) -> Response {
    response(StatusCode::OK, refusal.grpc_headers(content_type), Body::empty(), refusal)
}

fn response(
    status: StatusCode,
    headers: impl Iterator<Item = (&'static str, impl AsRef<str>)>,
    body: Body,
    refusal: &Refusal,
) -> Response {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let value = HeaderValue::from_str(value.as_ref()).expect("the headers of a refusal are printable ASCII");
        map.append(HeaderName::from_static(name), value);
    }
    let mut response = (status, map, body).into_response();
    response.extensions_mut().insert(refusal.clone());
    response
}
