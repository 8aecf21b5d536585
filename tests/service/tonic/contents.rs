//! Refusals as responses: for each content type of gRPC, and for a request of another kind.

use http::{HeaderMap, Request, StatusCode};
use keyfob::http::Refusal;
use tonic::body::Body;
use tower::ServiceExt;

use crate::http::world::World;
use crate::tonic::calls::guarded;

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
}

/// Sends a request without a token, and checks that the response has no body and that a layer
/// outside the guard can log the refusal.
async fn refused(content_type: Option<&str>) -> Answer {
    let request = Request::post("/acme.Notes/Read");
    let request = content_type.into_iter().fold(request, |request, value| request.header("content-type", value));
    let service = guarded(&World::new().guard());
    let response = service.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.extensions().get::<Refusal>().unwrap().reason(), "missing_token");
    let (parts, body) = response.into_parts();
    assert!(axum::body::to_bytes(axum::body::Body::new(body), 99).await.unwrap().is_empty());
    let challenge = r#"Bearer realm="acme", scope="repo:read""#;
    assert_eq!(parts.headers["www-authenticate"], challenge);
    Answer { status: parts.status, headers: parts.headers }
}

#[tokio::test]
async fn a_refusal_has_the_content_type_of_its_call() {
    for content_type in [
        "application/grpc",
        "application/grpc+proto",
        "Application/gRPC",
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpc-web-text",
    ] {
        let Answer { status, headers } = refused(Some(content_type)).await;
        assert_eq!(status, StatusCode::OK, "{content_type}");
        for (name, value) in [
            ("content-type", content_type),
            ("cache-control", "no-store"),
            ("grpc-status", "16"),
            ("grpc-message", "the request needs a token"),
            ("reason", "missing_token"),
        ] {
            assert_eq!(headers[name], value, "{content_type}");
        }
        assert_eq!(headers.len(), 6, "{headers:?}");
    }
}

/// A browser or a probe must not take a refusal for a success.
#[tokio::test]
async fn a_request_that_is_no_call_gets_a_status_of_http() {
    for content_type in [None, Some("text/html"), Some("application/json")] {
        let Answer { status, headers } = refused(content_type).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{content_type:?}");
        assert_eq!(headers["cache-control"], "no-store", "{content_type:?}");
        assert_eq!(headers.len(), 2, "{headers:?}");
    }
}
