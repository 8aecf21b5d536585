//! A service with poem whose routes keyfob guards.

use std::net::IpAddr;

use keyfob::access::{InProject, OwnProject, ProjectRequirement};
use keyfob::http::{Authenticated, Framework, Guard, PathParameter, Refusal, RouteGuard};
use keyfob::{Invalid, MemoryStore, Tokens};
use poem::{
    Addr, Endpoint, EndpointExt, Error, FromRequest, Request, RequestBody, Response, Result, Route, get, handler,
};

// The service.

/// Returns the service: the notes of a project, and the owner of the presented token.
pub fn app(tokens: Tokens<MemoryStore>) -> Result<Route, Invalid> {
    let guard = Guard::<Poem>::new(tokens).with_realm("acme");
    let in_project = guard.project_in_path("project", "notes:read")?;
    Ok(Route::new()
        .at("/projects/:project/notes", guarded(get(notes), in_project))
        .at("/whoami", guarded(get(whoami), guard.own_project("")?)))
}

#[handler]
fn notes(Caller(caller): Caller) -> String {
    format!("{} reads the notes of project {}", caller.owner(), caller.project())
}

#[handler]
fn whoami(Caller(caller): Caller<OwnProject>) -> String {
    caller.owner().to_string()
}

// What connects keyfob to poem.

/// The web framework poem.
pub struct Poem;

impl Framework for Poem {
    type Request = Request;

    fn header<'r>(request: &'r Request, name: &'r str) -> impl Iterator<Item = &'r [u8]> {
        request.headers().get_all(name).iter().map(|value| value.as_bytes())
    }

    async fn path_parameter(request: &mut Request, name: &str) -> PathParameter {
        // Without a value, the client has sent bytes that are not UTF-8, or the route has no such
        // parameter.
        request.raw_path_param(name).map_or(PathParameter::NoProject, |value| PathParameter::of([value]))
    }

    fn peer_address(request: &Request) -> Option<IpAddr> {
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
fn guarded(inner: impl Endpoint<Output = Response> + 'static, route: RouteGuard<Poem>) -> impl Endpoint {
    inner.around(move |inner, mut request| {
        let route = route.clone();
        async move {
            route.admit(&mut request).await.map_err(refused)?;
            inner.call(request).await
        }
    })
}

/// The verified caller of a guarded route, as an extractor.
pub struct Caller<P = InProject>(pub Authenticated<P>);

impl<'a, P: ProjectRequirement + 'static> FromRequest<'a> for Caller<P> {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        Authenticated::of::<Poem>(request).map(Self).map_err(refused)
    }
}

/// Returns a refusal as an error with a response.
fn refused(refusal: Refusal) -> Error {
    let status = refusal.status().try_into().expect("the status of a refusal is valid");
    let response = Response::builder().status(status);
    let response = refusal.headers().fold(response, |response, (name, value)| response.header(name, value));
    Error::from_response(response.body(refusal.body()))
}
