//! The table through a server of actix-web.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use actix_web::web::{ServiceConfig, resource, to};
use actix_web::{App, HttpRequest, HttpServer};
use keyfob::ProjectId;
use keyfob::access::OwnProject;
use keyfob::actix::{Actix, Guard};
use keyfob::http::{Authenticated, Caller, Refusal, RouteGuard};

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

fn host(request: &HttpRequest) -> Result<ProjectId, keyfob::Invalid> {
    let host = request.headers().get("x-host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    ProjectId::new(host.split('.').next().unwrap_or_default())
}

fn routes(guard: &Guard) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    let path = guard.project_in_path("project", "repo:read").unwrap();
    let header = guard.project_in_header("X-Project", "repo:read").unwrap();
    let by = guard.project_by(host, "repo:read").unwrap();
    let fixed = guard.project(project("145"), "repo:read").unwrap();
    let basic = guard.clone().with_basic_challenge().project(project("145"), "repo:read").unwrap();
    let own = guard.own_project("").unwrap();
    let misplaced = guard.project_in_path("project", "").unwrap();
    move |app| {
        let wrapped = |path: &str, guard: &RouteGuard<Actix>| resource(path).wrap(guard.clone());
        app.service(wrapped("/path/{project}", &path).route(to(in_project)))
            .service(wrapped("/header", &header).route(to(in_project)))
            .service(wrapped("/by", &by).route(to(in_project)))
            .service(wrapped("/fixed", &fixed).route(to(in_project)))
            .service(wrapped("/basic", &basic).route(to(in_project)))
            .service(wrapped("/own", &own).route(to(own_project)))
            .service(wrapped("/late", &own).route(to(late)))
            .service(wrapped("/beside", &fixed.clone().or_other()).route(to(beside)))
            .service(wrapped("/beside-strict", &fixed.clone().or_other()).route(to(in_project)))
            .service(resource("/unguarded").route(to(in_project)))
            .service(wrapped("/wrong-kind", &own).route(to(in_project)))
            .service(wrapped("/misplaced", &misplaced).route(to(in_project)));
    }
}

/// Sends a request over a connection of its own, and returns the response.
fn exchange(address: SocketAddr, request: &[u8]) -> Got {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.write_all(request).unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no response: {response}"));
    let (status, headers) = head.split_once("\r\n").expect("a response has headers");
    let status = status.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let headers = headers.lines().filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    Got { status, headers, body: body.to_owned() }
}

async fn send(world: &World, sent: &Sent) -> Got {
    let request = format!("{} {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n", sent.method, sent.route.path());
    let mut request = request.into_bytes();
    for (name, value) in &sent.headers {
        request.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    request.extend(b"\r\n");
    let routes = routes(&world.guard());
    let server = HttpServer::new(move || App::new().configure(routes.clone()));
    let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    let serving = tokio::spawn(server);
    let got = tokio::task::spawn_blocking(move || exchange(address, &request)).await.unwrap();
    handle.stop(false).await;
    serving.await.unwrap().unwrap();
    got
}

#[tokio::test]
async fn each_row_of_the_table_holds() {
    table::run(send, Row::check).await;
}
