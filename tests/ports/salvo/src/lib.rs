//! A service with Salvo whose routes keyfob guards.

use std::net::IpAddr;

use keyfob::access::OwnProject;
use keyfob::http::{Authenticated, Framework, Guard, PathParameter, Refusal, RouteGuard};
use keyfob::{Invalid, MemoryStore, Tokens};
use salvo::http::StatusCode;
use salvo::{Depot, FlowCtrl, Handler, Request, Response, Router, Scribe, async_trait, handler};

// The service.

/// Returns the service: the notes of a project, and the owner of the presented token.
pub fn app(tokens: Tokens<MemoryStore>) -> Result<Router, Invalid> {
    let guard = Guard::<Salvo>::new(tokens).with_realm("acme");
    let in_project = Guarded(guard.project_in_path("project", "notes:read")?);
    let in_own = Guarded(guard.own_project("")?);
    Ok(Router::new()
        .push(Router::with_path("projects/{project}/notes").hoop(in_project).get(notes))
        .push(Router::with_path("whoami").hoop(in_own).get(whoami)))
}

#[handler]
async fn notes(request: &mut Request) -> Result<String, Refused> {
    let caller: Authenticated = Authenticated::of::<Salvo>(request)?;
    Ok(format!("{} reads the notes of project {}", caller.owner(), caller.project()))
}

#[handler]
async fn whoami(request: &mut Request) -> Result<String, Refused> {
    let caller = Authenticated::<OwnProject>::of::<Salvo>(request)?;
    Ok(caller.owner().to_string())
}

// What connects keyfob to Salvo.

/// The web framework Salvo.
pub struct Salvo;

impl Framework for Salvo {
    type Request = Request;

    fn header<'r>(request: &'r Request, name: &'r str) -> impl Iterator<Item = &'r [u8]> {
        request.headers().get_all(name).iter().map(|value| value.as_bytes())
    }

    async fn path_parameter(request: &mut Request, name: &str) -> PathParameter {
        PathParameter::of(request.params().get(name).map(String::as_str))
    }

    fn peer_address(request: &Request) -> Option<IpAddr> {
        request.remote_addr().ip()
    }

    fn attach<T: Clone + Send + Sync + 'static>(request: &mut Request, value: T) {
        request.extensions_mut().insert(value);
    }

    fn attached<T: Clone + Send + Sync + 'static>(request: &Request) -> Option<T> {
        request.extensions().get().cloned()
    }
}

/// A guard in front of the handlers of a router.
struct Guarded(RouteGuard<Salvo>);

#[async_trait]
impl Handler for Guarded {
    async fn handle(&self, request: &mut Request, _: &mut Depot, response: &mut Response, flow: &mut FlowCtrl) {
        if let Err(refusal) = self.0.admit(request).await {
            response.render(Refused(refusal));
            flow.skip_rest();
        }
    }
}

/// A refusal as a response.
pub struct Refused(pub Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl Scribe for Refused {
    fn render(self, response: &mut Response) {
        response.status_code(StatusCode::from_u16(self.0.status()).expect("the status of a refusal is valid"));
        for (name, value) in self.0.headers() {
            response.add_header(name, value, false).expect("the headers of a refusal are valid");
        }
        response.body(self.0.body());
    }
}
