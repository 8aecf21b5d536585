//! Refusals as responses of axum.

use axum::body::Body;
use axum::response::{IntoResponse, Response};

use crate::adapters::http::refusal::Refusal;
use crate::adapters::parts;

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
        parts::refused(self, None, Body::from)
    }
}
