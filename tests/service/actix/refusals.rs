//! Refusals as responses of actix-web.

use actix_web::ResponseError;
use actix_web::body::MessageBody;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use actix_web::web::{ServiceConfig, resource};
use keyfob::http::{Authenticated, Refusal};
use keyfob::{Rejection, Scope};

use crate::actix::world::{call, guard, request, send};
use crate::axum::world::{World, bearer, in_project};
use crate::support::project;

#[test]
fn a_refusal_is_a_response() {
    let refusal = Refusal::challenge(Rejection::Expired, "acme").with_basic_challenge("acme");
    assert_eq!(refusal.status_code(), 401);
    let response = refusal.error_response();
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), "application/problem+json");
    assert_eq!(response.headers().get(CACHE_CONTROL).unwrap(), "no-store");
    assert_eq!(response.headers().get_all(WWW_AUTHENTICATE).count(), 2);
    assert_eq!(response.into_body().try_into_bytes().unwrap(), refusal.body().as_bytes());
}

/// A middleware outside the guard finds the refusal in the response, for its log.
#[tokio::test]
async fn the_response_contains_the_refusal() {
    async fn lacking(caller: Authenticated) -> Result<String, Refusal> {
        Err(caller.refuse_without(&[Scope::new("repo:write").unwrap()]))
    }
    let world = World::new();
    let made = world.usual().await;
    let other = guard(&world).project(project("146"), "").unwrap();
    let guard = guard(&world).project(project("145"), "").unwrap();
    let app = |app: &mut ServiceConfig| {
        app.service(resource("/unguarded").get(in_project));
        app.service(resource("/lacking").get(lacking).wrap(guard.clone()));
        app.service(resource("/other").get(in_project).wrap(other.clone()));
    };
    for (path, reason, rejection, content_type) in [
        ("/unguarded", "unguarded", None, ""),
        ("/lacking", "insufficient_scope", None, ""),
        ("/other", "wrong_project", Some(Rejection::Project), ""),
    ] {
        let request = request(path, &[("authorization", &bearer(&made)), ("content-type", content_type)]);
        let response = call(app, request).await;
        let refusal: &Refusal = response.error().unwrap().as_error().unwrap();
        assert_eq!(refusal.reason(), reason);
        assert_eq!(refusal.cause().and_then(|cause| cause.rejection()), rejection);
    }
}

#[tokio::test]
async fn a_request_of_grpc_gets_a_trailers_only_response() {
    let world = World::new();
    let guard = guard(&world).with_basic_challenge().project(project("145"), "").unwrap();
    let app = |app: &mut ServiceConfig| {
        app.service(resource("/").post(in_project).wrap(guard.clone()));
    };
    let call = || request("/", &[("content-type", "application/grpc+proto"), ("te", "trailers")]);
    // Only a POST is a call of gRPC. The refusal of another request is never a success.
    assert_eq!(send(app, call()).await.status, 401);
    let answer = send(app, call().method(actix_web::http::Method::POST)).await;
    answer.passed("");
    for (name, value) in [
        ("content-type", "application/grpc+proto"),
        ("cache-control", "no-store"),
        ("grpc-status", "16"),
        ("grpc-message", "the request needs a token"),
        ("reason", "missing_token"),
    ] {
        assert_eq!(answer.headers[name], value);
    }
    assert_eq!(answer.headers.get_all("www-authenticate").iter().count(), 2);
}
