//! What connects keyfob to Salvo. Copy this file into your service.

use std::net::IpAddr;

use keyfob::http::{Framework, PathParameter, Refusal, RouteGuard};
use salvo::http::{HeaderMap, StatusCode};
use salvo::{Depot, FlowCtrl, Handler, Request, Response, Scribe, async_trait};

/// The web framework Salvo.
pub struct Salvo;

impl Framework for Salvo {
    type Request = Request;

    fn header<'r>(request: &'r Request, name: &'r str) -> impl Iterator<Item = &'r [u8]> {
        request.headers().get_all(name).iter().map(|value| value.as_bytes())
    }

    fn path_parameter(request: &mut Request, name: &str) -> PathParameter {
        PathParameter::of(request.params().get(name).map(String::as_str))
    }

    fn peer_address(request: &mut Request) -> Option<IpAddr> {
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
pub struct Guarded(pub RouteGuard<Salvo>);

#[async_trait]
impl Handler for Guarded {
    async fn handle(&self, request: &mut Request, _: &mut Depot, response: &mut Response, flow: &mut FlowCtrl) {
        hide(request.headers_mut(), &self.0);
        if let Err(refusal) = self.0.admit(request).await {
            response.render(Refused(refusal));
            flow.skip_rest();
        }
    }
}

/// Marks the values of all headers that may hold a token, so that Debug output does not show them.
fn hide(headers: &mut HeaderMap, route: &RouteGuard<Salvo>) {
    for (name, value) in headers.iter_mut() {
        if route.secret_headers().any(|secret| name == secret) {
            value.set_sensitive(true);
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
