//! The guard that protects the routes of a service, and the methods that configure it.

use core::fmt;
use core::net::IpAddr;
use std::sync::Arc;

use super::config::{BasicChallenge, GuardConfig, Reading};
use super::framework::Framework;
use super::refusal::Refusal;
use super::route::{Project, RouteGuard};
use crate::rules::scope::Scope;
use crate::store::contract::TokenStore;
use crate::tokens::service::Tokens;
#[cfg(feature = "utoipa")]
use crate::words::ids::Prefix;
use crate::words::ids::ProjectId;
use crate::words::invalid::{Invalid, InvalidField};
use crate::words::places::{CredentialPlaces, header_name};

/// A guard that verifies the tokens of the requests to your routes. It is cheap to clone. Create
/// one guard, and create a [`RouteGuard`](crate::http::RouteGuard) from it for each route, with the
/// project and the scopes that the route needs.
///
/// `F` is the web framework. Use one of these aliases: `keyfob::axum::Guard`,
/// `keyfob::actix::Guard`, `keyfob::tonic::Guard`. For another framework, implement
/// [`Framework`](crate::http::Framework).
///
/// Each route guard verifies the token of every request with [`Tokens::verify`], for all HTTP
/// methods. This includes `OPTIONS`, so put a layer that responds to CORS preflight requests
/// outside the guard. A handler takes the verified caller with the extractor
/// [`Authenticated`](crate::http::Authenticated). If the verification fails, the response is a
/// [`Refusal`](crate::http::Refusal).
///
/// The guard looks for the token in the [places](crate::http::CredentialPlaces) that you set.
/// Unless you set others, these are the schemes Bearer and Basic of the header `Authorization`.
pub struct Guard<F: Framework> {
    config: GuardConfig,
    reading: Reading<F>,
}

impl<F: Framework> Guard<F> {
    /// Creates a guard that verifies tokens with this [`Tokens`]. Pass an `Arc` if your service
    /// also uses the `Tokens` elsewhere. The realm of the guard is the prefix of the tokens, such
    /// as `acme_pat`, unless you set another one.
    pub fn new<S>(tokens: impl Into<Arc<Tokens<S>>>) -> Self
    where
        S: TokenStore + 'static,
    {
        let tokens = tokens.into();
        let realm = tokens.keyring().prefix().as_str().into();
        let places = Arc::new(CredentialPlaces::new());
        Self {
            config: GuardConfig { tokens, realm, basic_challenge: BasicChallenge::No },
            reading: Reading { places, credential: None, address: None, resource_metadata: None },
        }
    }

    /// Sets the realm that refusals name in the header `WWW-Authenticate` (RFC 9110 section 11.5).
    /// Characters of the realm that are not printable ASCII are left out.
    #[must_use]
    pub fn with_realm(self, realm: &str) -> Self {
        Self { config: GuardConfig { realm: realm.into(), ..self.config }, ..self }
    }

    /// Sets the places of a request in which the token may be: the schemes of `Authorization` and
    /// further headers. They replace the default places.
    #[must_use]
    pub fn with_places(self, places: CredentialPlaces) -> Self {
        Self { reading: Reading { places: Arc::new(places), ..self.reading }, ..self }
    }

