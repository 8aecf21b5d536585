//! Each kind of call, from a client of tonic through a server on loopback: with good and with bad
//! tokens.

use keyfob::{
    ScopeSet,
    http::Guard,
    record::RevocationReason,
    tonic::{GuardedService, Tonic},
};
use tonic::Code;
use tower::Layer;

use crate::http::world::{HOUR, World};
use crate::support::{actor, new_token, project};
use crate::tonic::server::{Kind, Notes, Server, call, is_refusal};

pub fn guarded(guard: &Guard<Tonic>) -> GuardedService<Notes> {
    guard.project(project("145"), "repo:read").unwrap().layer(Notes)
}

pub fn serve(world: &World) -> Server {
    Server::start(tonic::transport::Server::builder().add_service(guarded(&world.guard())))
}

/// Calls each kind of method with this authorization, and checks that each call is refused.
async fn refused(server: &Server, authorization: &[&str], code: Code, reason: &str, message: &str) {
    let mut client = server.client().await;
    let metadata: Vec<_> = authorization.iter().map(|value| ("authorization", *value)).collect();
    for kind in Kind::ALL {
        let status = call(&mut client, kind, &metadata).await.expect_err(reason);
        is_refusal(&status, code, reason, message);
    }
}

#[tokio::test]
async fn each_kind_of_call_gets_the_code_and_the_reason() {
    use Code::{InvalidArgument, PermissionDenied, Unauthenticated, Unavailable};

    let world = World::new();
    let server = serve(&world);
    let usual = async || format!("Bearer {}", world.issue(world.usual()).await.token.expose_secret());
    let good = usual().await;
    for kind in Kind::ALL {
        let mut client = server.client().await;
        assert_eq!(call(&mut client, kind, &[("authorization", &good)]).await.unwrap(), kind.passed());
    }

    refused(&server, &[], Unauthenticated, "missing_token", "the request needs a token").await;
    refused(&server, &["Bearer acme_pat_x"], Unauthenticated, "invalid_token", "the token is not valid").await;
    let twice = "the request has more than one credential";
    refused(&server, &[&good, &good], InvalidArgument, "repeated_token", twice).await;

    let other = new_token().with_scopes(ScopeSet::new("notes:read").unwrap());
    let other = format!("Bearer {}", world.issue(other).await.token.expose_secret());
    let scope = "the token lacks a scope that the request needs";
    refused(&server, &[&other], PermissionDenied, "insufficient_scope", scope).await;

    let ended = world.issue(world.usual()).await;
    world.tokens().revoke(&actor(), &ended.record.key(), RevocationReason::default()).await.unwrap();
    let ended = format!("Bearer {}", ended.token.expose_secret());
    refused(&server, &[&ended], Unauthenticated, "revoked", "the token was revoked").await;
    world.clock.advance(HOUR);
    refused(&server, &[&good], Unauthenticated, "expired", "the token has expired").await;

    let good = usual().await;
    world.switch_off();
    refused(&server, &[&good], Unavailable, "unavailable", "the token cannot be checked at the moment").await;
}

/// A method without a guard never runs, so a guard that was forgotten admits no call.
#[tokio::test]
async fn a_call_of_a_method_without_a_guard_is_an_internal_error() {
    let world = World::new();
    let server = Server::start(tonic::transport::Server::builder().add_service(Notes));
    let good = format!("Bearer {}", world.issue(world.usual()).await.token.expose_secret());
    refused(&server, &[&good], Code::Internal, "unguarded", "no guard of this kind protects the route").await;
}
