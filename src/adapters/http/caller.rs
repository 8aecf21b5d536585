//! The caller of a route that also has another authentication.

use core::fmt;
use std::sync::Arc;

use super::authenticated::Authenticated;
use super::framework::Framework;
use super::origin::Origin;
use super::refusal::Refusal;
use super::rule::Rule;
use crate::rules::access::{InProject, ProjectRequirement};
use crate::rules::challenge::Challenge;

/// The caller of a route that a [`RouteGuard::or_other`](crate::http::RouteGuard::or_other)
/// protects: the verified caller of a token, or a request for another authentication.
///
/// This type is an extractor. In a tower service, read it from the extensions of the request, and
/// leave it there: a guard further inside compares its own caller with it. It will never have other
/// variants. If no guard protects the route, every request gets a response of status 500, and the
/// handler never runs. On a route with a guard that does not pass requests on, the caller is always
/// a `Token`.
///
/// ```
/// use keyfob::http::{Caller, Refusal};
///
/// /// Returns the owner of the token, or the user of the session.
/// fn user(caller: &Caller, session: Option<&str>) -> Result<String, Refusal> {
///     match caller {
///         Caller::Token(token) => Ok(token.owner().to_string()),
///         // A request with a bad token never gets here.
///         Caller::Other(other) => match session {
///             Some(user) => Ok(user.to_owned()),
///             None => Err(other.refusal()),
///         },
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub enum Caller<P = InProject> {
    /// The request has a token, and the guard has verified it.
    Token(Authenticated<P>),
    /// The request has no credential of keyfob. Another authentication must judge it.
    Other(OtherCaller),
}

/// A request without a credential of keyfob, which a guard has passed on to another
/// authentication.
#[derive(Clone)]
pub struct OtherCaller {
    pub(super) rule: Arc<Rule>,
    pub(super) origin: Origin,
    pub(super) why: Challenge,
}

impl OtherCaller {
    /// Returns the refusal for a request that the other authentication does not accept either. It
    /// is the refusal of a guard that passes no requests on. Its status is 401, and its reason is
    /// `missing_token` or `wrong_scheme`, or `invalid_token` if `Authorization` has a text that is
    /// not a credential of keyfob. If the request has several such texts, or one that cannot be
    /// read, the status is 400.
    pub fn refusal(&self) -> Refusal {
        self.rule.challenge(self.why, &self.origin)
    }
}

impl<P: ProjectRequirement + 'static> Caller<P> {
    /// Returns the caller that a guard has attached to a request of a framework. Extractors of web
    /// frameworks call this function.
    ///
    /// # Errors
    /// Returns a refusal of status 500 with the reason `unguarded` if no guard for this project
    /// requirement protects the route.
    pub fn of<F: Framework>(request: &F::Request) -> Result<Self, Refusal> {
        F::attached::<Self>(request).ok_or_else(Refusal::unguarded)
    }

    /// Returns the verified caller of a token.
    ///
    /// # Errors
    /// Returns [`OtherCaller::refusal`] if the request has no token.
    pub fn token(self) -> Result<Authenticated<P>, Refusal> {
        match self {
            Self::Token(caller) => Ok(caller),
            Self::Other(other) => Err(other.refusal()),
        }
    }
}

impl<P: ProjectRequirement + 'static> Authenticated<P> {
    /// Returns the verified caller that a guard has attached to a request of a framework.
    /// Extractors of web frameworks call this function.
    ///
    /// # Errors
    /// Returns a refusal of status 500 with the reason `unguarded` if no guard for this project
    /// requirement protects the route. Returns the [refusal](OtherCaller::refusal) of the guard if
    /// it has [passed the request on](crate::http::RouteGuard::or_other) to another authentication.
    pub fn of<F: Framework>(request: &F::Request) -> Result<Self, Refusal> {
        Caller::of::<F>(request)?.token()
    }
}

impl fmt::Debug for OtherCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OtherCaller").field(&self.why.reason()).finish()
    }
}