    /// Adds a place that your service reads itself. The function returns the text of the token in a
    /// request, such as a parameter of the query or a WebSocket protocol, or `None` if there is
    /// none. Tokens in URLs often get into logs: prefer a header.
    ///
    /// A request may have only one credential in all places together. If the text may be an
    /// [imported](crate::Tokens::with_imports) token, the guard calls the function a second time.
    #[must_use]
    pub fn with_credential(
        self,
        credential: impl for<'r> Fn(&'r F::Request) -> Option<&'r str> + Send + Sync + 'static,
    ) -> Self {
        Self { reading: Reading { credential: Some(Arc::new(credential)), ..self.reading }, ..self }
    }

    /// Makes every refusal of status 401 ask for a user name and a password, too (RFC 7617). Git
    /// and `curl --anyauth` send a credential only after such a challenge. A browser shows a dialog
    /// for them, so leave the setting out for routes that pages call.
    #[must_use]
    pub fn with_basic_challenge(self) -> Self {
        Self { config: GuardConfig { basic_challenge: BasicChallenge::Beside, ..self.config }, ..self }
    }

    /// Makes every refusal of status 401 ask for a user name and a password, and for nothing else.
    /// Docker needs this: it takes the realm of a challenge for Bearer as the URL of a service that
    /// issues tokens, and then fails. The guard still accepts Bearer.
    #[must_use]
    pub fn with_basic_challenge_only(self) -> Self {
        Self { config: GuardConfig { basic_challenge: BasicChallenge::Only, ..self.config }, ..self }
    }

    /// Sets the function that returns the client address of a request. If a token may be used only
    /// from certain addresses, the guard checks that this address is one of them.
    ///
    /// Without this setting, the address is the peer address of the connection, if the framework
    /// knows it. Behind a proxy, the peer
    /// address is the address of the proxy. In this case, pass a function that reads the header
    /// that your proxy sets, but only if the proxy overwrites this header. The guard itself reads
    /// no header for the address, not even `X-Forwarded-For`, because any client can send such a
    /// header. If the address of a request is unknown, a token that is restricted to certain
    /// addresses is rejected.
    ///
    /// If [`Usage::with_origins`](crate::tokens::Usage::with_origins) is set, the address and the
    /// `User-Agent` header are recorded with the last use.
    #[must_use]
    pub fn with_client_address(self, address: impl Fn(&F::Request) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        Self { reading: Reading { address: Some(Arc::new(address)), ..self.reading }, ..self }
    }

    /// Sets the function that returns the URL of the protected resource's metadata (RFC 9728) for a
    /// request. Every challenge of status 401 or 403 names this URL, as clients of the Model
    /// Context Protocol expect. Most services have one URL for all requests:
    ///
    /// ```
    /// use keyfob::http::{Framework, Guard};
    ///
    /// fn with_metadata<F: Framework>(guard: Guard<F>) -> Guard<F> {
    ///     let metadata = "https://acme.example/.well-known/oauth-protected-resource";
    ///     guard.with_resource_metadata(move |_| Some(metadata.to_owned()))
    /// }
    /// ```
    ///
    /// The guard calls the function before each verification, so it also calls the function for
    /// requests that it then accepts.
    #[must_use]
    pub fn with_resource_metadata(
        self,
        address: impl Fn(&F::Request) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self { reading: Reading { resource_metadata: Some(Arc::new(address)), ..self.reading }, ..self }
    }

    /// Returns the guard of a route whose path names the project in the given parameter: for
    /// example, `guard.project_in_path("project", "repo:read")` on `/projects/{project}/repo`.
    ///
    /// If the parameter is not a valid [`ProjectId`], the request gets a response of status 404,
    /// and the guard does not read its token. If the route does not have exactly one parameter with
    /// this name, every request gets a response of status 500.
    ///
    /// The scopes are separated by white space. An empty text requires no scope.
    ///
    /// # Errors
    /// Returns [`Invalid`] if a scope is not valid.
    pub fn project_in_path(&self, parameter: &str, scopes: &str) -> Result<RouteGuard<F>, Invalid> {
        self.route(Project::Path(parameter.into()), scopes)
    }

    /// Returns the guard of a route whose requests name the project in a header. If the header is
    /// missing, repeated or not a valid [`ProjectId`], the request gets a response of status 400,
    /// and its token is not read.
    ///
    /// # Errors
    /// Returns [`Invalid`] if a scope or the name of the header is not valid.
    pub fn project_in_header(&self, header: impl AsRef<str>, scopes: &str) -> Result<RouteGuard<F>, Invalid> {
        let name = header_name(header.as_ref(), InvalidField::HeaderName)?;
        self.route(Project::Header(name), scopes)
    }

    /// Returns the guard of a route whose project your own function reads from the request: from
    /// the host name, the query, or the parameters of another router. The function returns the
    /// refusal for a request without a project. A [`ProjectId`] that is not valid converts into a
    /// refusal of status 400.
    ///
    /// **The handler must act on the same project.** Let it take the project from
    /// [`Authenticated::project`](crate::Verified::project), and not read the request again.
    ///
    /// # Errors
    /// Returns [`Invalid`] if a scope is not valid.
    pub fn project_by<E: Into<Refusal>>(
        &self,
        project: impl Fn(&F::Request) -> Result<ProjectId, E> + Send + Sync + 'static,
        scopes: &str,
    ) -> Result<RouteGuard<F>, Invalid> {
        self.route(Project::By(Box::new(move |request| project(request).map_err(Into::into))), scopes)
    }

    /// Returns the guard of a route that belongs to one fixed project.
    ///
    /// # Errors
    /// Returns [`Invalid`] if a scope is not valid.
    pub fn project(&self, project: ProjectId, scopes: &str) -> Result<RouteGuard<F>, Invalid> {
        self.route(Project::Fixed(project), scopes)
    }

    /// Returns the guard of a route that names no project. The guard accepts tokens of all
    /// projects, and handlers take `Authenticated<OwnProject>`.
    ///
    /// # Errors
    /// Returns [`Invalid`] if a scope is not valid.
    pub fn own_project(&self, scopes: &str) -> Result<RouteGuard<F>, Invalid> {
        self.route(Project::Own, scopes)
    }

    /// Returns how requests present a token: the prefix of the token, the places, and whether
    /// refusals ask for Basic.
    #[cfg(feature = "utoipa")]
    pub(crate) fn presentation(&self) -> (Prefix, &CredentialPlaces, bool) {
        (self.config.tokens.prefix(), &self.reading.places, self.config.basic_challenge != BasicChallenge::No)
    }

    fn route(&self, project: Project<F>, scopes: &str) -> Result<RouteGuard<F>, Invalid> {
        let scopes = scopes.split_ascii_whitespace().map(Scope::new).collect::<Result<_, _>>()?;
        Ok(RouteGuard::new(self.config.clone(), self.reading.clone(), project, scopes))
    }
}

impl<F: Framework> Clone for Guard<F> {
    fn clone(&self) -> Self {
        Self { config: self.config.clone(), reading: self.reading.clone() }
    }
}

impl<F: Framework> fmt::Debug for Guard<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (GuardConfig { realm, basic_challenge, .. }, places) = (&self.config, &self.reading.places);
        let mut guard = f.debug_struct("Guard");
        guard.field("realm", realm).field("basic_challenge", basic_challenge).field("places", places);
        guard.finish_non_exhaustive()
    }
}
