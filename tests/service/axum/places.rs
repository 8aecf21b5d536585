//! Where a request comes from, and what stands around a guarded route.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get as on_get;
use keyfob::axum::{Authenticated, Refusal};

use crate::axum::world::{Answer, World, bearer, get, in_project, request, send, with};
use crate::support::{new_token, project};

/// A request over a connection from this address.
async fn from(app: &Router, address: Option<&str>, headers: &[(&str, &str)]) -> Answer {
    let mut request: Request<Body> = request(axum::http::Method::GET, "/", headers);
    if let Some(address) = address {
        let address: IpAddr = address.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(address, 4711)));
    }
    send(app, request).await
}

#[tokio::test]
async fn the_connection_tells_the_address_and_no_header_does() {
    let world = World::new();
    let made = world.issue(new_token().with_addresses("10.0.0.0/8".parse().unwrap())).await;
    let guard = world.guard.project(project("145"), "").unwrap();
    let app = Router::new().route("/", on_get(in_project).layer(guard));
    let authorization = bearer(&made);
    let token = ("authorization", authorization.as_str());
    for near in ["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"] {
        from(&app, Some(near), &[token]).await.passed("ada in 145");
    }
    let forged = ("x-forwarded-for", "10.0.0.1");
    let real = ("x-real-ip", "10.0.0.1");
    for far in [Some("9.255.255.255"), Some("11.0.0.0"), Some("::1"), None] {
        from(&app, far, &[token]).await.refused(403, "wrong_address");
        from(&app, far, &[token, forged, real, ("forwarded", "for=10.0.0.1")]).await.refused(403, "wrong_address");
    }
}

#[tokio::test]
async fn a_host_behind_a_proxy_tells_the_address() {
    let world = World::new();
    let made = world.issue(new_token().with_addresses("10.0.0.0/8".parse().unwrap())).await;
    let guard = world.guard.clone();
    let guard = guard.with_client_address(|request| request.headers.get("x-real-ip")?.to_str().ok()?.parse().ok());
    let guard = guard.project(project("145"), "").unwrap();
    let app = Router::new().route("/", on_get(in_project).layer(guard));
    let authorization = bearer(&made);
    let token = ("authorization", authorization.as_str());
    from(&app, Some("192.0.2.1"), &[token, ("x-real-ip", "10.0.0.1")]).await.passed("ada in 145");
    from(&app, Some("10.0.0.1"), &[token, ("x-real-ip", "192.0.2.1")]).await.refused(403, "wrong_address");
    from(&app, Some("10.0.0.1"), &[token, ("x-real-ip", "nowhere")]).await.refused(403, "wrong_address");
    from(&app, Some("10.0.0.1"), &[token]).await.refused(403, "wrong_address");
}

/// No `FromRef` is asked for.
#[derive(Clone)]
struct App(Arc<String>);

async fn stateful(State(app): State<App>, caller: Authenticated) -> String {
    format!("{} {}", app.0, caller.owner())
}

#[tokio::test]
async fn any_state_will_do() {
    let world = World::new();
    let made = world.usual().await;
    let guard = world.guard.project_in_path("project", "repo:read").unwrap();
    let app = Router::new()
        .route("/a/{project}", on_get(stateful).layer(guard.clone()))
        .route("/b/{project}", on_get(stateful))
        .route_layer(guard)
        .with_state(App(Arc::new("hello".into())));
    with(&app, "/a/145", &made).await.passed("hello ada");
    with(&app, "/b/145", &made).await.passed("hello ada");
    get(&app, "/b/145", &[]).await.refused(401, "missing_token");
}

/// Behind the guard, and before the handler, which takes the caller once more.
async fn only_ada(caller: Authenticated, request: Request, next: Next) -> Result<Response, Refusal> {
    match caller.owner().as_str() {
        "ada" => Ok(next.run(request).await),
        _ => Err(Refusal::new(axum::http::StatusCode::FORBIDDEN, "not_ada", "only for ada")),
    }
}

#[tokio::test]
async fn a_middleware_takes_the_caller_too() {
    let world = World::new();
    let guard = || world.guard.project(project("145"), "").unwrap();
    let bob = keyfob::NewToken::new(project("145"), "bob".parse().unwrap(), "CI".parse().unwrap());
    let (ada, bob) = (world.usual().await, world.issue(bob).await);
    let app = Router::new()
        .route("/", on_get(in_project).route_layer(from_fn(only_ada)).layer(guard()))
        .route("/wrong", on_get(in_project).route_layer(guard()).layer(from_fn(only_ada)));
    with(&app, "/", &ada).await.passed("ada in 145");
    with(&app, "/", &bob).await.refused(403, "not_ada");
    with(&app, "/wrong", &ada).await.refused(500, "unguarded");
}
