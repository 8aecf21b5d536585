//! The caller of a guarded call, as handlers take it.

use tonic::{Request, Status};

use crate::adapters::http::authenticated::Authenticated;
use crate::adapters::http::caller::Caller;
use crate::adapters::http::refusal::Refusal;
use crate::rules::access::ProjectRequirement;

/// The caller of a guarded call. `tonic::Request` implements this trait, whatever the message of the
/// request is. No other type can implement it.
///
/// ```
/// use keyfob::access::OwnProject;
/// use keyfob::http::Authenticated;
/// use keyfob::tonic::GuardedRequest;
/// use tonic::{Request, Response, Status};
///
/// /// The handler of a guard for one project.
/// async fn list(request: Request<String>) -> Result<Response<String>, Status> {
///     let caller: Authenticated = request.authenticated()?;
///     Ok(Response::new(format!("the notes of project {}", caller.project())))
/// }
///
/// /// The handler of the guard `own_project`, for a message that names the project.
/// async fn add(request: Request<String>) -> Result<Response<String>, Status> {
///     let caller: Authenticated<OwnProject> = request.authenticated()?;
///     let caller = caller.in_project(&request.into_inner().parse()?)?;
///     Ok(Response::new(format!("{} adds a note", caller.owner())))
/// }
/// ```
pub trait GuardedRequest: Sealed {
    /// Returns the verified caller of the call.
    ///
    /// # Errors
    /// Returns a [`Status`] with the code `INTERNAL` and the reason `unguarded` if no guard for this
    /// project requirement protects the method. Returns the code `UNAUTHENTICATED` if the guard has
    /// [passed the call on](crate::http::RouteGuard::or_other) to another authentication.
    fn authenticated<P: ProjectRequirement + 'static>(&self) -> Result<Authenticated<P>, Status>;

    /// Returns the caller of a call whose guard [passes calls
    /// on](crate::http::RouteGuard::or_other) to another authentication.
    ///
    /// # Errors
    /// Returns a [`Status`] with the code `INTERNAL` and the reason `unguarded` if no guard for this
    /// project requirement protects the method.
    fn caller<P: ProjectRequirement + 'static>(&self) -> Result<Caller<P>, Status>;
}

impl<T> GuardedRequest for Request<T> {
    fn authenticated<P: ProjectRequirement + 'static>(&self) -> Result<Authenticated<P>, Status> {
        Ok(self.caller()?.token()?)
    }

    fn caller<P: ProjectRequirement + 'static>(&self) -> Result<Caller<P>, Status> {
        let caller = self.extensions().get::<Caller<P>>().cloned();
        Ok(caller.ok_or_else(Refusal::unguarded)?)
    }
}

/// A trait that only this crate can name, so that only this crate implements [`GuardedRequest`].
pub trait Sealed {}

impl<T> Sealed for Request<T> {}
