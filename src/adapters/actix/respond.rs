//! Refusals as responses of actix-web.

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};

use crate::adapters::http::refusal::Refusal;
use crate::adapters::http::response::RefusalResponse;

/// A refusal is the error of its response. So a middleware outside the guard can log the cause of
/// the refusal, such as the error of a failed store:
/// ```
/// use actix_web::body::MessageBody;
/// use actix_web::dev::{ServiceRequest, ServiceResponse};
/// use actix_web::{Error, middleware::Next};
/// use keyfob::http::Refusal;
///
/// async fn log(
///     request: ServiceRequest,
///     next: Next<impl MessageBody>,
/// ) -> Result<ServiceResponse<impl MessageBody>, Error> {
///     let response = next.call(request).await?;
///     let error = response.response().error();
///     let refusal = error.and_then(|error| error.as_error::<Refusal>());
///     if let Some(cause) = refusal.and_then(Refusal::cause) {
///         eprintln!("{:?} refused: {:?}", cause.key(), cause);
///     }
///     Ok(response)
/// }
/// ```
impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status()).expect("the status of a refusal is from 400 to 599")
    }

    fn error_response(&self) -> HttpResponse {
        fill(HttpResponse::new(self.status_code()), self.response(None))
    }
}

/// Returns the refusal as a response. `grpc` is the content type of a call of gRPC, which gets a
/// response of gRPC.
pub(super) fn respond(refusal: Refusal, grpc: Option<&[u8]>) -> HttpResponse {
    let content = refusal.response(grpc);
    // Only this function keeps the error in the response.
    fill(HttpResponse::from_error(refusal), content)
}

fn fill(mut response: HttpResponse, content: RefusalResponse) -> HttpResponse {
    let RefusalResponse { status, headers, body } = content;
    *response.status_mut() = StatusCode::from_u16(status).expect("the status is 200 or from 400 to 599");
    response.headers_mut().clear();
    for (name, value) in headers {
        let value = HeaderValue::try_from(value).expect("the headers of a refusal are printable ASCII");
        response.headers_mut().append(HeaderName::from_static(name), value);
    }
    response.set_body(BoxBody::new(body))
}
