//! The ways in which a request can name its project, and the responses to requests that name no
//! project.

use axum::Router;
use axum::http::HeaderName;
use axum::routing::get as on_get;
use keyfob::{Invalid, error::InvalidField};

use crate::axum::world::{World, app, bearer, get, in_project, own_project, with};
use crate::support::{new_token, project};

#[tokio::test]
async fn the_path_names_the_project() {
    let world = World::new();
    let made = world.usual().await;
    let guard = world.guard.project_in_path("project", "repo:read").unwrap();
    let app = app("/projects/{project}/repo/{file}", on_get(in_project).layer(guard));
    with(&app, "/projects/145/repo/a", &made).await.passed("ada in 145");
    with(&app, "/projects/%31%34%35/repo/a", &made).await.passed("ada in 145");
    with(&app, "/projects/146/repo/145", &made).await.refused(403, "wrong_project");
    for none in ["Acme", "a-b", "%00", "%ff", "145%20", "145%2f146", &"a".repeat(33)] {
        let path = format!("/projects/{none}/repo/a");
        let answer = with(&app, &path, &made).await;
        answer.refused(404, "not_found");
        assert_eq!(answer.challenge(), None);
        get(&app, &path, &[]).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn an_outer_path_names_the_project() {
    let world = World::new();
    let made = world.usual().await;
    let guard = || world.guard.project_in_path("project", "repo:read").unwrap();
    let inner = || Router::new().route("/repo/{file}", on_get(in_project));
    for (app, between) in [
        (Router::new().nest("/projects/{project}", inner().route_layer(guard())), ""),
        (Router::new().nest("/projects/{project}", inner()).route_layer(guard()), ""),
        (Router::new().nest_service("/projects/{project}", inner().route_layer(guard())), ""),
        (Router::new().nest("/projects/{project}", Router::new().nest("/x", inner())).layer(guard()), "/x"),
    ] {
        let path = |project| format!("/projects/{project}{between}/repo/146");
        with(&app, &path("145"), &made).await.passed("ada in 145");
        with(&app, &path("146"), &made).await.refused(403, "wrong_project");
        with(&app, &path("Acme"), &made).await.refused(404, "not_found");
        get(&app, &path("145"), &[]).await.refused(401, "missing_token");
    }
}

/// If a path names two projects, the guard could check one of them and the handler could use the
/// other. So the guard refuses the request.
#[tokio::test]
async fn a_path_that_names_two_projects_or_none_is_a_500() {
    let world = World::new();
    let made = world.usual().await;
    let guard = || world.guard.project_in_path("project", "").unwrap();
    let inner = Router::new().route("/copy/{project}", on_get(in_project).layer(guard()));
    let twice = Router::new().nest_service("/projects/{project}", inner);
    let none = app("/repo/{id}", on_get(in_project).layer(guard()));
    for (app, path) in [(&twice, "/projects/145/copy/146"), (&twice, "/projects/145/copy/145"), (&none, "/repo/145")] {
        with(app, path, &made).await.refused(500, "misplaced_guard");
        get(app, path, &[]).await.refused(500, "misplaced_guard");
    }
    // With `Router::layer`, the guard also runs for requests to paths that do not exist.
    let layered = app("/projects/{project}", on_get(in_project)).layer(guard());
    with(&layered, "/nowhere", &made).await.refused(500, "misplaced_guard");
    let routed = app("/projects/{project}", on_get(in_project)).route_layer(guard());
    assert_eq!(with(&routed, "/nowhere", &made).await.status, 404);
}

#[tokio::test]
async fn a_header_names_the_project() {
    let world = World::new();
    let made = world.usual().await;
    let name = HeaderName::from_static("x-project-id");
    let guard = world.guard.project_in_header(name, "repo:read").unwrap();
    let app = app("/repo", on_get(in_project).layer(guard));
    let authorization = bearer(&made);
    let token = ("authorization", authorization.as_str());
    get(&app, "/repo", &[token, ("x-project-id", "145")]).await.passed("ada in 145");
    get(&app, "/repo", &[token, ("x-project-id", "146")]).await.refused(403, "wrong_project");
    for headers in [
        &[token][..],
        &[token, ("x-project-id", "")],
        &[token, ("x-project-id", "145 146")],
        &[token, ("x-project-id", "é")],
        &[token, ("x-project-id", "145"), ("x-project-id", "145")],
        &[],
    ] {
        get(&app, "/repo", headers).await.refused(400, "invalid_project");
    }
}

#[tokio::test]
async fn a_route_belongs_to_one_project_or_to_none() {
    let world = World::new();
    let made = world.usual().await;
    let fixed = |text| world.guard.project(project(text), "repo:read").unwrap();
    let app = Router::new()
        .route("/ours", on_get(in_project).layer(fixed("145")))
        .route("/theirs", on_get(in_project).layer(fixed("146")))
        .route("/whoami", on_get(own_project).layer(world.guard.own_project("").unwrap()))
        .route("/repos", on_get(own_project).layer(world.guard.own_project("repo:read").unwrap()));
    with(&app, "/ours", &made).await.passed("ada in 145");
    with(&app, "/theirs", &made).await.refused(403, "wrong_project");
    with(&app, "/whoami", &made).await.passed("ada of 145");
    with(&app, "/repos", &made).await.passed("ada of 145");
    let plain = world.issue(new_token()).await;
    with(&app, "/whoami", &plain).await.passed("ada of 145");
    with(&app, "/repos", &plain).await.refused(403, "insufficient_scope");
}

#[test]
fn invalid_scopes_are_found_when_the_route_is_created() {
    let guard = World::new().guard;
    let field = |made: Result<keyfob::http::RouteGuard<keyfob::axum::Axum>, Invalid>| made.unwrap_err().field();
    assert_eq!(field(guard.project_in_path("project", "repo:read \"")), InvalidField::Scope);
    assert_eq!(field(guard.project_in_header(HeaderName::from_static("x"), "é")), InvalidField::Scope);
    assert_eq!(field(guard.project(project("145"), "a\\b")), InvalidField::Scope);
    assert_eq!(field(guard.own_project(&"s".repeat(129))), InvalidField::Scope);
    assert!(guard.own_project(&format!(" {}\t\n", "s".repeat(128))).is_ok());
}
