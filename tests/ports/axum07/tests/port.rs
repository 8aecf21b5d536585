//! The guarded routes of the service with axum 0.7.
#![allow(clippy::unwrap_used)]

#[path = "../../answers.rs"]
mod answers;

use answers::{Answer, cases};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use tower::ServiceExt;

#[tokio::test]
async fn the_routes_are_guarded() {
    let (tokens, cases) = cases().await;
    let app = axum07_port::app(tokens.into()).unwrap();
    let app = app.clone().nest("/api/v1", app);
    for (case, beginning) in cases.iter().flat_map(|case| [(case, ""), (case, "/api/v1")]) {
        let mut request = Request::get(format!("{beginning}{}", case.path));
        for (name, value) in &case.headers {
            request = request.header(*name, value);
        }
        let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let challenges = response.headers().get_all(header::WWW_AUTHENTICATE).iter();
        let challenges = challenges.map(|value| value.to_str().unwrap().to_owned()).collect();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        case.check(&Answer { status, challenges, body: String::from_utf8(body.to_vec()).unwrap() });
    }
}

/// Sends a request of the user ada.
async fn send(app: &Router, method: &str, path: &str, body: &'static str) -> (StatusCode, String) {
    let request = Request::builder().method(method).uri(path).header("x-user", "ada");
    let request = request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body)).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_user_manages_their_tokens() {
    let (tokens, _) = cases().await;
    let app = Router::new().nest("/api", axum07_port::app(tokens.into()).unwrap());
    let list = "/api/projects/146/tokens";
    let (status, body) = send(&app, "POST", list, r#"{"name":"CI","scopes":"notes:read"}"#).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    let issued: serde_json::Value = serde_json::from_str(&body).unwrap();

    let notes = Request::get("/api/projects/146/notes");
    let notes = notes.header(header::AUTHORIZATION, format!("Bearer {}", issued["token"].as_str().unwrap()));
    let response = app.clone().oneshot(notes.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);

    let (status, body) = send(&app, "GET", list, "").await;
    assert_eq!((status, body.matches(r#""name":"CI""#).count()), (StatusCode::OK, 1), "{body}");
    let one = format!("{list}/{}", issued["id"].as_str().unwrap());
    assert_eq!(send(&app, "DELETE", &one, "").await, (StatusCode::NO_CONTENT, String::new()));
    let (status, body) = send(&app, "GET", "/api/projects/A/tokens", "").await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{body}");
}
