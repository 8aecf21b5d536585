//! Tests of the client's address, of guards together with middleware, and of connections that stay
//! open.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::{DefaultHeaders, Next, from_fn};
use actix_web::web::{ServiceConfig, resource, scope};
use actix_web::{App, Error, HttpServer};
use keyfob::ScopeSet;
use keyfob::http::{Authenticated, Caller, Refusal};
use keyfob::record::Narrowing;

use crate::actix::world::{get, guard, request, send, with};
use crate::axum::world::{World, bearer, in_project, own_project};
use crate::support::{actor, new_token, project};

#[tokio::test]
async fn the_connection_tells_the_address_and_no_header_does() {
    let world = World::new();
    let made = world.issue(new_token().with_addresses("10.0.0.0/8".parse().unwrap())).await;
    let direct = guard(&world).project(project("145"), "").unwrap();
    let proxied = guard(&world)
        .with_client_address(|request| request.headers().get("x-real-ip")?.to_str().ok()?.parse().ok())
        .project(project("145"), "")
        .unwrap();
    let app = |app: &mut ServiceConfig| {
        app.service(resource("/").get(in_project).wrap(direct.clone()));
        app.service(resource("/proxied").get(in_project).wrap(proxied.clone()));
    };
    let authorization = bearer(&made);
    let from = async |path, address: Option<&str>, real: &str| {
        let forged = [("authorization", authorization.as_str()), ("x-real-ip", real), ("x-forwarded-for", "10.0.0.1")];
        let request = request(path, &forged);
        let request = match address {
            Some(address) => request.peer_addr((address.parse::<std::net::IpAddr>().unwrap(), 4711).into()),
            None => request,
        };
        send(app, request).await
    };
    from("/", Some("10.255.255.255"), "192.0.2.1").await.passed("ada in 145");
    from("/", Some("11.0.0.0"), "10.0.0.1").await.refused(403, "wrong_address");
    from("/", None, "10.0.0.1").await.refused(403, "wrong_address");
    from("/proxied", Some("192.0.2.1"), "10.0.0.1").await.passed("ada in 145");
    from("/proxied", Some("10.0.0.1"), "nowhere").await.refused(403, "wrong_address");
}

/// Lets only requests of the owner `ada` pass. A middleware takes the caller as an argument, like a
/// handler.
async fn only_ada(
    caller: Authenticated,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    match caller.owner().as_str() {
        "ada" => next.call(request).await,
        _ => Err(Refusal::new(403_u16, "not_ada", "only for ada").into()),
    }
}

/// The middleware that is registered last runs first.
#[tokio::test]
async fn middleware_runs_outside_or_inside_the_guard() {
    let world = World::new();
    let bob = keyfob::NewToken::new(project("145"), "bob".parse().unwrap(), "CI".parse().unwrap());
    let (ada, bob) = (world.usual().await, world.issue(bob).await);
    let guard = guard(&world).project(project("145"), "").unwrap();
    let cors = || DefaultHeaders::new().add(("access-control-allow-origin", "*"));
    let app = |app: &mut ServiceConfig| {
        app.service(resource("/").get(in_project).wrap(from_fn(only_ada)).wrap(guard.clone()).wrap(cors()));
        app.service(resource("/wrong").get(in_project).wrap(guard.clone()).wrap(from_fn(only_ada)));
    };
    with(app, "/", &ada).await.passed("ada in 145");
    with(app, "/", &bob).await.refused(403, "not_ada");
    with(app, "/wrong", &ada).await.refused(500, "unguarded");
    let refused = get(app, "/", &[]).await;
    refused.refused(401, "missing_token");
    assert_eq!(refused.headers["access-control-allow-origin"], "*", "outer middleware changes refusals, too");
}

#[tokio::test]
async fn every_method_needs_a_token() {
    let world = World::new();
    let made = world.usual().await;
    let guard = guard(&world).project(project("145"), "").unwrap();
    let app = |app: &mut ServiceConfig| {
        app.service(resource("/").get(in_project).wrap(guard.clone()));
    };
    for (method, status) in [("GET", 200), ("HEAD", 405), ("OPTIONS", 405), ("POST", 405), ("BREW", 405)] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        send(app, request("/", &[]).method(method.clone())).await.refused(401, "missing_token");
        let answer = send(app, request("/", &[("authorization", &bearer(&made))]).method(method)).await;
        assert_eq!(answer.status, status);
    }
}

