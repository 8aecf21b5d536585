//! The guarded routes of the service with Rocket.
#![allow(clippy::unwrap_used)]

#[path = "../../answers.rs"]
mod answers;

use answers::{Answer, cases};
use rocket::http::Header;
use rocket::local::asynchronous::Client;

#[rocket::async_test]
async fn the_routes_are_guarded() {
    let (tokens, cases) = cases().await;
    let client = Client::untracked(rocket_port::app(tokens).unwrap()).await.unwrap();
    for case in cases {
        let mut request = client.get(case.path);
        for (name, value) in &case.headers {
            request.add_header(Header::new(*name, value.clone()));
        }
        let response = request.dispatch().await;
        let challenges = response.headers().get("www-authenticate").map(str::to_owned).collect();
        let status = response.status().code;
        case.check(&Answer { status, challenges, body: response.into_string().await.unwrap() });
    }
}
