//! What a guard needs to know about a web framework.

use core::net::IpAddr;

use super::refusal::Refusal;
use crate::words::ids::ProjectId;

/// A web framework, as a guard uses it: how to read the head of a request, and how to attach a
/// value to it. keyfob implements the trait for axum, actix-web and tonic. Implement it to use
/// [`Guard`](crate::http::Guard) with another framework:
///
/// ```
/// use std::any::{Any, TypeId};
/// use std::{collections::HashMap, net::IpAddr};
///
/// use keyfob::http::{Authenticated, Framework, PathParameter, Refusal, RouteGuard};
///
/// /// The request of a framework. A real one comes from the framework.
/// struct Request {
///     headers: Vec<(String, String)>,
///     project: Option<String>,
///     attached: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
/// }
///
/// struct MyFramework;
///
/// impl Framework for MyFramework {
///     type Request = Request;
///
///     fn header<'r>(
///         request: &'r Request,
///         name: &'r str,
///     ) -> impl Iterator<Item = &'r [u8]> {
///         let headers = request.headers.iter();
///         let named = headers.filter(move |(key, _)| key.eq_ignore_ascii_case(name));
///         named.map(|(_, value)| value.as_bytes())
///     }
///
///     fn path_parameter(request: &mut Request, _: &str) -> PathParameter {
///         PathParameter::of(request.project.as_deref())
///     }
///
///     fn peer_address(_: &mut Request) -> Option<IpAddr> {
///         None
///     }
///
///     fn attach<T: Clone + Send + Sync + 'static>(request: &mut Request, value: T) {
///         request.attached.insert(TypeId::of::<T>(), Box::new(value));
///     }
///
///     fn attached<T: Clone + Send + Sync + 'static>(request: &Request) -> Option<T> {
///         request.attached.get(&TypeId::of::<T>())?.downcast_ref::<T>().cloned()
///     }
/// }
///
/// /// The response of a framework: status, headers and body.
/// type Response = (u16, Vec<(String, String)>, String);
///
/// fn refused(refusal: &Refusal) -> Response {
///     let headers = refusal.headers();
///     let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
///     (refusal.status(), headers.collect(), refusal.body())
/// }
///
/// /// The middleware. It calls the handler only if the guard admits the request.
/// async fn middleware(
///     route: &RouteGuard<MyFramework>,
///     mut request: Request,
/// ) -> Response {
///     // A real adapter first marks all values of `route.secret_headers()`.
///     match route.admit(&mut request).await {
///         Ok(()) => handler(&request).unwrap_or_else(|refusal| refused(&refusal)),
///         Err(refusal) => refused(&refusal),
///     }
/// }
///
/// fn handler(request: &Request) -> Result<Response, Refusal> {
///     let caller: Authenticated = Authenticated::of::<MyFramework>(request)?;
///     Ok((200, Vec::new(), caller.owner().to_string()))
/// }
/// ```
pub trait Framework: 'static {
    /// The head of a request.
    type Request;

    /// Returns the values of all headers with this name. The name is in lower case. The names of
    /// headers are case-insensitive.
    fn header<'r>(request: &'r Self::Request, name: &'r str) -> impl Iterator<Item = &'r [u8]>;

    /// Returns the parameter with this name from the path of the route. Pass all values that the
    /// route has under this name to [`PathParameter::of`], because a handler might read another one
    /// than the guard. The value may be percent-encoded or decoded: a project id has no character
    /// that is encoded. If its value cannot be decoded, for example because it is not UTF-8, return
    /// [`NoProject`](PathParameter::NoProject). If the route has no parameters at all, return
    /// [`Misplaced`](PathParameter::Misplaced).
    ///
    /// The function is not asynchronous, because the head of the request is complete when the guard
    /// reads it.
    fn path_parameter(request: &mut Self::Request, name: &str) -> PathParameter;

    /// Returns the address of the other end of the connection, if the framework knows it. This is
    /// the address of the proxy if there is one. The request is mutable because some frameworks
    /// need a part of it by value. Put this part back, so that the request does not change.
    fn peer_address(request: &mut Self::Request) -> Option<IpAddr>;

    /// Attaches a value to the request, for the handler and for inner guards. A value of the same
    /// type that was attached before is replaced.
    fn attach<T: Clone + Send + Sync + 'static>(request: &mut Self::Request, value: T);

    /// Returns the attached value of a type.
    fn attached<T: Clone + Send + Sync + 'static>(request: &Self::Request) -> Option<T>;
}

/// The project that the path of a request names. It will never have other variants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathParameter {
    /// The path names this project.
    Project(ProjectId),
    /// The value of the parameter cannot be decoded, or is not a valid project id. The refusal has
    /// the status 404.
    NoProject,
    /// The route does not have exactly one parameter with the name. The refusal has the status 500,
    /// because the guard was placed on the wrong route.
    Misplaced,
}

impl PathParameter {
    /// Returns the project that a parameter names. Pass the values of all parameters of the path
    /// that have the right name, or an `Option` if your framework has at most one. If there is not
    /// exactly one value, the result is [`Misplaced`](Self::Misplaced).
    pub fn of<'v>(values: impl IntoIterator<Item = &'v str>) -> Self {
        let mut values = values.into_iter();
        // If two parameters had this name, the handler might read the one that the guard did not
        // check.
        match (values.next().map(ProjectId::new), values.next()) {
            (Some(Ok(project)), None) => Self::Project(project),
            (Some(Err(_)), None) => Self::NoProject,
            _ => Self::Misplaced,
        }
    }

    pub(super) fn project(self) -> Result<ProjectId, Refusal> {
        match self {
            Self::Project(project) => Ok(project),
            Self::NoProject => Err(Refusal::fixed(404, "not_found", "there is no such project")),
            Self::Misplaced => Err(Refusal::fixed(
                500,
                "misplaced_guard",
                "the path of the guarded route needs exactly one parameter for the project",
            )),
        }
    }
}
