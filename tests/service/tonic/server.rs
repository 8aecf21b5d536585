//! A service of gRPC with one method of each kind, a server on loopback, and a client.

use std::convert::Infallible;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::HttpBody;
use keyfob::http::Authenticated;
use keyfob::tonic::GuardedRequest;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::client::Grpc as Client;
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, NamedService};
use tonic::service::Routes;
use tonic::transport::server::{Router, TcpIncoming};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status, Streaming};
use tower::service_fn;

use crate::tonic::codec::Text;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Answer<T> = Result<Response<T>, Status>;
type Texts = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

/// A service whose methods all answer with the caller: `OWNER in PROJECT`.
#[derive(Clone, Copy)]
pub struct Notes;

impl NamedService for Notes {
    const NAME: &'static str = "acme.Notes";
}

impl tower::Service<http::Request<Body>> for Notes {
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
                "/acme.Notes/Read" => grpc.unary(service_fn(read), request).await,
                "/acme.Notes/Watch" => grpc.server_streaming(service_fn(watch), request).await,
                "/acme.Notes/Write" => grpc.client_streaming(service_fn(write), request).await,
                "/acme.Notes/Chat" => grpc.streaming(service_fn(chat), request).await,
                _ => Status::unimplemented("").into_http(),
            })
        })
    }
}

fn said(caller: &Authenticated) -> String {
    format!("{} in {}", caller.owner(), caller.project())
}

async fn read(request: Request<String>) -> Answer<String> {
    let caller: Authenticated = request.authenticated()?;
    let seen = format!("{request:?} {:?} {:?}", request.metadata(), request.extensions());
    assert!(!seen.contains("acme_pat_"), "{seen}");
    Ok(Response::new(said(&caller)))
}

/// Answers once. If the message is `follow`, answers again and again until the token has ended.
async fn watch(request: Request<String>) -> Answer<Texts> {
    let mut caller: Authenticated = request.authenticated()?;
    let (sender, stream) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut more = sender.send(Ok(said(&caller))).await.is_ok();
        while more && request.get_ref() == "follow" {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let item = caller.recheck().await.map(|again| caller = again);
            more = item.is_ok();
            let item = item.map(|()| said(&caller)).map_err(Status::from);
            more &= sender.send(item).await.is_ok();
        }
    });
    Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
}

async fn write(request: Request<Streaming<String>>) -> Answer<String> {
    let caller: Authenticated = request.authenticated()?;
    let messages: Result<Vec<String>, Status> = request.into_inner().collect().await;
    Ok(Response::new(format!("{}: {}", said(&caller), messages?.join(" "))))
}

async fn chat(request: Request<Streaming<String>>) -> Answer<Texts> {
    let caller: Authenticated = request.authenticated()?;
    let messages = request.into_inner();
    Ok(Response::new(Box::pin(messages.map(move |message| Ok(format!("{}: {}", said(&caller), message?))))))
}

/// A server on a free loopback port, which stops when this value is dropped.
pub struct Server {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    pub fn start<L, B>(router: Router<L>) -> Self
    where
        L: tower::Layer<Routes> + Clone + Send + Sync + 'static,
        L::Service: tower::Service<
                http::Request<Body>,
                Response = http::Response<B>,
                Error: Into<BoxError> + Send,
                Future: Send,
            > + Clone
            + Send
            + 'static,
        B: HttpBody<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = incoming.local_addr().unwrap();
        let serve = async move { router.serve_with_incoming(incoming).await.unwrap() };
        Self { address, task: tokio::spawn(serve) }
    }

    pub async fn client(&self) -> Client<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        Client::new(endpoint.connect().await.unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A kind of method, and the name of the method of this kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Read,
    Watch,
    Write,
    Chat,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Read, Self::Watch, Self::Write, Self::Chat];

    pub fn path(self) -> String {
        format!("/acme.Notes/{self:?}")
    }

    /// Returns the messages that the method answers to the messages `a` and `b`, or `a` alone.
    pub fn passed(self) -> &'static [&'static str] {
        match self {
            Self::Read | Self::Watch => &["ada in 145"],
            Self::Write => &["ada in 145: a b"],
            Self::Chat => &["ada in 145: a", "ada in 145: b"],
        }
    }
}

/// Creates a request with this metadata.
pub fn request<T>(message: T, metadata: &[(&str, &str)]) -> Request<T> {
    let mut headers = http::HeaderMap::new();
    for (name, value) in metadata {
        headers.append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    Request::from_parts(MetadataMap::from_headers(headers), Default::default(), message)
}

/// Calls the method of a kind, and returns the messages of the answer. A refused call fails before
/// any message.
pub async fn call<T, B>(client: &mut Client<T>, kind: Kind, metadata: &[(&str, &str)]) -> Result<Vec<String>, Status>
where
    T: tower::Service<http::Request<Body>, Response = http::Response<B>, Error: Into<BoxError> + Debug>,
    B: HttpBody<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static,
{
    client.ready().await.unwrap();
    let path = kind.path().parse().unwrap();
    let one = || request("a".to_owned(), metadata);
    let many = || request(tokio_stream::iter(["a", "b"].map(str::to_owned)), metadata);
    let stream = match kind {
        Kind::Read => return Ok(vec![client.unary(one(), path, Text).await?.into_inner()]),
        Kind::Write => return Ok(vec![client.client_streaming(many(), path, Text).await?.into_inner()]),
        Kind::Watch => client.server_streaming(one(), path, Text).await?,
        Kind::Chat => client.streaming(many(), path, Text).await?,
    };
    Ok(stream.into_inner().map(|item| item.expect("a call that was admitted")).collect().await)
}

/// Checks a status: its code, its reason, its message and its challenge.
#[track_caller]
pub fn is_refusal(status: &Status, code: Code, reason: &str, message: &str) {
    assert_eq!((status.code(), status.message()), (code, message), "{status:?}");
    assert_eq!(status.metadata().get("reason").unwrap(), reason, "{status:?}");
    let challenge = status.metadata().get("www-authenticate").map(|value| value.to_str().unwrap());
    let has_challenge = !matches!(code, Code::Unavailable | Code::Internal);
    assert_eq!(challenge.is_some(), has_challenge, "{status:?}");
    assert!(challenge.is_none_or(|challenge| challenge.starts_with("Bearer realm=\"acme\"")), "{challenge:?}");
}