#[tokio::test]
async fn a_route_without_its_guard_lets_nobody_pass() {
    let world = World::new();
    let made = world.usual().await;
    let in_own = guard(&world).own_project("").unwrap();
    let in_145 = guard(&world).project(project("145"), "").unwrap();
    let app = |app: &mut ServiceConfig| {
        app.service(resource("/none").get(in_project));
        app.service(resource("/other").get(in_project).wrap(in_own.clone()));
        app.service(resource("/other/own").get(own_project).wrap(in_145.clone()));
        app.service(resource("/both").get(in_project).wrap(in_own.clone()).wrap(in_145.clone()));
    };
    for path in ["/none", "/other", "/other/own"] {
        with(app, path, &made).await.refused(500, "unguarded");
    }
    with(app, "/both", &made).await.passed("ada in 145");
}

#[tokio::test]
async fn a_request_without_a_token_is_passed_on() {
    async fn either(caller: Caller, request: actix_web::HttpRequest) -> Result<String, Refusal> {
        match caller {
            Caller::Token(token) => Ok(format!("token of {}", token.owner())),
            Caller::Other(_) if request.headers().contains_key("cookie") => Ok("session".into()),
            Caller::Other(other) => Err(other.refusal()),
        }
    }
    let world = World::new();
    let made = world.usual().await;
    let guard = guard(&world).project(project("145"), "").unwrap().or_other();
    let app = |app: &mut ServiceConfig| {
        app.service(resource("/").get(either).wrap(guard.clone()));
        app.service(resource("/token").get(in_project).wrap(guard.clone()));
    };
    let session = ("cookie", "session=1");
    with(app, "/", &made).await.passed("token of ada");
    get(app, "/", &[session]).await.passed("session");
    get(app, "/", &[]).await.refused(401, "missing_token");
    get(app, "/", &[session, ("authorization", "Bearer acme_pat_x")]).await.refused(401, "invalid_token");
    get(app, "/token", &[session]).await.refused(401, "missing_token");
}

/// A handler passes the caller to a task on another thread. A recheck also checks the requirements
/// of the guard of the scope.
#[tokio::test]
async fn a_connection_ends_when_an_outer_guard_needs_more_than_the_token_still_has() {
    let world = World::new();
    let made = world.issue(new_token().with_scopes(ScopeSet::new("repo:read chat:use").unwrap())).await;
    let slot = Arc::new(Mutex::new(None::<Authenticated>));
    let guard = |scopes| guard(&world).project_in_path("project", scopes).unwrap();
    let app = |app: &mut ServiceConfig| {
        let slot = Arc::clone(&slot);
        let keep = move |caller: Authenticated| {
            *slot.lock().unwrap() = Some(caller);
            std::future::ready("")
        };
        let chat = resource("/chat").get(keep).wrap(guard("chat:use"));
        app.service(scope("/projects/{project}").service(chat).wrap(guard("repo:read")));
    };
    with(app, "/projects/145/chat", &made).await.passed("");
    let caller = slot.lock().unwrap().take().unwrap();
    let narrowing = Narrowing { scopes: Some(ScopeSet::new("chat:use").unwrap()), ..Narrowing::default() };
    let key = caller.key();
    let again = async move || tokio::spawn(async move { caller.recheck().await.map(|_| caller) }).await.unwrap();
    let caller = again().await.unwrap();
    world.tokens.narrow(&actor(), &key, narrowing).await.unwrap();
    assert_eq!(caller.recheck().await.unwrap_err().reason(), "insufficient_scope");
}

/// Sends a request over a connection, and returns the whole response.
fn exchange(address: std::net::SocketAddr, method: &str, headers: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    write!(connection, "{method} / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n").unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).unwrap();
    response
}

#[tokio::test]
async fn a_server_sends_both_challenges_and_no_body_for_head() {
    let world = World::new();
    let made = world.issue(new_token().with_addresses("127.0.0.0/8".parse().unwrap())).await;
    let guard = guard(&world).with_basic_challenge().project(project("145"), "").unwrap();
    let app = move || App::new().service(resource("/").get(in_project).head(in_project).wrap(guard.clone()));
    let server = HttpServer::new(app).workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    let serving = tokio::spawn(server);
    let (refused, head, passed) = tokio::task::spawn_blocking(move || {
        let token = format!("authorization: {}\r\n", bearer(&made));
        (exchange(address, "GET", ""), exchange(address, "HEAD", ""), exchange(address, "GET", &token))
    })
    .await
    .unwrap();
    handle.stop(true).await;
    serving.await.unwrap().unwrap();
    assert!(passed.starts_with("HTTP/1.1 200 OK\r\n") && passed.ends_with("\r\n\r\nada in 145"), "{passed}");
    for response in [&refused, &head] {
        assert!(response.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{response}");
        for challenge in ["Bearer realm=\"acme\"", "Basic realm=\"acme\""] {
            assert!(response.contains(&format!("www-authenticate: {challenge}")), "{response}");
        }
    }
    assert!(refused.ends_with(r#""reason":"missing_token"}"#), "{refused}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
}
