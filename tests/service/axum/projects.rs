//! The ways in which a request can name its project, and the responses to requests that name no
//! project.

use axum::Router;
use axum::http::HeaderName;
use axum::http::request::Parts;
use axum::routing::get as on_get;
use keyfob::{Invalid, ProjectId, error::InvalidField, http::Refusal};

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

/// A guard reads a path with few parameters in another way than a path with many, or with long
/// names.
#[tokio::test]
async fn a_path_with_any_number_of_parameters_names_the_project() {
    let world = World::new();
    let made = world.usual().await;
    let named = |name: &str| on_get(in_project).layer(world.guard.project_in_path(name, "").unwrap());
    for (many, path) in [
        ("/{project}", "/145"),
        ("/{a}/{b}/{c}/{project}", "/1/2/3/145"),
        ("/{a}/{b}/{c}/{d}/{project}", "/1/2/3/4/145"),
        ("/{project}/{b}/{c}/{d}/{e}/{f}", "/145/2/3/4/5/6"),
    ] {
        let app = app(many, named("project"));
        with(&app, path, &made).await.passed("ada in 145");
        with(&app, &path.replace("145", "146"), &made).await.refused(403, "wrong_project");
        with(&app, &path.replace("145", "A"), &made).await.refused(404, "not_found");
        with(&app, &path.replace("145", "%ff"), &made).await.refused(404, "not_found");
    }
    for length in [32, 33] {
        let name = "p".repeat(length);
        let app = app(&format!("/{{{name}}}/{{project}}"), named(&name));
        with(&app, "/145/146", &made).await.passed("ada in 145");
        with(&app, "/146/145", &made).await.refused(403, "wrong_project");
        let other = self::app(&format!("/{{{name}}}/{{project}}"), named(&name[1..]));
        with(&other, "/145/145", &made).await.refused(500, "misplaced_guard");
    }
    let inner = Router::new().route("/{a}/{b}/{c}/{project}", named("project"));
    let twice = Router::new().nest_service("/{project}", inner);
    with(&twice, "/145/1/2/3/145", &made).await.refused(500, "misplaced_guard");
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

/// Returns the project in the first label of the host name, such as `145` in `145.acme.example`.
fn by_host(parts: &Parts) -> Result<ProjectId, Refusal> {
    let none = || Refusal::new(404_u16, "not_found", "there is no such project");
    let host = parts.headers.get("host").and_then(|host| host.to_str().ok()).ok_or_else(none)?;
    let label = host.strip_suffix(".acme.example").ok_or_else(none)?;
    ProjectId::new(label).map_err(|_| none())
}

#[tokio::test]
async fn the_host_name_names_the_project() {
    let world = World::new();
    let made = world.usual().await;
    let app = app("/repo", on_get(in_project).layer(world.guard.project_by(by_host, "repo:read").unwrap()));
    let authorization = bearer(&made);
    let token = ("authorization", authorization.as_str());
    get(&app, "/repo", &[token, ("host", "145.acme.example")]).await.passed("ada in 145");
    get(&app, "/repo", &[token, ("host", "146.acme.example")]).await.refused(403, "wrong_project");
    get(&app, "/repo", &[("host", "145.acme.example")]).await.refused(401, "missing_token");
    for headers in [&[token][..], &[token, ("host", "acme.example")], &[token, ("host", "A.acme.example")]] {
        let answer = get(&app, "/repo", headers).await;
        answer.refused(404, "not_found");
        assert_eq!(answer.challenge(), None);
    }
}

/// A function of the host may return the error of the project id. It converts into a refusal.
#[tokio::test]
async fn the_query_names_the_project() {
    let world = World::new();
    let made = world.usual().await;
    let by_query = |parts: &Parts| ProjectId::new(parts.uri.query().unwrap_or_default());
    let guard = world.guard.project_by(by_query, "repo:read").unwrap();
    let app = app("/repo", on_get(in_project).layer(guard));
    with(&app, "/repo?145", &made).await.passed("ada in 145");
    with(&app, "/repo?146", &made).await.refused(403, "wrong_project");
    get(&app, "/repo?145", &[]).await.refused(401, "missing_token");
    for path in ["/repo", "/repo?", "/repo?A", "/repo?145&146"] {
        with(&app, path, &made).await.refused(400, "invalid");
        get(&app, path, &[]).await.refused(400, "invalid");
    }
    assert_eq!(world.guard.project_by(by_query, "a\\b").unwrap_err().field(), InvalidField::Scope);
}

#[tokio::test]
async fn the_name_of_a_project_header_is_checked_and_has_any_case() {
    let world = World::new();
    let made = world.usual().await;
    let app = app("/repo", on_get(in_project).layer(world.guard.project_in_header("X-Project-ID", "").unwrap()));
    let authorization = bearer(&made);
    get(&app, "/repo", &[("authorization", &authorization), ("x-PROJECT-id", "145")]).await.passed("ada in 145");
    for name in ["", "x project", "x:", "é", &"x".repeat(65)] {
        assert_eq!(world.guard.project_in_header(name, "").unwrap_err().field(), InvalidField::HeaderName, "{name:?}");
    }
    assert!(world.guard.project_in_header("x".repeat(64), "").is_ok());
}
