//! Tests of the response to a request whose handler returns an error of keyfob with `?`.

use axum::http::Method;
use axum::http::header::WWW_AUTHENTICATE;
use axum::response::IntoResponse;
use keyfob::{
    Error, ErrorKind, Name, Rejection, Status,
    error::{HeaderError, OutsideIssuer},
    http::Refusal,
    policy::PolicyBreach,
    store::{StoreError, StoreErrorKind},
};

use crate::axum::world::{World, app, in_project, request, send};
use crate::support::{now, project};

#[test]
fn each_kind_of_error_has_a_status_and_a_reason() {
    let invalid = Name::new("").unwrap_err();
    for (kind, status, reason) in [
        (ErrorKind::Invalid(invalid), 400, "invalid"),
        (ErrorKind::Policy(PolicyBreach::TooLong), 422, "policy"),
        (ErrorKind::Wider, 422, "wider"),
        (ErrorKind::OutsideIssuer(OutsideIssuer::Scopes), 422, "outside_issuer"),
        (ErrorKind::NotFound, 404, "not_found"),
        (ErrorKind::Limit, 409, "limit"),
        (ErrorKind::Conflict, 409, "conflict"),
        (ErrorKind::Ended(Status::Revoked), 409, "ended"),
        (ErrorKind::Inactive(Status::Disabled), 409, "inactive"),
        (ErrorKind::AlreadyRotated, 409, "already_rotated"),
        (ErrorKind::PredecessorInGrace(now()), 409, "predecessor_in_grace"),
        (ErrorKind::NotRotated, 409, "not_rotated"),
        (ErrorKind::KeyMints, 409, "key_mints"),
        (ErrorKind::KeyInUse { live: 2 }, 409, "key_in_use"),
        (ErrorKind::IssuerEnded(Rejection::Revoked), 401, "revoked"),
        (ErrorKind::IssuerEnded(Rejection::Scope), 403, "insufficient_scope"),
        (ErrorKind::Rejected(Rejection::Tag), 401, "invalid_token"),
        (ErrorKind::Rng, 503, "unavailable"),
        (ErrorKind::Partial, 503, "unavailable"),
        (ErrorKind::Unavailable, 503, "unavailable"),
        (ErrorKind::Store, 500, "internal"),
        (ErrorKind::Unkeyed, 500, "internal"),
    ] {
        let refusal = Refusal::from(Error::from(kind));
        assert_eq!((refusal.status(), refusal.reason()), (status, reason), "{kind:?}");
        // If the caller can correct the request, the detail of the refusal is the message of the
        // error.
        if matches!(status, 400 | 404 | 409 | 422) {
            assert_eq!(refusal.detail(), Error::from(kind).to_string());
        }
        let is_challenge = refusal.into_response().headers().contains_key(WWW_AUTHENTICATE);
        assert_eq!(is_challenge, matches!(status, 401 | 403), "{kind:?}");
    }
}

#[test]
fn no_response_shows_an_error_of_the_engine() {
    for kind in [StoreErrorKind::Unavailable, StoreErrorKind::Corrupt, StoreErrorKind::Other] {
        let refusal = Refusal::from(StoreError::with_source(kind, "postgres://ada:secret@db"));
        assert!(!format!("{refusal} {}", refusal.detail()).contains("postgres"), "{refusal:?}");
        assert!(refusal.status() >= 500);
    }
    let conflict = Refusal::from(StoreError::new(StoreErrorKind::Conflict));
    assert_eq!((conflict.status(), conflict.reason()), (409, "conflict"));
}

#[test]
fn errors_before_an_operation_have_responses_too() {
    let invalid = Name::new("").unwrap_err();
    let refusal = Refusal::from(invalid);
    assert_eq!((refusal.status(), refusal.detail()), (400, "name: empty"));
    let refusal = Refusal::from(HeaderError::Missing);
    assert_eq!((refusal.status(), refusal.reason()), (401, "missing_token"));
    let refusal = Refusal::from(Rejection::Expired);
    assert_eq!((refusal.status(), refusal.reason()), (401, "expired"));
    let refusal = Refusal::from(keyfob::VerifyError::from(Rejection::Project));
    assert_eq!(
        (refusal.status(), refusal.cause().and_then(|error| error.rejection())),
        (403, Some(Rejection::Project))
    );
}

/// Only a call of gRPC may get status 200: for any other request, a gateway or a cache would take
/// the refusal for a success.
#[tokio::test]
async fn only_a_call_of_grpc_gets_a_response_of_grpc() {
    let world = World::new();
    let app = app("/", axum::routing::any(in_project).layer(world.guard.project(project("145"), "").unwrap()));
    let types = ("content-type", "application/grpc");
    let call = send(&app, request(Method::POST, "/", &[types, ("te", "trailers")])).await;
    assert_eq!((call.status.as_u16(), call.body.as_str()), (200, ""));
    for (name, value) in [("grpc-status", "16"), ("reason", "missing_token"), ("cache-control", "no-store")] {
        assert_eq!(call.headers[name], value);
    }
    for (method, headers) in [
        (Method::GET, &[types, ("te", "trailers")][..]),
        (Method::POST, &[types]),
        (Method::POST, &[("te", "trailers")]),
    ] {
        send(&app, request(method, "/", headers)).await.refused(401, "missing_token");
    }
}
