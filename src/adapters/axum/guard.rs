//! What routes are guarded with: the tokens of a service, and how it is asked for them.

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

/// Guards routes with the tokens of a service. Cheap to clone: make one, and from it a layer for each route, naming the
/// project and the scopes that the route needs.
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
///     Ok(Router::new()
///         .route("/projects/{project}/notes", get(notes).layer(guard.project_in_path("project", "notes:read")?))
///         .route("/whoami", get(whoami).layer(guard.own_project("")?)))
/// }
/// ```
///
/// Each layer verifies, by [`Tokens::verify`], every request that comes to it, of whatever method: `OPTIONS` too, so that a
/// layer which answers CORS preflights stands outside of it. Who passes is taken out by [`Authenticated`](crate::axum::Authenticated),
/// who does not is answered by a [`Refusal`](crate::axum::Refusal). On a whole `Router`, use `route_layer`: with `layer` the
/// guard also stands before the paths that do not exist.
///
/// The token is read as [`Credential`](crate::Credential) has it. The values of `Authorization` and `X-API-Key` are marked
/// sensitive before anything else is done, so that no Debug of the request shows them further in. A layer that logs
/// headers outside of the guard sees them unmarked.
#[derive(Clone)]
pub struct Guard {
    config: GuardConfig,
}

impl Guard {
    /// A guard by these tokens, or by an `Arc` of them where the service needs them elsewhere too. Its realm is the prefix of
    /// the tokens, such as `acme_pat`.
    pub fn new<S>(tokens: impl Into<Arc<Tokens<S>>>) -> Self
    where
        S: TokenStore + 'static,
    {
        let tokens = tokens.into();
        let realm = tokens.keyring().prefix().as_str().into();
        Self { config: GuardConfig { tokens, realm, api_key: false, address: None, resource_metadata: None } }
    }

    /// The same with another realm in `WWW-Authenticate` (RFC 9110 section 11.5). Of it, only printable ASCII is used.
    #[must_use]
    pub fn with_realm(self, realm: &str) -> Self {
        Self { config: GuardConfig { realm: realm.into(), ..self.config } }
    }

    /// The same, which takes a token from `X-API-Key` too; one of the two headers, once.
    #[must_use]
    pub fn with_api_key_header(self) -> Self {
        Self { config: GuardConfig { api_key: true, ..self.config } }
    }

    /// The same with the host's own word on where a request comes from, for tokens that are bound to addresses.
    ///
    /// Without it, that is the address of the connection, where axum knows it
    /// (`Router::into_make_service_with_connect_info::<SocketAddr>`). Behind a proxy that is the proxy's: read there the header
    /// that your proxy sets, and only what it set itself. No header is read otherwise, `X-Forwarded-For` neither, since
    /// anybody can send it. Where there is no address, a token that is bound to some is refused.
    ///
    /// The address and the `User-Agent` header are recorded with the last use, if
    /// [`Usage::with_origins`](crate::tokens::Usage::with_origins) asks for that.
    ///
    /// ```
    /// # use keyfob::{MemoryStore, Tokens, axum::Guard};
    /// # fn guard(tokens: Tokens<MemoryStore>) -> Guard {
    /// // The proxy in front overwrites this header, and nothing else reaches the service.
    /// Guard::new(tokens).with_client_address(|request| request.headers.get("x-real-ip")?.to_str().ok()?.parse().ok())
    /// # }
    /// ```
    #[must_use]
    pub fn with_client_address(self, address: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        Self { config: GuardConfig { address: Some(Arc::new(address)), ..self.config } }
    }

    /// Names the metadata of the protected resource (RFC 9728) in every challenge of status 401 or 403, as clients of the Model
    /// Context Protocol expect it. `address` returns the URL for a request; most hosts have one for all:
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
    /// It is called for each request, passed or refused.
    #[must_use]
    pub fn with_resource_metadata(self, address: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { config: GuardConfig { resource_metadata: Some(Arc::new(address)), ..self.config } }
    }

    /// For routes whose path names the project, by the parameter of this name: `guard.project_in_path("project", "repo:read")`
    /// on `/projects/{project}/repo`. Nested routers have the parameters of the outer path too.
    ///
    /// A text that is no [`ProjectId`] names no project that exists: 404, before a token is looked at. Where the route has no
    /// such parameter, or two, or is a plain tower service, no project can be compared: 500, for every request.
    ///
    /// The scopes are separated by white space; an empty text needs none.
    ///
    /// # Errors
    /// [`Invalid`] for a bad scope.
    pub fn project_in_path(&self, parameter: &str, scopes: &str) -> Result<GuardLayer, Invalid> {
        self.layer(Project::Path(parameter.into()), scopes)
    }

    /// For routes whose requests name the project in a header. Where it is missing, repeated or no [`ProjectId`]: 400, before a
    /// token is looked at.
    ///
    /// # Errors
    /// [`Invalid`] for a bad scope.
    pub fn project_in_header(&self, header: HeaderName, scopes: &str) -> Result<GuardLayer, Invalid> {
        self.layer(Project::Header(header), scopes)
    }

    /// For routes that belong to one project.
    ///
    /// # Errors
    /// [`Invalid`] for a bad scope.
    pub fn project(&self, project: ProjectId, scopes: &str) -> Result<GuardLayer, Invalid> {
        self.layer(Project::Fixed(project), scopes)
    }

    /// For routes that name no project, so that the token's own will do: its handlers take `Authenticated<OwnProject>`.
    ///
    /// # Errors
    /// [`Invalid`] for a bad scope.
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
