//! The guarded routes of the service with poem.
#![allow(clippy::unwrap_used)]

#[path = "../../answers.rs"]
mod answers;

use answers::{Answer, cases};
use poem::http::header;
use poem::test::TestClient;

#[tokio::test]
async fn the_routes_are_guarded() {
    let (tokens, cases) = cases().await;
    let client = TestClient::new(poem_port::app(tokens).unwrap());
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
