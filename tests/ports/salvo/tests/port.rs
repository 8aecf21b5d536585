//! The guarded routes of the service with Salvo.
#![allow(clippy::unwrap_used)]

#[path = "../../answers.rs"]
mod answers;

use answers::{Answer, cases};
use keyfob::http::Guard;
use salvo::http::header;
use salvo::test::{ResponseExt, TestClient};
use salvo::{Request, Router, Service, handler};
use salvo_port::connect::{Guarded, Salvo};

#[tokio::test]
async fn the_routes_are_guarded() {
    let (tokens, cases) = cases().await;
    let service = Service::new(salvo_port::app(tokens).unwrap());
    for case in cases {
        let mut request = TestClient::get(format!("http://127.0.0.1{}", case.path));
        for (name, value) in &case.headers {
            request = request.add_header(*name, value, false);
        }
        let mut response = request.send(&service).await;
        let challenges = response.headers().get_all(header::WWW_AUTHENTICATE).iter();
        let challenges = challenges.map(|value| value.to_str().unwrap().to_owned()).collect();
        let status = response.status_code.unwrap().as_u16();
        case.check(&Answer { status, challenges, body: response.take_string().await.unwrap() });
    }
}

#[handler]
async fn shown(request: &mut Request) -> String {
    format!("{:?}", request.headers())
}

#[tokio::test]
async fn the_debug_text_of_a_guarded_request_has_no_token() {
    let (tokens, cases) = cases().await;
    let guard = Guard::<Salvo>::new(tokens).own_project("").unwrap();
    let service = Service::new(Router::new().hoop(Guarded(guard)).get(shown));
    let (name, value) = &cases[0].headers[0];
    let request = TestClient::get("http://127.0.0.1/").add_header(*name, value, false);
    let body = request.send(&service).await.take_string().await.unwrap();
    assert!(body.contains(r#""authorization": Sensitive"#), "{body}");
}
