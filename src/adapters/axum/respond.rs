//! Refusals as responses of axum.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::adapters::http::refusal::Refusal;
use crate::adapters::http::response::RefusalResponse;

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
        respond(self, None)
    }
}

/// Returns the refusal as a response, in the protocol of the request with this content type.
pub(super) fn respond(refusal: Refusal, content_type: Option<&[u8]>) -> Response {
    let RefusalResponse { status, headers, body } = refusal.response(content_type);
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).expect("the status is 200 or from 400 to 599");
    for (name, value) in headers {
        let value = HeaderValue::try_from(value).expect("the headers of a refusal are printable ASCII");
        response.headers_mut().append(HeaderName::from_static(name), value);
    }
    response.extensions_mut().insert(refusal);
    response
}
