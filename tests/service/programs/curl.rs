//! curl with each of its ways to authenticate.

use axum::Router;
use axum::routing::get;
use keyfob::axum::Guard;
use keyfob::http::Authenticated;

use crate::programs::server::{Ended, Server, is_installed};

fn routes(guard: &Guard) -> Router {
    let owner = async |caller: Authenticated| caller.owner().to_string();
    let guard = guard.project_in_path("project", "repo:read").unwrap();
    Router::new().route("/{project}", get(owner).layer(guard))
}

async fn curl(server: &Server, arguments: &[&str]) -> Ended {
    let mut curl = server.program("curl");
    curl.args(["--silent", "--show-error", "--fail-with-body"]).args(arguments);
    curl.arg(format!("http://{}/145", server.address));
    server.run(curl).await
}

#[tokio::test]
async fn curl_chooses_basic_if_the_server_asks_for_it() {
    if !is_installed("curl") {
        return;
    }
    let server = Server::start(|guard, _| routes(&guard.with_basic_challenge())).await;
    let Server { good, bad, .. } = &server;
    for (user, sent) in [(format!("ada:{good}"), "Basic ada:GOOD"), (format!("{good}:"), "Basic GOOD:")] {
        curl(&server, &["--anyauth", "--user", &user]).await.printed("ada");
        assert_eq!(server.seen(), ["401 GET /145".to_owned(), format!("200 GET /145 {sent}")]);
    }
    let refused = curl(&server, &["--anyauth", "--user", &format!("ada:{bad}")]).await;
    refused.failed(22, "401");
    assert!(refused.stdout.contains(r#""reason":"invalid_token""#), "{}", refused.stdout);
    assert_eq!(server.seen(), ["401 GET /145", "401 GET /145 Basic ada:BAD"]);
    // The challenge of Bearer is there too.
    curl(&server, &["--anyauth", "--oauth2-bearer", good]).await.printed("ada");
    assert_eq!(server.seen(), ["401 GET /145", "200 GET /145 Bearer GOOD"]);
    curl(&server, &[]).await.failed(22, "401");
}

#[tokio::test]
async fn curl_sends_basic_or_bearer_without_a_challenge() {
    if !is_installed("curl") {
        return;
    }
    let server = Server::start(|guard, _| routes(&guard)).await;
    let Server { good, bad, .. } = &server;
    curl(&server, &["--user", &format!("ada:{good}")]).await.printed("ada");
    curl(&server, &["--oauth2-bearer", good]).await.printed("ada");
    curl(&server, &["--header", &format!("authorization: bearer {good}")]).await.printed("ada");
    curl(&server, &["--header", &format!("Authorization: Bearer {bad}")]).await.failed(22, "401");
    let sent = [
        "200 GET /145 Basic ada:GOOD",
        "200 GET /145 Bearer GOOD",
        "200 GET /145 bearer GOOD",
        "401 GET /145 Bearer BAD",
    ];
    assert_eq!(server.seen(), sent);
    // Without the challenge of Basic, `--anyauth` finds no scheme for a user name and a password.
    curl(&server, &["--anyauth", "--user", &format!("ada:{good}")]).await.failed(22, "401");
    assert_eq!(server.seen(), ["401 GET /145"]);
}
