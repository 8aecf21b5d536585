//! The guard that protects the routes of a service, and the methods that configure it.

use core::fmt;
use core::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderName;
use axum::http::request::Parts;

use super::config::GuardConfig;
use super::layer::GuardLayer;
use super::rule::{Project, Rule};
use crate::rules::scope::Scope;
use crate::store::contract::TokenStore;
use crate::tokens::service::Tokens;
use crate::words::ids::ProjectId;
use crate::words::invalid::Invalid;

/// A guard that verifies the tokens of the requests to your routes. It is cheap to clone. Create
/// one guard, and create a layer from it for each route, with the project and the scopes that the
/// route needs.
///
/// ```
/// use axum::{Router, routing::get};
/// use keyfob::{MemoryStore, Tokens, access::OwnProject, axum::{Authenticated, Guard}};
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
/// Each layer verifies the token of every request with [`Tokens::verify`], for all HTTP methods.
/// This includes `OPTIONS`, so put a layer that responds to CORS preflight requests outside the
/// guard. A handler takes the verified caller with the extractor
/// [`Authenticated`](crate::axum::Authenticated). If the verification fails, the response is a
/// [`Refusal`](crate::axum::Refusal). On a whole `Router`, use `route_layer`: with `layer`, the
/// guard would also check requests to paths that do not exist.
///
/// The token is read from the headers as [`Credential`](crate::Credential) describes. The guard
/// first marks the values of `Authorization` and `X-API-Key` as sensitive, so that inner layers and
/// handlers do not print them with Debug. A layer outside the guard receives these values unmarked.
#[derive(Clone)]
pub struct Guard {
    config: GuardConfig,
}

impl Guard {
    /// Creates a guard that verifies tokens with this [`Tokens`]. Pass an `Arc` if your service
    /// also uses the `Tokens` elsewhere. The realm of the guard is the prefix of the tokens, such
    /// as `acme_pat`, unless you set another one.
    pub fn new<S>(tokens: impl Into<Arc<Tokens<S>>>) -> Self
    where
        S: TokenStore + 'static,
    {
        let tokens = tokens.into();
        let realm = tokens.keyring().prefix().as_str().into();
        Self { config: GuardConfig { tokens, realm, api_key: false, address: None, resource_metadata: None } }
    }

    /// Sets the realm that refusals name in the header `WWW-Authenticate` (RFC 9110 section 11.5).
    /// Characters of the realm that are not printable ASCII are left out.
    #[must_use]
    pub fn with_realm(self, realm: &str) -> Self {
        Self { config: GuardConfig { realm: realm.into(), ..self.config } }
    }

    /// Returns the guard with `X-API-Key` as a second header that may contain the token, besides
    /// `Authorization`. A request may have only one of the two headers, and may have `X-API-Key`
    /// only once.
    #[must_use]
    pub fn with_api_key_header(self) -> Self {
        Self { config: GuardConfig { api_key: true, ..self.config } }
    }

    /// Sets the function that returns the client address of a request. If a token may be used only
    /// from certain addresses, the guard checks that this address is one of them.
    ///
    /// Without this setting, the address is the peer address of the connection, if axum knows it
    /// (see `Router::into_make_service_with_connect_info::<SocketAddr>`). Behind a proxy, the peer
    /// address is the address of the proxy. In this case, pass a function that reads the header
    /// that your proxy sets, but only if the proxy overwrites this header. The guard itself reads
    /// no header for the address, not even `X-Forwarded-For`, because any client can send such a
    /// header. If the address of a request is unknown, a token that is restricted to certain
    /// addresses is rejected.
    ///
    /// If [`Usage::with_origins`](crate::tokens::Usage::with_origins) is set, the address and the
    /// `User-Agent` header are recorded with the last use.
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
    #[must_use]
    pub fn with_client_address(self, address: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        Self { config: GuardConfig { address: Some(Arc::new(address)), ..self.config } }
    }

    /// Sets the function that returns the URL of the protected resource's metadata (RFC 9728) for a
    /// request. Every challenge of status 401 or 403 names this URL, as clients of the Model
    /// Context Protocol expect. Most services have one URL for all requests:
    ///
    /// ```
    /// use keyfob::axum::Guard;
    ///
    /// fn with_metadata(guard: Guard) -> Guard {
    ///     let metadata = "https://acme.example/.well-known/oauth-protected-resource";
    ///     guard.with_resource_metadata(move |_| Some(metadata.to_owned()))
    /// }
    /// ```
    ///
    /// The guard calls the function before each verification, so it also calls the function for
    /// requests that it then accepts.
    #[must_use]
    pub fn with_resource_metadata(self, address: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { config: GuardConfig { resource_metadata: Some(Arc::new(address)), ..self.config } }
    }

    /// Returns a layer for routes whose path names the project in the given parameter: for example,
    /// `guard.project_in_path("project", "repo:read")` on `/projects/{project}/repo`. A nested
    /// router also has the parameters of its outer path.
    ///
    /// If the parameter is not a valid [`ProjectId`], the request gets a response of status 404,
    /// and the guard does not read its token. The guard cannot find the project if the route has no
    /// such parameter or has it twice, or if the layer wraps a plain tower service instead of an
    /// axum route. Then every request gets a response of status 500.
    ///
    /// The scopes are separated by white space. An empty text requires no scope.
    ///
    /// # Errors
    /// Returns [`Invalid`] if a scope is not valid.
    pub fn project_in_path(&self, parameter: &str, scopes: &str) -> Result<GuardLayer, Invalid> {
        self.layer(Project::Path(parameter.into()), scopes)
    }

    /// Returns a layer for routes whose requests name the project in a header. If the header is
    /// missing, repeated or not a valid [`ProjectId`], the request gets a response of status 400,
    /// and its token is not read.
    ///
    /// # Errors
    /// Returns [`Invalid`] if a scope is not valid.
    pub fn project_in_header(&self, header: HeaderName, scopes: &str) -> Result<GuardLayer, Invalid> {
        self.layer(Project::Header(header), scopes)
    }

    /// Returns a layer for routes that belong to one fixed project.
    ///
    /// # Errors
    /// Returns [`Invalid`] if a scope is not valid.
    pub fn project(&self, project: ProjectId, scopes: &str) -> Result<GuardLayer, Invalid> {
        self.layer(Project::Fixed(project), scopes)
    }

    /// Returns a layer for routes that name no project. The layer accepts tokens of all projects,
    /// and handlers take `Authenticated<OwnProject>`.
    ///
    /// # Errors
    /// Returns [`Invalid`] if a scope is not valid.
    pub fn own_project(&self, scopes: &str) -> Result<GuardLayer, Invalid> {
        self.layer(Project::Own, scopes)
    }

    fn layer(&self, project: Project, scopes: &str) -> Result<GuardLayer, Invalid> {
        let scopes = scopes.split_ascii_whitespace().map(Scope::new).collect::<Result<_, _>>()?;
        Ok(GuardLayer::new(Rule { guard: self.config.clone(), project, scopes }))
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.fmt(f)
    }
}
