//! Git over HTTP: a token in the URL, in `.netrc` and in a header.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use keyfob::axum::Guard;

use crate::programs::server::{Ended, Server, is_installed};

const REFS: &str = "GET /145/repo.git/info/refs?service=git-upload-pack";

/// Returns the references of a repository with one branch, as the smart protocol of HTTP sends
/// them.
async fn refs() -> ([(axum::http::HeaderName, &'static str); 1], String) {
    let line = |text: String| format!("{:04x}{text}", text.len() + 4);
    let id = "1".repeat(40);
    let service = line("# service=git-upload-pack\n".into());
    let (head, main) =
        (line(format!("{id} HEAD\0symref=HEAD:refs/heads/main\n")), line(format!("{id} refs/heads/main\n")));
    ([(CONTENT_TYPE, "application/x-git-upload-pack-advertisement")], format!("{service}0000{head}{main}0000"))
}

fn routes(guard: &Guard) -> Router {
    let guard = guard.project_in_path("project", "repo:read").unwrap();
    Router::new().route("/{project}/repo.git/info/refs", get(refs).layer(guard))
}

/// Lists the references of the repository. `user` is the part of the URL before the host.
async fn ls_remote(server: &Server, user: &str, settings: &[&str]) -> Ended {
    let mut git = server.program("git");
    git.args(["-c", "credential.helper="]).args(settings);
    git.args(["ls-remote", &format!("http://{user}{}/145/repo.git", server.address)]);
    git.env("GIT_TERMINAL_PROMPT", "0").env("GIT_CONFIG_NOSYSTEM", "1");
    server.run(git).await
}

#[tokio::test]
async fn git_sends_the_token_of_a_url_after_the_challenge() {
    if !is_installed("git") {
        return;
    }
    let server = Server::start(|guard, _| routes(&guard.with_basic_challenge())).await;
    let Server { good, bad, .. } = &server;
    for (user, sent) in [(format!("{good}:x@"), "Basic GOOD:x"), (format!("ada:{good}@"), "Basic ada:GOOD")] {
        ls_remote(&server, &user, &[]).await.printed("refs/heads/main");
        assert_eq!(server.seen(), [format!("401 {REFS}"), format!("200 {REFS} {sent}")]);
    }
    for (user, sent) in [(format!("{bad}:x@"), "Basic BAD:x"), (format!("ada:{bad}@"), "Basic ada:BAD")] {
        ls_remote(&server, &user, &[]).await.failed(128, "Authentication failed");
        assert_eq!(server.seen(), [format!("401 {REFS}"), format!("401 {REFS} {sent}")]);
    }
    // Without a credential, git would ask for one.
    ls_remote(&server, "", &[]).await.failed(128, "terminal prompts disabled");
    assert_eq!(server.seen(), [format!("401 {REFS}")]);
}

#[tokio::test]
async fn git_sends_the_token_of_a_netrc_and_of_a_header() {
    if !is_installed("git") {
        return;
    }
    let server = Server::start(|guard, _| routes(&guard.with_basic_challenge_only())).await;
    let netrc = format!("machine 127.0.0.1 login ada password {}\n", server.good);
    std::fs::write(server.home().join(".netrc"), netrc).unwrap();
    ls_remote(&server, "", &[]).await.printed("refs/heads/main");
    assert_eq!(server.seen(), [format!("401 {REFS}"), format!("200 {REFS} Basic ada:GOOD")]);
    std::fs::remove_file(server.home().join(".netrc")).unwrap();

    let header = |token: &str| format!("http.extraHeader=Authorization: Bearer {token}");
    ls_remote(&server, "", &["-c", &header(&server.good)]).await.printed("refs/heads/main");
    assert_eq!(server.seen(), [format!("200 {REFS} Bearer GOOD")]);
    ls_remote(&server, "", &["-c", &header(&server.bad)]).await.failed(128, "terminal prompts disabled");
}

/// The setting of the guard is needed: git sends nothing after the challenge of Bearer alone.
#[tokio::test]
async fn git_sends_no_token_without_the_basic_challenge() {
    if !is_installed("git") {
        return;
    }
    let server = Server::start(|guard, _| routes(&guard)).await;
    ls_remote(&server, &format!("ada:{}@", server.good), &[]).await.failed(128, "Authentication failed");
    assert_eq!(server.seen(), [format!("401 {REFS}")]);
}
