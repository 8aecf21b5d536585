//! Calls that stay open: the guard verifies their token once, and `recheck` ends them.

use keyfob::record::RevocationReason;
use tokio_stream::StreamExt;
use tonic::Code;

use crate::http::world::World;
use crate::support::actor;
use crate::tonic::calls::serve;
use crate::tonic::codec::Text;
use crate::tonic::server::{Kind, is_refusal, request};

#[tokio::test]
async fn a_stream_that_rechecks_its_caller_ends_after_the_token_was_revoked() {
    let world = World::new();
    let server = serve(&world);
    let made = world.issue(world.usual()).await;
    let good = format!("Bearer {}", made.token.expose_secret());
    let mut client = server.client().await;
    client.ready().await.unwrap();
    let follow = request("follow".to_owned(), &[("authorization", &good)]);
    let stream = client.server_streaming(follow, Kind::Watch.path().parse().unwrap(), Text).await.unwrap();
    let mut stream = stream.into_inner();
    for _ in 0..3 {
        assert_eq!(stream.next().await.unwrap().unwrap(), "ada in 145");
    }
    world.tokens().revoke(&actor(), &made.record.key(), RevocationReason::default()).await.unwrap();
    let ended = loop {
        match stream.next().await.expect("the stream does not end as if all were well") {
            Ok(text) => assert_eq!(text, "ada in 145"),
            Err(status) => break status,
        }
    };
    is_refusal(&ended, Code::Unauthenticated, "revoked", "the token was revoked");
    assert!(stream.next().await.is_none());
}
