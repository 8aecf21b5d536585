//! Docker's client with a registry. It signs in with a user name and a password.

use std::io::Write;
use std::process::{Command, Stdio};

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::WWW_AUTHENTICATE;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyfob::axum::Guard;

use crate::axum::world;
use crate::programs::server::{Server, exists};
use crate::support::new_token;

fn routes(guard: &Guard) -> Router {
    Router::new().route("/v2/", get(async || "{}").layer(guard.own_project("repo:read").unwrap()))
}

/// Sends what `docker login` sends: a request without a credential, and after the challenge a
/// request with the scheme Basic.
#[tokio::test]
async fn a_registry_asks_for_basic_alone() {
    let world = world::World::new();
    let made = world.usual().await;
    let app = routes(&world.guard.clone().with_basic_challenge_only());
    let first = world::get(&app, "/v2/", &[]).await;
    first.refused(401, "missing_token");
    let challenges: Vec<_> = first.headers.get_all(WWW_AUTHENTICATE).iter().collect();
    assert_eq!(challenges, [r#"Basic realm="acme", charset="UTF-8""#]);
    let basic = |token: &str| format!("Basic {}", STANDARD.encode(format!("ada:{token}")));
    let token = made.token.expose_secret();
    let second = world::get(&app, "/v2/", &[("authorization", &basic(token))]).await;
    assert_eq!(second.status, StatusCode::OK);
    world::get(&app, "/v2/", &[("authorization", &basic(&token[1..]))]).await.refused(401, "invalid_token");
    // Bearer is accepted, too. A refusal of another status has the challenge that it always has.
    let lacking = world.issue(new_token()).await;
    let lacking = world::with(&app, "/v2/", &lacking).await;
    lacking.refused(403, "insufficient_scope");
    assert!(lacking.challenge().unwrap().starts_with("Bearer realm=\"acme\", error=\"insufficient_scope\""));
}

/// Runs `docker login`. Without a daemon, the client itself sends the requests.
async fn login(server: &Server, token: &str) -> (bool, String) {
    let mut docker: Command = server.program("docker");
    docker.args(["login", "--username", "ada", "--password-stdin", &server.address.to_string()]);
    docker.env("DOCKER_HOST", format!("unix://{}/none.sock", server.home().display()));
    docker.env("DOCKER_CONFIG", server.home()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let token = token.to_owned();
    let output = tokio::task::spawn_blocking(move || {
        let mut child = docker.spawn().unwrap();
        child.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    });
    let output = output.await.unwrap();
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8(printed).unwrap();
    server.assert_shows_no_secret(&printed);
    (output.status.success(), printed)
}

#[tokio::test]
async fn docker_signs_in_after_the_basic_challenge() {
    if !exists("docker") {
        return test_summary::skip("docker is not installed; another test sends its requests");
    }
    let server = Server::start(|guard, _| routes(&guard.with_basic_challenge_only())).await;
    let (signed_in, printed) = login(&server, &server.good).await;
    assert!(signed_in && printed.contains("Login Succeeded"), "{printed}");
    assert_eq!(server.seen(), ["401 GET /v2/", "200 GET /v2/ Basic ada:GOOD"]);
    let (signed_in, printed) = login(&server, &server.bad).await;
    assert!(!signed_in && printed.contains("401"), "{printed}");
    assert_eq!(server.seen(), ["401 GET /v2/", "401 GET /v2/ Basic ada:BAD"]);

    // To Docker, the realm of the scheme Bearer is the URL of a service that issues tokens.
    let both = Server::start(|guard, _| routes(&guard.with_basic_challenge())).await;
    let (signed_in, printed) = login(&both, &both.good).await;
    assert!(!signed_in && printed.contains("unsupported protocol scheme"), "{printed}");
}
