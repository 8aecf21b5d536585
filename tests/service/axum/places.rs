//! Tests of the client's address, and of guards together with application state and middleware.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get as on_get;
use keyfob::axum::Guard;
use keyfob::clock::FixedClock;
use keyfob::http::{Authenticated, CredentialPlaces, Refusal};
use keyfob::tokens::Usage;
use keyfob::{MemoryStore, Rejection, Scope, Tokens};

use crate::axum::world::{Answer, MS, World, bearer, get, in_project, request, send, with};
use crate::support::{actor, keyring, new_token, now, project};

/// Sends a request to `/` over a connection from this client address.
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

/// A request may have several values in a place, if none of them is a token.
#[tokio::test]
async fn every_value_of_a_secret_header_is_marked() {
    let places = CredentialPlaces::new().with_header("x-api-key").unwrap().with_header("x-key").unwrap();
    let guard = World::new().guard.with_places(places).project(project("145"), "").unwrap().or_other();
    let marked = async |headers: HeaderMap| {
        let marked = headers.iter().filter(|(_, value)| value.is_sensitive());
        marked.map(|(name, value)| format!("{name} {}", value.to_str().unwrap())).collect::<Vec<_>>().join(", ")
    };
    let app = Router::new().route("/", on_get(marked).layer(guard));
    let authorizations = [("authorization", "Digest 1"), ("authorization", "Digest 2"), ("authorization", "x 3")];
    let others = [("accept", "*/*"), ("x-api-key", "4"), ("x-api-key", "5"), ("x-key", "6"), ("x-other", "7")];
    let headers = [&authorizations[..], &others].concat();
    let expected =
        "authorization Digest 1, authorization Digest 2, authorization x 3, x-api-key 4, x-api-key 5, x-key 6";
    get(&app, "/", &headers).await.passed(expected);
}

