//! The package managers npm and pip.

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use keyfob::axum::Guard;

use crate::programs::server::{Ended, Server, is_installed};

fn routes(guard: &Guard) -> Router {
    let page = async || Html(r#"<a href="note-1.0-py3-none-any.whl">note-1.0-py3-none-any.whl</a>"#);
    Router::new()
        .route("/-/whoami", get(async || r#"{"username":"ada"}"#))
        .route("/simple/note/", get(page))
        .route_layer(guard.own_project("repo:read").unwrap())
}

async fn npm(server: &Server, token: &str) -> Ended {
    let address = server.address;
    std::fs::write(server.home().join(".npmrc"), format!("//{address}/:_authToken={token}\n")).unwrap();
    let mut npm = server.program("npm");
    npm.args(["whoami", "--registry", &format!("http://{address}/")]).env("NPM_CONFIG_UPDATE_NOTIFIER", "false");
    server.run(npm).await
}

#[tokio::test]
async fn npm_sends_its_token_as_bearer() {
    if !is_installed("npm") {
        return;
    }
    for challenge in [Guard::with_basic_challenge, |guard| guard] {
        let server = Server::start(|guard, _| routes(&challenge(guard))).await;
        npm(&server, &server.good).await.printed("ada");
        assert_eq!(server.seen().last().unwrap(), "200 GET /-/whoami Bearer GOOD");
        npm(&server, &server.bad).await.failed(1, "E401");
        assert_eq!(server.seen().last().unwrap(), "401 GET /-/whoami Bearer BAD");
    }
}

async fn pip(server: &Server, user: &str) -> Ended {
    let mut pip = server.program("python3");
    pip.args(["-m", "pip", "--no-input", "--no-cache-dir", "--disable-pip-version-check", "index", "versions", "note"]);
    pip.arg("--index-url").arg(format!("http://{user}@{}/simple/", server.address)).env("PIP_CONFIG_FILE", "/dev/null");
    server.run(pip).await
}

#[tokio::test]
async fn pip_sends_the_token_of_its_index_url() {
    if !is_installed("python3") || !is_installed("pip") {
        return;
    }
    let server = Server::start(|guard, _| routes(&guard.with_basic_challenge())).await;
    let Server { good, bad, .. } = &server;
    for (user, sent) in [(format!("__token__:{good}"), "__token__:GOOD"), (format!("{good}:x"), "GOOD:x")] {
        pip(&server, &user).await.printed("note (1.0)");
        assert_eq!(server.seen(), [format!("200 GET /simple/note/ Basic {sent}")]);
    }
    pip(&server, &format!("__token__:{bad}")).await.failed(1, "No matching distribution");
    assert!(server.seen().iter().all(|line| line == "401 GET /simple/note/ Basic __token__:BAD"));
}
