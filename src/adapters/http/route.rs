//! The guard of one route.

use core::fmt;
use std::sync::Arc;

use super::config::{GuardConfig, Reading};
use super::framework::Framework;
use super::refusal::Refusal;
use super::rule::Rule;
use crate::rules::scope::Scope;
use crate::words::ids::ProjectId;

/// The guard of one route, or of several routes with the same requirements. A
/// [`Guard`](crate::http::Guard) creates it. It is cheap to clone.
///
/// With the feature `axum` or `tonic`, it is a tower layer of this framework. With the feature
/// `actix`, it is a middleware of actix-web. Use [`admit`](Self::admit) with another framework.
///
/// The inner service or handler is called only for requests that the guard admits.
pub struct RouteGuard<F: Framework> {
    pub(super) route: Arc<Route<F>>,
    pub(super) passes_on: bool,
}

/// The requirements of one route, and how its requests are read. Frameworks clone a guard for each
/// request, so the guards of a route share this value.
pub(super) struct Route<F: Framework> {
    pub(super) rule: Arc<Rule>,
    pub(super) reading: Reading<F>,
    pub(super) project: Project<F>,
}

/// The source from which a guard takes the project id for a request.
pub(super) enum Project<F: Framework> {
    Path(Box<str>),
    /// The name of the header, in lower case.
    Header(Box<str>),
    Fixed(ProjectId),
    By(Box<OwnProjectOf<F::Request>>),
    /// The request names no project. The guard uses the project of the token.
    Own,
}

/// A function of the host that returns the project that a request names.
pub(super) type OwnProjectOf<R> = dyn Fn(&R) -> Result<ProjectId, Refusal> + Send + Sync;

impl<F: Framework> RouteGuard<F> {
    pub(super) fn new(guard: GuardConfig, reading: Reading<F>, project: Project<F>, scopes: Box<[Scope]>) -> Self {
        let rule = Arc::new(Rule { guard, scopes });
        Self { route: Arc::new(Route { rule, reading, project }), passes_on: false }
    }

    /// Returns the scopes that the route requires.
    pub fn scopes(&self) -> &[Scope] {
        &self.route.rule.scopes
    }

    /// Returns the names, in lower case, of the headers that may hold a token. An adapter for a web
    /// framework keeps their values out of logs and Debug output: before it calls
    /// [`admit`](Self::admit), it marks every value of these headers as sensitive, if the framework
    /// has such a mark. A header may be repeated, so it marks all values of the header and not only
    /// the first. The guard must still be able to read the values.
    pub fn secret_headers(&self) -> impl Iterator<Item = &str> {
        self.route.reading.places.headers()
    }

    /// Returns the guard, changed so that it passes a request without any credential of keyfob on
    /// to another authentication, such as a cookie of a session. Handlers take a
    /// [`Caller`](crate::http::Caller), whose variant says which authentication the request has.
    ///
    /// A credential is a text that begins with a prefix of the keyring and `_`, or that has the
    /// shape of an imported token, in one of the
    /// [places](crate::http::CredentialPlaces) of the guard. The guard judges such a text, and
    /// **never passes on a request with a bad token**, even if the request also has a good session.
    /// Other values of the header `Authorization` are passed on.
    ///
    /// If a handler takes an [`Authenticated`](crate::http::Authenticated) instead of a `Caller`, a
    /// request without a token gets a response of status 401.
    #[must_use]
    pub fn or_other(self) -> Self {
        Self { passes_on: true, ..self }
    }
}

impl<F: Framework> Clone for RouteGuard<F> {
    fn clone(&self) -> Self {
        Self { route: Arc::clone(&self.route), passes_on: self.passes_on }
    }
}

impl<F: Framework> fmt::Debug for RouteGuard<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut guard = f.debug_struct("RouteGuard");
        guard.field("scopes", &self.scopes()).field("passes_on", &self.passes_on).finish_non_exhaustive()
    }
}
