//! A service with axum 0.7 whose routes keyfob guards.

use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{ConnectInfo, FromRequestParts, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, async_trait};
use keyfob::access::{InProject, OwnProject, ProjectRequirement};
use keyfob::http::{Authenticated, Framework, Guard, PathParameter, Refusal, RouteGuard};
use keyfob::{Invalid, MemoryStore, Tokens};

// The service.

/// Returns the service: the notes of a project, and the owner of the presented token.
pub fn app(tokens: Tokens<MemoryStore>) -> Result<Router, Invalid> {
    let guard = Guard::<Axum07>::new(tokens).with_realm("acme");
    let in_project = from_fn_with_state(guard.project_in_path("project", "notes:read")?, check);
    let in_own = from_fn_with_state(guard.own_project("")?, check);
    Ok(Router::new()
        .route("/projects/:project/notes", get(notes).layer(in_project))
        .route("/whoami", get(whoami).layer(in_own)))
}

async fn notes(Caller(caller): Caller) -> String {
    format!("{} reads the notes of project {}", caller.owner(), caller.project())
}

async fn whoami(Caller(caller): Caller<OwnProject>) -> String {
    caller.owner().to_string()
}

// What connects keyfob to axum 0.7.

/// The web framework axum 0.7.
pub struct Axum07;

impl Framework for Axum07 {
    type Request = Parts;

    fn header<'r>(request: &'r Parts, name: &'r str) -> impl Iterator<Item = &'r [u8]> {
        request.headers.get_all(name).iter().map(|value| value.as_bytes())
    }

    async fn path_parameter(request: &mut Parts, name: &str) -> PathParameter {
        match RawPathParams::from_request_parts(request, &()).await {
            Ok(values) => PathParameter::of(values.iter().filter(|(key, _)| *key == name).map(|(_, value)| value)),
            Err(RawPathParamsRejection::InvalidUtf8InPathParam(_)) => PathParameter::NoProject,
            Err(_) => PathParameter::Misplaced,
        }
    }

    fn peer_address(request: &Parts) -> Option<IpAddr> {
        request.extensions.get().map(|ConnectInfo::<SocketAddr>(address)| address.ip())
    }

    fn attach<T: Clone + Send + Sync + 'static>(request: &mut Parts, value: T) {
        request.extensions.insert(value);
    }

    fn attached<T: Clone + Send + Sync + 'static>(request: &Parts) -> Option<T> {
        request.extensions.get().cloned()
    }
}

/// Checks a request, and calls the next service if the guard admits it.
async fn check(State(route): State<RouteGuard<Axum07>>, request: Request, next: Next) -> Result<Response, Refused> {
    let (mut parts, body) = request.into_parts();
    route.admit(&mut parts).await.map_err(Refused)?;
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// The verified caller of a guarded route, as an extractor.
pub struct Caller<P = InProject>(pub Authenticated<P>);

#[async_trait]
impl<S: Sync, P: ProjectRequirement + 'static> FromRequestParts<S> for Caller<P> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        Authenticated::of::<Axum07>(parts).map(Self).map_err(Refused)
    }
}

/// A refusal as a response.
pub struct Refused(pub Refusal);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let response = Response::builder().status(self.0.status());
        let response = self.0.headers().fold(response, |response, (name, value)| response.header(name, value));
        response.body(Body::from(self.0.body())).expect("the headers of a refusal are valid")
    }
}
