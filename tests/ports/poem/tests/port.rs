//! The guarded routes of the service with poem.
#![allow(clippy::unwrap_used)]

#[path = "../../answers.rs"]
mod answers;

use answers::{Answer, cases};
use keyfob::http::Guard;
use poem::http::{Method, StatusCode, header};
use poem::test::TestClient;
use poem::{Endpoint, Request, Route, get, handler};
use poem_port::connect::{Poem, guarded};

#[tokio::test]
async fn the_routes_are_guarded() {
    let (tokens, cases) = cases().await;
    let client = TestClient::new(poem_port::app(tokens.into()).unwrap());
    for case in cases {
        let mut request = client.get(case.path);
        for (name, value) in &case.headers {
            request = request.header(*name, value);
        }
        let response = request.send().await.0;
        let challenges = response.headers().get_all(header::WWW_AUTHENTICATE).iter();
        let challenges = challenges.map(|value| value.to_str().unwrap().to_owned()).collect();
        let status = response.status().as_u16();
        case.check(&Answer { status, challenges, body: response.into_body().into_string().await.unwrap() });
    }
}

#[handler]
fn shown(request: &Request) -> String {
    format!("{:?}", request.headers())
}

#[tokio::test]
async fn the_debug_text_of_a_guarded_request_has_no_token() {
    let (tokens, cases) = cases().await;
    let guard = Guard::<Poem>::new(tokens).own_project("").unwrap();
    let client = TestClient::new(Route::new().at("/", guarded(get(shown), guard)));
    let (name, value) = &cases[0].headers[0];
    let body = client.get("/").header(*name, value).send().await.0.into_body().into_string().await.unwrap();
    assert!(body.contains(r#""authorization": Sensitive"#), "{body}");
}

/// Sends a request of the user ada.
async fn send(
    client: &TestClient<impl Endpoint>,
    method: Method,
    path: &str,
    body: impl Into<String>,
) -> (StatusCode, String) {
    let request = client.request(method, path).header("x-user", "ada").content_type("application/json");
    let response = request.body(body.into()).send().await.0;
    (response.status(), response.into_body().into_string().await.unwrap())
}

#[tokio::test]
async fn a_user_manages_their_tokens() {
    let (tokens, _) = cases().await;
    let client = TestClient::new(poem_port::app(tokens.into()).unwrap());
    let list = "/projects/146/tokens";
    let (status, body) = send(&client, Method::POST, list, r#"{"name":"CI","scopes":"notes:read"}"#).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    let issued: serde_json::Value = serde_json::from_str(&body).unwrap();

    let bearer = format!("Bearer {}", issued["token"].as_str().unwrap());
    let response = client.get("/projects/146/notes").header(header::AUTHORIZATION, bearer).send().await.0;
    assert_eq!(response.status(), StatusCode::OK);

    let (status, body) = send(&client, Method::GET, list, "").await;
    assert_eq!((status, body.matches(r#""name":"CI""#).count()), (StatusCode::OK, 1), "{body}");
    let one = format!("{list}/{}", issued["id"].as_str().unwrap());
    assert_eq!(send(&client, Method::DELETE, &one, "").await, (StatusCode::NO_CONTENT, String::new()));
    assert_eq!(send(&client, Method::PUT, list, "").await.0, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(send(&client, Method::POST, list, " ".repeat(1 << 17)).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}
