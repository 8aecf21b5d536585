//! What connects keyfob to poem. Copy this file into your service. It needs the feature `token-api`
//! of keyfob.

use std::net::IpAddr;

use keyfob::access::{InProject, ProjectRequirement};
use keyfob::http::{Authenticated, Framework, Member, PathParameter, Refusal, RouteGuard, TokenApiRequest};
use keyfob::{TokenStore, Tokens};
use poem::http::{HeaderMap, StatusCode, header};
use poem::{Addr, Body, Endpoint, EndpointExt, Error, FromRequest, Request, RequestBody, Response, Result};

/// The web framework poem.
pub struct Poem;

impl Framework for Poem {
    type Request = Request;

    fn header<'r>(request: &'r Request, name: &'r str) -> impl Iterator<Item = &'r [u8]> {
        request.headers().get_all(name).iter().map(|value| value.as_bytes())
    }

    fn path_parameter(request: &mut Request, name: &str) -> PathParameter {
        // Without a value, the client has sent bytes that are not UTF-8, or the route has no such
        // parameter.
        request.raw_path_param(name).map_or(PathParameter::NoProject, |value| PathParameter::of([value]))
    }

    fn peer_address(request: &mut Request) -> Option<IpAddr> {
        match &**request.remote_addr() {
            Addr::SocketAddr(address) => Some(address.ip()),
            _ => None,
        }
    }

    fn attach<T: Clone + Send + Sync + 'static>(request: &mut Request, value: T) {
        request.set_data(value);
    }

    fn attached<T: Clone + Send + Sync + 'static>(request: &Request) -> Option<T> {
        request.data().cloned()
    }
}

/// Puts a guard in front of an end point.
pub fn guarded(inner: impl Endpoint<Output = Response> + 'static, route: RouteGuard<Poem>) -> impl Endpoint {
    inner.around(move |inner, mut request| {
        let route = route.clone();
        async move {
            hide(request.headers_mut(), &route);
            route.admit(&mut request).await.map_err(refused)?;
            inner.call(request).await
        }
    })
}

/// Marks the values of all headers that may hold a token, so that Debug output does not show them.
fn hide(headers: &mut HeaderMap, route: &RouteGuard<Poem>) {
    for (name, value) in headers.iter_mut() {
        if route.secret_headers().any(|secret| name == secret) {
            value.set_sensitive(true);
        }
    }
}

/// The verified caller of a guarded route, as an extractor.
pub struct Caller<P = InProject>(pub Authenticated<P>);

impl<'a, P: ProjectRequirement + 'static> FromRequest<'a> for Caller<P> {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        Authenticated::of::<Poem>(request).map(Self).map_err(refused)
    }
}

/// Responds to a request to the token API. The path of a token has the parameter `token_id`.
pub async fn answer<S: TokenStore>(
    tokens: &Tokens<S>,
    member: &Member,
    request: &Request,
    body: Body,
) -> Result<Response> {
    let body = body.into_bytes_limit(TokenApiRequest::MAX_BODY).await?;
    let request = TokenApiRequest {
        method: request.method().as_str(),
        token_id: request.raw_path_param("token_id"),
        query: request.uri().query(),
        content_type: request.headers().get(header::CONTENT_TYPE).map(|value| value.as_bytes()),
        body: &body,
    };
    let answer = member.respond(tokens, request).await.map_err(refused)?;
    let response = Response::builder().status(status(answer.status()));
    let response = answer.headers().fold(response, |response, (name, value)| response.header(name, value));
    Ok(response.body(answer.into_body()))
}

/// Returns a refusal as an error with a response.
pub fn refused(refusal: Refusal) -> Error {
    let response = Response::builder().status(status(refusal.status()));
    let response = refusal.headers().fold(response, |response, (name, value)| response.header(name, value));
    Error::from_response(response.body(refusal.body()))
}

fn status(status: u16) -> StatusCode {
    status.try_into().expect("keyfob's statuses are valid")
}
