//! Cargo with a private registry, to which it sends the token without a scheme.

use std::env;
use std::net::SocketAddr;

use axum::routing::{delete, get};
use axum::{Json, Router};
use keyfob::axum::Guard;
use keyfob::http::CredentialPlaces;
use serde_json::json;

use crate::programs::server::{Ended, Server};

fn routes(guard: &Guard, address: SocketAddr) -> Router {
    let url = format!("http://{address}");
    let config = json!({ "dl": format!("{url}/dl"), "api": url, "auth-required": true });
    let found = json!({ "crates": [{ "name": "note", "max_version": "1.0.0" }], "meta": { "total": 1 } });
    Router::new()
        .route("/index/config.json", get(async move || Json(config)))
        .route("/api/v1/crates", get(async move || Json(found)))
        .route("/api/v1/crates/note/1.0.0/yank", delete(async || Json(json!({ "ok": true }))))
        .route_layer(guard.own_project("repo:read").unwrap())
}

async fn cargo(server: &Server, token: &str, arguments: &[&str]) -> Ended {
    // Tests run under cargo, which names itself in this variable.
    let mut cargo = server.program(env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(arguments).args(["--registry", "acme"]).env("CARGO_HOME", server.home());
    cargo.env("CARGO_REGISTRIES_ACME_INDEX", format!("sparse+http://{}/index/", server.address));
    cargo.env("CARGO_REGISTRY_GLOBAL_CREDENTIAL_PROVIDERS", "cargo:token");
    cargo.env("CARGO_REGISTRIES_ACME_TOKEN", token);
    server.run(cargo).await
}

#[tokio::test]
async fn cargo_sends_the_bare_token_to_a_registry_that_needs_one() {
    let places = CredentialPlaces::new().with_bare_token();
    let server = Server::start(|guard, address| routes(&guard.with_places(places), address)).await;
    let Server { good, bad, .. } = &server;
    cargo(&server, good, &["search", "note"]).await.printed("note = \"1.0.0\"");
    let seen = server.seen();
    let sent = ["401 GET /index/config.json", "200 GET /index/config.json GOOD"];
    assert_eq!(seen[..2], sent, "{seen:?}");
    assert!(seen[2].starts_with("200 GET /api/v1/crates?q=note") && seen[2].ends_with(" GOOD"), "{seen:?}");
    let yank = cargo(&server, good, &["yank", "note@1.0.0"]).await;
    assert_eq!(yank.code, Some(0), "{}", yank.stderr);
    assert!(server.seen().contains(&"200 DELETE /api/v1/crates/note/1.0.0/yank GOOD".to_owned()));

    let refused = cargo(&server, bad, &["yank", "note@1.0.0"]).await;
    refused.failed(101, "token rejected for `acme`");
    assert!(refused.stderr.contains("invalid_token"), "{}", refused.stderr);
    assert!(server.seen().iter().all(|line| line.starts_with("401 ") && line.ends_with(" BAD")));
}

/// The setting of the guard is needed: without it, the token alone is no credential.
#[tokio::test]
async fn cargo_is_refused_unless_the_bare_token_is_a_place() {
    let server = Server::start(|guard, address| routes(&guard, address)).await;
    cargo(&server, &server.good, &["search", "note"]).await.failed(101, "wrong_scheme");
}
