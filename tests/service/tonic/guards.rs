//! Where a guard of tonic may be: around the whole server, around some methods, around a service
//! beside routes of axum. Also the sources of the project, the caller and the address.

use http::request::Parts;
use keyfob::access::OwnProject;
use keyfob::http::{Authenticated, Caller, Guard, RouteGuard};
use keyfob::record::AddressRanges;
use keyfob::tonic::{GuardedRequest, MethodGuards, Tonic};
use keyfob::{NewToken, ProjectId, ScopeSet};
use tonic::client::Grpc;
use tonic::metadata::MetadataMap;
use tonic::server::NamedService;
use tonic::service::{LayerExt, Routes};
use tonic::{Code, Request, Status};
use tower::Layer;

use crate::http::world::World;
use crate::support::{new_token, project};
use crate::tonic::codec::Text;
use crate::tonic::server::{Kind, Notes, Server, call, request};

async fn issued(world: &World, new: NewToken) -> String {
    format!("Bearer {}", world.issue(new).await.token.expose_secret())
}

#[track_caller]
fn is(status: &Status, code: Code, reason: &str) {
    assert_eq!((status.code(), status.metadata().get("reason").unwrap().to_str().unwrap()), (code, reason));
}

#[tokio::test]
async fn a_guard_of_the_whole_server_protects_services_that_do_not_exist_too() {
    let world = World::new();
    let layer = world.guard::<Tonic>().project_in_header("X-Project", "repo:read").unwrap();
    let server = Server::start(tonic::transport::Server::builder().layer(layer).add_service(Notes));
    let mut client = server.client().await;
    let good = issued(&world, world.usual()).await;
    let good = ("authorization", good.as_str());
    for kind in Kind::ALL {
        let passed = call(&mut client, kind, &[good, ("x-project", "145")]).await.unwrap();
        assert_eq!(passed, kind.passed());
        let refused = call(&mut client, kind, &[good, ("x-project", "146")]).await.unwrap_err();
        is(&refused, Code::PermissionDenied, "wrong_project");
        is(&call(&mut client, kind, &[good]).await.unwrap_err(), Code::InvalidArgument, "invalid_project");
    }
    for (metadata, code) in
        [(&[("x-project", "145")][..], Code::Unauthenticated), (&[good, ("x-project", "145")], Code::Unimplemented)]
    {
        client.ready().await.unwrap();
        let path = "/acme.Other/Read".parse().unwrap();
        let status = client.unary::<_, String, _>(request(String::new(), metadata), path, Text).await.unwrap_err();
        assert_eq!(status.code(), code);
    }
}

#[tokio::test]
async fn each_method_has_its_guard_and_a_method_without_one_has_the_strictest() {
    let world = World::new();
    let guard = |scopes| world.guard::<Tonic>().project(project("145"), scopes).unwrap();
    let guards = MethodGuards::new(guard("repo:write"))
        .with_method("acme.Notes/Read", guard("repo:read"))
        .with_method("/acme.Notes/Watch", guard("repo:read"))
        .with_method("acme.Notes/chat", guard("repo:read"))
        .with_method("Write", guard("repo:read"));
    let mut client = Grpc::new(guards.layer(Notes));
    let reader = issued(&world, world.usual()).await;
    let writer = issued(&world, world.usual().with_scopes(ScopeSet::new("repo:write").unwrap())).await;
    for kind in Kind::ALL {
        let reads = matches!(kind, Kind::Read | Kind::Watch);
        for (token, may) in [(&reader, reads), (&writer, !reads)] {
            match call(&mut client, kind, &[("authorization", token)]).await {
                Ok(passed) => assert!(may && passed == kind.passed(), "{kind:?}: {passed:?}"),
                Err(status) => {
                    assert!(!may, "{kind:?}: {status:?}");
                    is(&status, Code::PermissionDenied, "insufficient_scope");
                }
            }
        }
    }
}

