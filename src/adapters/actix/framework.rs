//! Requests of actix-web, as a guard reads them.

use core::net::{IpAddr, SocketAddr};

use actix_web::{HttpMessage, HttpRequest};

use crate::adapters::http::framework::{Framework, PathParameter};
use crate::adapters::http::guard;

/// The web framework actix-web.
#[derive(Clone, Copy, Debug)]
pub struct Actix;

/// A guard for the resources and scopes of actix-web. See [`http::Guard`](crate::http::Guard) for
/// its methods.
///
/// ```
/// use actix_web::web::{ServiceConfig, get, resource};
/// use keyfob::{MemoryStore, Tokens, access::OwnProject};
/// use keyfob::{actix::Guard, http::Authenticated};
///
/// async fn notes(caller: Authenticated) -> String {
///     format!("{} reads the notes of project {}", caller.owner(), caller.project())
/// }
///
/// async fn whoami(caller: Authenticated<OwnProject>) -> String {
///     caller.owner().to_string()
/// }
///
/// /// Creates the guards once. Each worker clones them.
/// fn routes(
///     tokens: Tokens<MemoryStore>,
/// ) -> Result<impl Fn(&mut ServiceConfig) + Clone, keyfob::Invalid> {
///     let guard = Guard::new(tokens).with_realm("acme");
///     let in_project = guard.project_in_path("project", "notes:read")?;
///     let own_project = guard.own_project("")?;
///     Ok(move |app: &mut ServiceConfig| {
///         let notes = resource("/projects/{project}/notes").route(get().to(notes));
///         app.service(notes.wrap(in_project.clone()));
///         let whoami = resource("/whoami").route(get().to(whoami));
///         app.service(whoami.wrap(own_project.clone()));
///     })
/// }
/// ```
///
/// The guard of a route is a middleware for `Resource::wrap` and `Scope::wrap`. It reads only the
/// parameters that actix-web has matched before it calls the guard. These are the parameters of the
/// resource or scope that the guard wraps, and of all scopes around it. With `App::wrap`, no
/// parameter is known.
///
/// The address of a client is the peer address of the connection. Behind a proxy that overwrites a
/// header, pass a function that reads this header:
///
/// ```
/// # use keyfob::{MemoryStore, Tokens, actix::Guard};
/// # fn guard(tokens: Tokens<MemoryStore>) -> Guard {
/// // The proxy overwrites this header. Clients reach the service only through it.
/// Guard::new(tokens).with_client_address(|request| {
///     request.headers().get("x-real-ip")?.to_str().ok()?.parse().ok()
/// })
/// # }
/// ```
///
/// The guard first marks the values of all headers that may hold a token as sensitive, so that
/// inner middleware and handlers do not print them with Debug. Middleware outside the guard
/// receives these values unmarked. There, the Debug output of `HttpRequest` hides only the header
/// `Authorization`, and the Debug output of `ServiceRequest` and `HeaderMap` hides no header.
///
/// To mark a header, actix-web needs the only reference to the request. **It panics on every
/// request if middleware outside the guard keeps a clone of the `HttpRequest`**, for example as an
/// argument of `from_fn`. Without a guard, such middleware makes actix-web panic only if it wraps a
/// scope or an app.
pub type Guard = guard::Guard<Actix>;

impl Framework for Actix {
    type Request = HttpRequest;

    fn header<'r>(request: &'r HttpRequest, name: &'r str) -> impl Iterator<Item = &'r [u8]> {
        request.headers().get_all(name).map(|value| value.as_bytes())
    }

    fn path_parameter(request: &mut HttpRequest, name: &str) -> PathParameter {
        let named = request.match_info().iter().filter(|(parameter, _)| *parameter == name);
        PathParameter::of(named.map(|(_, value)| value))
    }

    fn peer_address(request: &mut HttpRequest) -> Option<IpAddr> {
        request.peer_addr().as_ref().map(SocketAddr::ip)
    }

    fn attach<T: Clone + Send + Sync + 'static>(request: &mut HttpRequest, value: T) {
        request.extensions_mut().insert(value);
    }

    fn attached<T: Clone + Send + Sync + 'static>(request: &HttpRequest) -> Option<T> {
        request.extensions().get::<T>().cloned()
    }
}
