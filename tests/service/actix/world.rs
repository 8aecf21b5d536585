//! Functions that send requests to an app of actix-web.

use std::sync::Arc;

use actix_web::body::to_bytes;
use actix_web::http::Method;
use actix_web::test::{TestRequest, init_service, try_call_service};
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpResponse};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use keyfob::actix::Guard;

use crate::axum::world::{Answer, Made, World, bearer};

/// Returns a guard for the tokens of this world.
pub fn guard(world: &World) -> Guard {
    Guard::new(Arc::clone(&world.tokens)).with_realm("acme")
}

/// Creates a request to `path` with these headers.
pub fn request(path: &str, headers: &[(&str, &str)]) -> TestRequest {
    headers.iter().fold(TestRequest::with_uri(path), |request, header| request.append_header(*header))
}

/// Sends a request to an app with these routes.
pub async fn call(routes: impl Fn(&mut ServiceConfig), request: TestRequest) -> HttpResponse {
    let app = init_service(App::new().configure(routes)).await;
    let response = try_call_service(&app, request.to_request()).await;
    response.map_or_else(HttpResponse::from_error, |response| response.into_parts().1)
}

/// Sends a request to an app with these routes. The answer has the types of axum, so that the
/// checks of axum's answers apply to it.
pub async fn send(routes: impl Fn(&mut ServiceConfig), request: TestRequest) -> Answer {
    let response = call(routes, request).await;
    let mut headers = HeaderMap::new();
    for (name, value) in response.headers() {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        headers.append(HeaderName::try_from(name.as_str()).unwrap(), value);
    }
    let status = StatusCode::from_u16(response.status().as_u16()).unwrap();
    let body = to_bytes(response.into_body()).await.unwrap_or_else(|_| panic!("the body cannot be read"));
    Answer { status, headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

pub async fn get(routes: impl Fn(&mut ServiceConfig), path: &str, headers: &[(&str, &str)]) -> Answer {
    send(routes, request(path, headers).method(Method::GET)).await
}

/// Sends a request with the token as a bearer credential.
pub async fn with(routes: impl Fn(&mut ServiceConfig), path: &str, made: &Made) -> Answer {
    get(routes, path, &[("authorization", &bearer(made))]).await
}
