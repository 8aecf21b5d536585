//! The parameters of a path that a guard of a resource, a scope or an app can read.

use actix_web::web::{ServiceConfig, resource, scope};

use crate::actix::world::{get, guard, with};
use crate::axum::world::{World, in_project};
use crate::support::project;

#[tokio::test]
async fn the_path_names_the_project() {
    let world = World::new();
    let made = world.usual().await;
    let guard = guard(&world).project_in_path("project", "repo:read").unwrap();
    let app = |app: &mut ServiceConfig| {
        app.service(resource("/projects/{project}/repo/{file}").get(in_project).wrap(guard.clone()));
    };
    with(app, "/projects/145/repo/a", &made).await.passed("ada in 145");
    with(app, "/projects/%31%34%35/repo/a", &made).await.passed("ada in 145");
    with(app, "/projects/146/repo/145", &made).await.refused(403, "wrong_project");
    for none in ["Acme", "a-b", "%00", "%ff", "145%20", "145%2f146", "145%252f", &"a".repeat(33)] {
        let path = format!("/projects/{none}/repo/a");
        let answer = with(app, &path, &made).await;
        answer.refused(404, "not_found");
        assert_eq!(answer.challenge(), None);
        get(app, &path, &[]).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn the_path_of_a_scope_names_the_project() {
    let world = World::new();
    let made = world.usual().await;
    let guard = guard(&world).project_in_path("project", "repo:read").unwrap();
    let on_scope = |app: &mut ServiceConfig| {
        let repo = resource("/repo/{file}").get(in_project);
        app.service(scope("/projects/{project}").service(repo).wrap(guard.clone()));
    };
    let on_resource = |app: &mut ServiceConfig| {
        let repo = resource("/repo/{file}").get(in_project);
        app.service(scope("/projects/{project}").service(repo.wrap(guard.clone())));
    };
    for app in [&on_scope as &dyn Fn(&mut ServiceConfig), &on_resource] {
        with(app, "/projects/145/repo/146", &made).await.passed("ada in 145");
        with(app, "/projects/146/repo/145", &made).await.refused(403, "wrong_project");
        with(app, "/projects/Acme/repo/145", &made).await.refused(404, "not_found");
        get(app, "/projects/145/repo/146", &[]).await.refused(401, "missing_token");
    }
    // The guard of a scope also runs for requests to paths that do not exist.
    get(on_scope, "/projects/145/nowhere", &[]).await.refused(401, "missing_token");
    assert_eq!(get(on_resource, "/projects/145/nowhere", &[]).await.status, 404);
}

/// If a path names two projects, the guard could check one of them and the handler could use the
/// other. So the guard refuses the request.
#[tokio::test]
async fn a_path_that_names_two_projects_or_none_is_a_500() {
    let world = World::new();
    let made = world.usual().await;
    let guard = guard(&world).project_in_path("project", "").unwrap();
    let twice = |app: &mut ServiceConfig| {
        let copy = resource("/copy/{project}").get(in_project);
        app.service(scope("/projects/{project}").service(copy.wrap(guard.clone())));
    };
    let none = |app: &mut ServiceConfig| {
        app.service(resource("/repo/{id}").get(in_project).wrap(guard.clone()));
    };
    let on_app = |app: &mut ServiceConfig| {
        app.service(scope("").service(resource("/{project}").get(in_project)).wrap(guard.clone()));
    };
    for (app, path) in [
        (&twice as &dyn Fn(&mut ServiceConfig), "/projects/145/copy/146"),
        (&twice, "/projects/145/copy/145"),
        (&none, "/repo/145"),
        (&on_app, "/145"),
    ] {
        with(app, path, &made).await.refused(500, "misplaced_guard");
        get(app, path, &[]).await.refused(500, "misplaced_guard");
    }
}

#[tokio::test]
async fn a_header_or_the_host_names_the_project() {
    let world = World::new();
    let made = world.usual().await;
    let in_header = guard(&world).project_in_header("X-Project-Id", "repo:read").unwrap();
    let in_host = guard(&world).project_by(
        |request| {
            keyfob::ProjectId::new(request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or(""))
        },
        "repo:read",
    );
    let (in_host, fixed) = (in_host.unwrap(), guard(&world).project(project("145"), "repo:read").unwrap());
    let app = |app: &mut ServiceConfig| {
        app.service(resource("/header").get(in_project).wrap(in_header.clone()));
        app.service(resource("/host").get(in_project).wrap(in_host.clone()));
        app.service(resource("/fixed").get(in_project).wrap(fixed.clone()));
    };
    let authorization = crate::axum::world::bearer(&made);
    let token = ("authorization", authorization.as_str());
    get(app, "/header", &[token, ("x-project-id", "145")]).await.passed("ada in 145");
    get(app, "/header", &[token, ("x-project-id", "146")]).await.refused(403, "wrong_project");
    get(app, "/header", &[token, ("x-project-id", "145"), ("x-project-id", "145")])
        .await
        .refused(400, "invalid_project");
    get(app, "/host", &[token, ("host", "145")]).await.passed("ada in 145");
    get(app, "/host", &[token, ("host", "A")]).await.refused(400, "invalid");
    get(app, "/fixed", &[token]).await.passed("ada in 145");
}
