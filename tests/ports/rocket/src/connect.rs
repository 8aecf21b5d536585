//! What connects keyfob to Rocket. Copy this file into your service.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::io::Cursor;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use keyfob::access::{InProject, ProjectRequirement};
use keyfob::http::{Authenticated, Framework, PathParameter, Refusal, RouteGuard};
use rocket::http::Status;
use rocket::request::{self, FromRequest};
use rocket::response::{self, Responder};
use rocket::route::{self, Handler};
use rocket::{Data, Request, Response, Route, async_trait};

/// The web framework Rocket.
pub struct OnRocket;

/// The head of a request. A request of Rocket borrows from its connection, so this is a copy.
pub struct Head {
    headers: Vec<(String, String)>,
    /// The segments of the path of the route, such as `<project>`, and those of the request.
    path: Vec<(String, String)>,
    peer: Option<IpAddr>,
    attached: Attached,
}

/// The attached values. They live in the local cache of the request.
type Attached = Arc<Mutex<HashMap<TypeId, Box<dyn Any + Send + Sync>>>>;

impl Head {
    fn of(request: &Request<'_>) -> Self {
        let route = request.route().map_or("", |route| route.uri.path());
        let route = route.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned);
        let headers = request.headers().iter();
        Self {
            headers: headers.map(|header| (header.name().to_string(), header.value().to_owned())).collect(),
            path: route.zip(request.uri().path().segments().map(str::to_owned)).collect(),
            peer: request.remote().map(|address| address.ip()),
            attached: Arc::clone(request.local_cache(Attached::default)),
        }
    }
}

impl Framework for OnRocket {
    type Request = Head;

    fn header<'r>(request: &'r Head, name: &'r str) -> impl Iterator<Item = &'r [u8]> {
        let named = request.headers.iter().filter(move |(header, _)| header.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_bytes())
    }

    fn path_parameter(request: &mut Head, name: &str) -> PathParameter {
        let name = format!("<{name}>");
        let values = request.path.iter().filter(|(parameter, _)| *parameter == name);
        PathParameter::of(values.map(|(_, value)| value.as_str()))
    }

    fn peer_address(request: &mut Head) -> Option<IpAddr> {
        request.peer
    }

    fn attach<T: Clone + Send + Sync + 'static>(request: &mut Head, value: T) {
        let mut attached = request.attached.lock().unwrap_or_else(PoisonError::into_inner);
        attached.insert(TypeId::of::<T>(), Box::new(value));
    }

    fn attached<T: Clone + Send + Sync + 'static>(request: &Head) -> Option<T> {
        let attached = request.attached.lock().unwrap_or_else(PoisonError::into_inner);
        attached.get(&TypeId::of::<T>())?.downcast_ref().cloned()
    }
}

/// Puts a guard in front of the handlers of routes.
pub fn guarded(mut routes: Vec<Route>, guard: RouteGuard<OnRocket>) -> Vec<Route> {
    for route in &mut routes {
        let inner = route.handler.clone();
        route.handler = Box::new(Guarded { guard: guard.clone(), inner });
    }
    routes
}

#[derive(Clone)]
struct Guarded {
    guard: RouteGuard<OnRocket>,
    inner: Box<dyn Handler>,
}

#[async_trait]
impl Handler for Guarded {
    async fn handle<'r>(&self, request: &'r Request<'_>, data: Data<'r>) -> route::Outcome<'r> {
        match self.guard.admit(&mut Head::of(request)).await {
            Ok(()) => self.inner.handle(request, data).await,
            Err(refusal) => route::Outcome::from(request, Refused(refusal)),
        }
    }
}

/// The verified caller of a guarded route, as a request guard.
pub struct Caller<P = InProject>(pub Authenticated<P>);

#[async_trait]
impl<'r, P: ProjectRequirement + 'static> FromRequest<'r> for Caller<P> {
    type Error = Refused;

    async fn from_request(request: &'r Request<'_>) -> request::Outcome<Self, Refused> {
        match Authenticated::of::<OnRocket>(&Head::of(request)) {
            Ok(caller) => request::Outcome::Success(Self(caller)),
            Err(refusal) => request::Outcome::Error((status(&refusal), Refused(refusal))),
        }
    }
}

/// A refusal as a response.
#[derive(Debug)]
pub struct Refused(pub Refusal);

impl<'r> Responder<'r, 'static> for Refused {
    fn respond_to(self, _: &'r Request<'_>) -> response::Result<'static> {
        let mut response = Response::new();
        response.set_status(status(&self.0));
        for (name, value) in self.0.headers() {
            response.adjoin_raw_header(name, value.to_owned());
        }
        let body = self.0.body();
        response.set_sized_body(body.len(), Cursor::new(body));
        Ok(response)
    }
}

fn status(refusal: &Refusal) -> Status {
    Status::new(refusal.status())
}
