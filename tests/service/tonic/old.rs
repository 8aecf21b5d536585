//! Shows why a call needs a refusal in the form of gRPC: a client of tonic misreads a refusal in
//! HTTP. If one of these tests fails, tonic has learnt to read the latter.

use std::convert::Infallible;

use axum::body::Body;
use keyfob::error::HeaderError;
use keyfob::http::Refusal;
use tonic::Code;
use tonic::client::Grpc;
use tower::{Service, service_fn};

use crate::tonic::codec::Text;
use crate::tonic::server::{Kind, call, request};

/// Returns a service that answers every request as a guard of HTTP answers one without a token.
fn refusing()
-> impl Service<http::Request<tonic::body::Body>, Response = http::Response<Body>, Error = Infallible, Future: Send> + Clone
{
    service_fn(async |_: http::Request<tonic::body::Body>| {
        let refusal = Refusal::challenge(HeaderError::Missing, "acme");
        let response = http::Response::builder().status(refusal.status());
        let response = refusal.headers().fold(response, |response, (name, value)| response.header(name, value));
        Ok(response.body(Body::from(refusal.body())).unwrap())
    })
}

/// The first byte of a problem document is `{`, which is 123. A message of gRPC begins with a flag
/// for its compression.
#[tokio::test]
async fn a_refusal_in_http_is_an_internal_error_of_a_unary_call() {
    let status = call(&mut Grpc::new(refusing()), Kind::Read, &[]).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(status.message().contains("invalid compression flag: 123"), "{status:?}");
    assert!(status.metadata().get("reason").is_none());
}

/// The call itself succeeds, and only its first message is an error.
#[tokio::test]
async fn a_refusal_in_http_is_a_success_of_a_streaming_call() {
    let mut client = Grpc::new(refusing());
    let path = Kind::Watch.path().parse().unwrap();
    let response = client.server_streaming(request("a".to_owned(), &[]), path, Text).await;
    let mut stream = response.expect("the call seems to succeed").into_inner();
    assert_eq!(stream.message().await.unwrap_err().code(), Code::Internal);
}
