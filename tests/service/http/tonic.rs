//! The table through tonic, with a client of tonic.
//!
//! A call of gRPC differs from a request in HTTP in these points:
//!
//! - Its path has no parameters. `Route::Path` sends its project in the metadata `x-path`, which a
//!   function of the service reads.
//! - Its method is always `POST`. A row with another method is the same call.
//! - Its answer has a code of gRPC instead of a status, and the reason in its metadata.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use keyfob::access::OwnProject;
use keyfob::http::{Authenticated, Caller, Refusal};
use keyfob::tonic::{Guard, GuardedRequest, GuardedService, MethodGuards, Tonic};
use keyfob::{Invalid, ProjectId};
use tonic::body::Body;
use tonic::client::{Grpc as Client, GrpcService};
use tonic::metadata::MetadataMap;
use tonic::server::Grpc;
use tonic::{Request, Response, Status};
use tower::{Layer, service_fn};

use crate::http::table::{self, Expected, Got, Route, Row, Sent};
use crate::http::world::World;
use crate::support::project;
use crate::tonic::codec::Text;

type Answer = Result<Response<String>, Status>;

fn said(caller: &Authenticated) -> Answer {
    Ok(Response::new(format!("{} in {}", caller.owner(), caller.project())))
}

async fn in_project(request: Request<String>) -> Answer {
    said(&request.authenticated()?)
}

async fn own_project(request: Request<String>) -> Answer {
    let caller: Authenticated<OwnProject> = request.authenticated()?;
    Ok(Response::new(format!("{} of {}", caller.owner(), caller.project())))
}

async fn late(request: Request<String>) -> Answer {
    let caller: Authenticated<OwnProject> = request.authenticated()?;
    said(&caller.in_project(&project("145"))?)
}

async fn beside(request: Request<String>) -> Answer {
    let caller: Caller = request.caller()?;
    Ok(Response::new(match caller {
        Caller::Token(caller) => format!("token of {}", caller.owner()),
        Caller::Other(_) => "other".into(),
    }))
}

/// A service with one method for each route.
#[derive(Clone)]
struct Table;

impl tower::Service<http::Request<Body>> for Table {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(Text);
            Ok(match request.uri().path() {
                "/acme.Table/Own" => grpc.unary(service_fn(own_project), request).await,
                "/acme.Table/Late" => grpc.unary(service_fn(late), request).await,
                "/acme.Table/Beside" => grpc.unary(service_fn(beside), request).await,
                _ => grpc.unary(service_fn(in_project), request).await,
            })
        })
    }
}

fn text<'r>(request: &'r Parts, name: &str) -> &'r str {
    request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn in_path(request: &Parts) -> Result<ProjectId, Refusal> {
    let project = ProjectId::new(text(request, "x-path"));
    project.map_err(|_| Refusal::new(404_u16, "not_found", "there is no such project"))
}

fn host(request: &Parts) -> Result<ProjectId, Invalid> {
    ProjectId::new(text(request, "x-host").split('.').next().unwrap_or_default())
}

fn guarded(world: &World) -> GuardedService<Table> {
    let guard: Guard = world.guard::<Tonic>();
    let fixed = guard.project(project("145"), "repo:read").unwrap();
    let basic = guard.clone().with_basic_challenge().project(project("145"), "repo:read").unwrap();
    let own = guard.own_project("").unwrap();
    MethodGuards::new(guard.project_in_path("project", "").unwrap())
        .with_method("acme.Table/Path", guard.project_by(in_path, "repo:read").unwrap())
        .with_method("acme.Table/Header", guard.project_in_header("X-Project", "repo:read").unwrap())
        .with_method("acme.Table/By", guard.project_by(host, "repo:read").unwrap())
        .with_method("acme.Table/Fixed", fixed.clone())
        .with_method("acme.Table/Basic", basic)
        .with_method("acme.Table/Own", own.clone())
        .with_method("acme.Table/Late", own.clone())
        .with_method("acme.Table/Beside", fixed.clone().or_other())
        .with_method("acme.Table/BesideStrict", fixed.or_other())
        .with_method("acme.Table/WrongKind", own)
        .layer(Table)
}

async fn call(service: impl GrpcService<Body, ResponseBody = Body>, request: Request<String>, method: &str) -> Answer {
    let mut client = Client::new(service);
    let path = format!("/acme.Table/{method}").parse().unwrap();
    client.unary(request, path, Text).await
}

/// Returns the answer with the code of gRPC as its status, and the message as its body.
async fn send(world: &World, sent: &Sent) -> Got {
    let mut headers = HeaderMap::new();
    for (name, value) in &sent.headers {
        headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
    }
    let method = match sent.route {
        Route::Path(project) => {
            headers.insert("x-path", HeaderValue::from_static(project));
            "Path".into()
        }
        route => format!("{route:?}"),
    };
    let request = Request::from_parts(MetadataMap::from_headers(headers), Default::default(), String::new());
    let answer = match sent.route {
        Route::Unguarded => call(Table, request, &method).await,
        _ => call(guarded(world), request, &method).await,
    };
    let (code, metadata, body) = match answer {
        Ok(response) => (0, response.metadata().clone(), response.into_inner()),
        Err(status) => (status.code() as u16, status.metadata().clone(), status.message().to_owned()),
    };
    let headers = metadata.into_headers();
    let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    Got { status: code, headers: headers.collect(), body }
}

fn check(row: &Row, got: &Got) {
    let name = row.name;
    match row.expected {
        Expected::Passed(body) => {
            assert_eq!((got.status, &*got.body), (0, body), "{name}");
            assert_eq!(got.header("www-authenticate"), None, "{name}");
        }
        Expected::Refused(status, reason) => {
            let code = match status {
                401 => 16,
                403 => 7,
                400 => 3,
                404 => 5,
                503 => 14,
                500 => 13,
                _ => panic!("{name}: no code of gRPC for the status {status}"),
            };
            assert_eq!((got.status, got.header("reason")), (code, Some(reason)), "{name}: {}", got.body);
            assert!(!got.body.is_empty(), "{name}");
            row.check_challenges(&got.all("www-authenticate").collect::<Vec<_>>(), status, reason);
        }
    }
}

#[tokio::test]
async fn each_row_of_the_table_holds() {
    table::run(send, check).await;
}
