//! The table through axum.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Request};
use axum::routing::any;
use keyfob::ProjectId;
use keyfob::access::OwnProject;
use keyfob::axum::{Axum, Guard};
use keyfob::http::{Authenticated, Caller, Refusal};
use tower::ServiceExt;

use crate::http::table::{self, Got, Row, Sent};
use crate::http::world::World;
use crate::support::project;

async fn in_project(caller: Authenticated) -> String {
    format!("{} in {}", caller.owner(), caller.project())
}

async fn own_project(caller: Authenticated<OwnProject>) -> String {
    format!("{} of {}", caller.owner(), caller.project())
}

async fn late(caller: Authenticated<OwnProject>) -> Result<String, Refusal> {
    Ok(in_project(caller.in_project(&project("145"))?).await)
}

async fn beside(caller: Caller) -> String {
    match caller {
        Caller::Token(caller) => format!("token of {}", caller.owner()),
        Caller::Other(_) => "other".into(),
    }
}

fn host(request: &Parts) -> Result<ProjectId, keyfob::Invalid> {
    let host = request.headers.get("x-host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    ProjectId::new(host.split('.').next().unwrap_or_default())
}

fn app(world: &World) -> Router {
    let guard: Guard = world.guard::<Axum>();
    let fixed = guard.project(project("145"), "repo:read").unwrap();
    let basic = guard.clone().with_basic_challenge().project(project("145"), "repo:read").unwrap();
    Router::new()
        .route("/path/{project}", any(in_project).layer(guard.project_in_path("project", "repo:read").unwrap()))
        .route("/header", any(in_project).layer(guard.project_in_header("X-Project", "repo:read").unwrap()))
        .route("/by", any(in_project).layer(guard.project_by(host, "repo:read").unwrap()))
        .route("/fixed", any(in_project).layer(fixed.clone()))
        .route("/basic", any(in_project).layer(basic))
        .route("/own", any(own_project).layer(guard.own_project("").unwrap()))
        .route("/late", any(late).layer(guard.own_project("").unwrap()))
        .route("/beside", any(beside).layer(fixed.clone().or_other()))
        .route("/beside-strict", any(in_project).layer(fixed.or_other()))
        .route("/unguarded", any(in_project))
        .route("/wrong-kind", any(in_project).layer(guard.own_project("").unwrap()))
        .route("/misplaced", any(in_project).layer(guard.project_in_path("project", "").unwrap()))
}

async fn send(world: &World, sent: &Sent) -> Got {
    let mut request = Request::builder().method(sent.method).uri(sent.route.path()).body(Body::empty()).unwrap();
    for (name, value) in &sent.headers {
        let value = HeaderValue::from_bytes(value).unwrap();
        request.headers_mut().append(HeaderName::from_static(name), value);
    }
    let (parts, body) = app(world).oneshot(request).await.unwrap().into_parts();
    let headers = parts.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let body = to_bytes(body, 1 << 20).await.unwrap();
    Got { status: parts.status.as_u16(), headers: headers.collect(), body: String::from_utf8(body.to_vec()).unwrap() }
}

#[tokio::test]
async fn each_row_of_the_table_holds() {
    table::run(send, Row::check).await;
}
