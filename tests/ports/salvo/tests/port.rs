//! The guarded routes of the service with Salvo.
#![allow(clippy::unwrap_used)]

#[path = "../../answers.rs"]
mod answers;

use answers::{Answer, cases};
use salvo::Service;
use salvo::http::header;
use salvo::test::{ResponseExt, TestClient};

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
