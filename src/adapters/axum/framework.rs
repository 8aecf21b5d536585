//! Requests of axum, as a guard reads them.

use core::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::extract::connect_info::MockConnectInfo;
use axum::http::request::Parts;

use super::path;
use crate::adapters::http::framework::{Framework, PathParameter};
use crate::adapters::http::guard;
use crate::adapters::parts;

/// The web framework axum.
#[derive(Clone, Copy, Debug)]
pub struct Axum;

/// A guard for the routes of axum. See [`http::Guard`](crate::http::Guard) for its methods.
///
/// ```
/// use axum::{Router, routing::get};
/// use keyfob::{MemoryStore, Tokens, access::OwnProject};
/// use keyfob::{axum::Guard, http::Authenticated};
///
/// async fn notes(caller: Authenticated) -> String {
///     format!("{} reads the notes of project {}", caller.owner(), caller.project())
/// }
///
/// async fn whoami(caller: Authenticated<OwnProject>) -> String {
///     caller.owner().to_string()
/// }
///
/// fn app(tokens: Tokens<MemoryStore>) -> Result<Router, keyfob::Invalid> {
///     let guard = Guard::new(tokens).with_realm("acme");
///     let in_project = guard.project_in_path("project", "notes:read")?;
///     Ok(Router::new()
///         .route("/projects/{project}/notes", get(notes).layer(in_project))
///         .route("/whoami", get(whoami).layer(guard.own_project("")?)))
/// }
/// ```
///
/// The layer of a route works with `MethodRouter::layer` and `Router::route_layer`, and with any
/// tower service that takes `http::Request`s. On a whole `Router`, use `route_layer`: with `layer`,
/// the guard would also check requests to paths that do not exist. A nested router also has the
/// parameters of its outer path. The guard cannot read the parameters of a path if the layer wraps
/// a plain tower service instead of an axum route.
///
/// The address of a client is the peer address of the connection, if the service is created with
/// `Router::into_make_service_with_connect_info::<SocketAddr>`. Behind a proxy that overwrites a
/// header, pass a function that reads this header:
///
/// ```
/// # use keyfob::{MemoryStore, Tokens, axum::Guard};
/// # fn guard(tokens: Tokens<MemoryStore>) -> Guard {
/// // The proxy overwrites this header. Clients reach the service only through it.
/// Guard::new(tokens).with_client_address(|request| {
///     request.headers.get("x-real-ip")?.to_str().ok()?.parse().ok()
/// })
/// # }
/// ```
///
/// The guard first marks the values of all headers that may hold a token as sensitive, so that
/// inner layers and handlers do not print them with Debug. A layer outside the guard receives these
/// values unmarked.
pub type Guard = guard::Guard<Axum>;

impl Framework for Axum {
    type Request = Parts;

    fn header<'r>(request: &'r Parts, name: &'r str) -> impl Iterator<Item = &'r [u8]> {
        parts::header(request, name)
    }

    fn path_parameter(request: &mut Parts, name: &str) -> PathParameter {
        path::parameter(request, name)
    }

    fn peer_address(request: &mut Parts) -> Option<IpAddr> {
        let connection = request.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address);
        let mock = || request.extensions.get::<MockConnectInfo<SocketAddr>>().map(|MockConnectInfo(address)| address);
        connection.or_else(mock).map(SocketAddr::ip)
    }

    fn attach<T: Clone + Send + Sync + 'static>(request: &mut Parts, value: T) {
        request.extensions.insert(value);
    }

    fn attached<T: Clone + Send + Sync + 'static>(request: &Parts) -> Option<T> {
        request.extensions.get::<T>().cloned()
    }
}
