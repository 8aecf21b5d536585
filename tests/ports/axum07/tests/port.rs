//! The guarded routes of the service with axum 0.7.
#![allow(clippy::unwrap_used)]

#[path = "../../answers.rs"]
mod answers;

use answers::{Answer, cases};
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use tower::ServiceExt;

#[tokio::test]
async fn the_routes_are_guarded() {
    let (tokens, cases) = cases().await;
    let app = axum07_port::app(tokens).unwrap();
    for case in cases {
        let mut request = Request::get(case.path);
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