#[tokio::test]
async fn a_host_behind_a_proxy_provides_the_address() {
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

/// An application state that does not implement `FromRef`.
#[derive(Clone)]
struct App(Arc<String>);

async fn stateful(State(app): State<App>, caller: Authenticated) -> String {
    format!("{} {}", app.0, caller.owner())
}

#[tokio::test]
async fn a_guard_works_with_every_kind_of_state() {
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

/// Lets only requests of the owner `ada` pass. This middleware is between the guard and the
/// handler, and takes the caller as an argument, like a handler.
async fn only_ada(caller: Authenticated, request: Request, next: Next) -> Result<Response, Refusal> {
    match caller.owner().as_str() {
        "ada" => Ok(next.run(request).await),
        _ => Err(Refusal::new(axum::http::StatusCode::FORBIDDEN, "not_ada", "only for ada")),
    }
}

#[tokio::test]
async fn a_middleware_receives_the_caller_too() {
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

#[tokio::test]
async fn a_last_use_records_the_address_and_the_client() {
    let clock = FixedClock::new(now());
    let usage = Usage::default().with_resolution(std::time::Duration::ZERO).with_origins();
    let tokens = Arc::new(Tokens::new(keyring(), MemoryStore::new()).with_clock(clock.clone()).with_usage(usage));
    let made = tokens.issue(&actor(), new_token()).await.unwrap();
    let guard = Guard::new(Arc::clone(&tokens)).own_project("").unwrap();
    let again =
        async |caller: Authenticated<keyfob::access::OwnProject>| caller.recheck().await.map(|_| "checked again");
    let app = Router::new()
        .route("/", on_get(again).layer(guard.clone()))
        .route("/once", on_get(async || "once").layer(guard));
    let authorization = bearer(&made);
    let used_from = async || {
        tokens.flush_usage().await.unwrap();
        tokens.get(&made.record.key()).await.unwrap().unwrap().last_used_from.unwrap()
    };
    let headers = [("authorization", authorization.as_str()), ("user-agent", "agent/1 \u{202e}(x)")];
    get(&app, "/once", &headers).await.passed("once");
    let used = used_from().await;
    assert_eq!((used.address, used.client.unwrap().as_str()), (None, "agent/1 (x)"));

    // A handler can check a request a second time. The second check records the same address and
    // client.
    clock.advance(MS);
    from(&app, Some("203.0.113.7"), &headers).await.passed("checked again");
    let used = used_from().await;
    assert_eq!(used.address, Some("203.0.113.7".parse().unwrap()));
    assert_eq!(used.client.unwrap().as_str(), "agent/1 (x)");
    clock.advance(MS);
    get(&app, "/once", &headers[..1]).await.passed("once");
    tokens.flush_usage().await.unwrap();
    assert_eq!(tokens.get(&made.record.key()).await.unwrap().unwrap().last_used_from, None);
}

/// Clients of the Model Context Protocol need the scopes and the address of the metadata in every
/// 401 response.
#[tokio::test]
async fn every_401_names_the_scopes_of_its_route_and_the_metadata() {
    let world = World::new();
    let (made, other) = (world.usual().await, world.issue(new_token()).await);
    let guard = world.guard.clone().with_resource_metadata(|request| {
        let host = request.headers.get("host")?.to_str().ok()?;
        Some(format!("https://{host}/.well-known/oauth-protected-resource"))
    });
    let write = Scope::new("repo:write").unwrap();
    let lacking = async move |caller: Authenticated| -> Result<(), Refusal> {
        match caller.scopes().as_str() {
            "notes:read repo:read" => Err(caller.refuse_without(&[write])),
            _ => Err(caller.refuse(Rejection::OwnerSuspended)),
        }
    };
    let app = Router::new()
        .route("/", on_get(in_project).layer(guard.project(project("145"), "repo:read user").unwrap()))
        .route("/lacking", on_get(lacking).layer(guard.project(project("145"), "").unwrap()))
        .route("/within", on_get(lacking_of_guard).layer(guard.project(project("145"), "repo:read").unwrap()));
    let metadata = "resource_metadata=\"https://acme.example/.well-known/oauth-protected-resource\"";
    let refused = async |path: &str, token: Option<&str>| {
        let host = ("host", "acme.example");
        let answer = match token {
            Some(token) => get(&app, path, &[host, ("authorization", &format!("Bearer {token}"))]).await,
            None => get(&app, path, &[host]).await,
        };
        let challenge = answer.challenge().unwrap().to_owned();
        let challenge = challenge.strip_suffix(&format!(", {metadata}")).unwrap_or_else(|| panic!("{challenge}"));
        let scope = challenge.split_once(", scope=").map(|(_, scope)| scope.to_owned());
        (answer.status.as_u16(), scope)
    };
    let text = made.token.expose_secret();
    let of_route = Some("\"repo:read user\"".to_owned());
    assert_eq!(refused("/", None).await, (401, of_route.clone()));
    assert_eq!(refused("/", Some("acme_pat_no")).await, (401, of_route.clone()));
    assert_eq!(refused("/", Some(text)).await, (403, of_route.clone()), "the token lacks a scope");
    assert_eq!(refused("/lacking", None).await, (401, None), "the route needs none");
    assert_eq!(refused("/lacking", Some(text)).await, (403, Some("\"repo:write\"".into())));
    assert_eq!(refused("/lacking", Some(other.token.expose_secret())).await, (401, None));
    // The handler itself refuses the token, after the guard has accepted it.
    assert_eq!(refused("/within", Some(text)).await, (401, Some("\"repo:read\"".into())));
    world.tokens.revoke(&actor(), &made.record.key(), Default::default()).await.unwrap();
    assert_eq!(refused("/", Some(text)).await, (401, of_route));
    // If the host has not set the address of the metadata, the challenge does not contain it.
    let answer = get(&app, "/", &[]).await;
    assert_eq!(answer.challenge(), Some("Bearer realm=\"acme\", scope=\"repo:read user\""));
}

async fn lacking_of_guard(caller: Authenticated) -> Refusal {
    caller.refuse(Rejection::OwnerSuspended)
}