#[test]
fn a_guarded_service_keeps_its_name() {
    fn name<S: NamedService>(_: &S) -> &'static str {
        S::NAME
    }
    let guard = World::new().guard::<Tonic>().own_project("").unwrap();
    assert_eq!([name(&guard.layer(Notes)), name(&guard.named_layer(Notes))], ["acme.Notes"; 2]);
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn both_guards_protect_services_that_axum_serves() {
    let world = World::new();
    let of_axum = world.guard::<keyfob::axum::Axum>().project(project("145"), "repo:read").unwrap();
    let of_tonic = world.guard::<Tonic>().project(project("145"), "repo:read").unwrap();
    let good = issued(&world, world.usual()).await;
    for router in [
        Routes::new(Notes).into_axum_router().layer(of_axum),
        Routes::new(Notes).into_axum_router().layer(of_tonic.clone()),
        Routes::new(of_tonic.layer(Notes)).into_axum_router(),
    ] {
        let mut client = Grpc::new(router);
        for kind in Kind::ALL {
            assert_eq!(call(&mut client, kind, &[("authorization", &good)]).await.unwrap(), kind.passed());
            is(&call(&mut client, kind, &[]).await.unwrap_err(), Code::Unauthenticated, "missing_token");
        }
    }
}

#[tokio::test]
async fn the_address_is_the_peer_address_of_the_connection() {
    let world = World::new();
    let layer = Guard::<Tonic>::new(world.tokens()).project(project("145"), "").unwrap();
    let server = Server::start(tonic::transport::Server::builder().add_service(layer.layer(Notes)));
    let mut client = server.client().await;
    for (ranges, may) in [("127.0.0.0/8", true), ("10.0.0.0/8", false)] {
        let new = new_token().with_addresses(AddressRanges::new(ranges).unwrap());
        let token = issued(&world, new).await;
        let called = call(&mut client, Kind::Read, &[("authorization", &token), ("x-real-ip", "10.0.0.1")]).await;
        match called {
            Ok(_) => assert!(may, "{ranges}"),
            Err(status) => {
                assert!(!may, "{ranges}");
                is(&status, Code::PermissionDenied, "wrong_address");
            }
        }
    }
}

/// Returns the request that a handler takes from a guard.
async fn admitted(guard: &RouteGuard<Tonic>, token: Option<&str>) -> Result<Request<()>, Status> {
    let request = http::Request::builder();
    let request = token.into_iter().fold(request, |request, token| request.header("authorization", token));
    let (mut parts, ()): (Parts, _) = request.body(()).unwrap().into_parts();
    guard.admit(&mut parts).await?;
    Ok(Request::from_parts(MetadataMap::from_headers(parts.headers), parts.extensions, ()))
}

#[tokio::test]
async fn a_message_may_name_the_project() {
    let world = World::new();
    let token = issued(&world, world.usual()).await;
    let guard = world.guard::<Tonic>().own_project("repo:read").unwrap();
    let handler = async |message: &str| -> Result<ProjectId, Status> {
        let request = admitted(&guard, Some(&token)).await?;
        let caller: Authenticated<OwnProject> = request.authenticated()?;
        Ok(*caller.in_project(&ProjectId::new(message)?)?.project())
    };
    assert_eq!(handler("145").await.unwrap(), project("145"));
    is(&handler("146").await.unwrap_err(), Code::PermissionDenied, "wrong_project");
    is(&handler("1 45").await.unwrap_err(), Code::InvalidArgument, "invalid");
}

#[tokio::test]
async fn a_call_without_a_token_is_passed_on_to_another_authentication() {
    let world = World::new();
    let token = issued(&world, world.usual()).await;
    let guard = world.guard::<Tonic>().project(project("145"), "").unwrap().or_other();
    let request = admitted(&guard, Some(&token)).await.unwrap();
    assert!(matches!(request.caller(), Ok(Caller::<keyfob::access::InProject>::Token(_))));
    let request = admitted(&guard, None).await.unwrap();
    let caller: Caller = request.caller().unwrap();
    let Caller::Other(other) = caller else { panic!("a call without a token has no caller") };
    is(&other.refusal().into(), Code::Unauthenticated, "missing_token");
    let strict: Result<Authenticated, _> = request.authenticated();
    is(&strict.unwrap_err(), Code::Unauthenticated, "missing_token");
    is(&admitted(&guard, Some("Bearer acme_pat_x")).await.unwrap_err(), Code::Unauthenticated, "invalid_token");
    let wrong: Result<Authenticated<OwnProject>, _> = request.authenticated();
    is(&wrong.unwrap_err(), Code::Internal, "unguarded");
}
