//! Who passed a guard, as an extractor.

use core::fmt;
use core::ops::Deref;
use core::pin::Pin;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Extensions, StatusCode};

use super::checks::Check;
use super::origin::Origin;
use super::refusal::Refusal;
use super::rule::Rule;
use crate::rules::access::{InProject, ProjectRequirement};
use crate::rules::challenge::Challenge;
use crate::rules::check::Verified;
use crate::rules::scope::Scope;
use crate::words::rejection::Rejection;

/// The caller of a guarded route: what its guard has [`Verified`]. An extractor for handlers and middleware behind a
/// [`Guard`](crate::axum::Guard), with any state.
///
/// ```
/// use axum::http::StatusCode;
/// use keyfob::{Verified, axum::{Authenticated, Refusal}};
///
/// fn delete(by: &Verified, branch: &str) -> bool {
///     branch != "main" && by.project().as_str() == "145"
/// }
///
/// async fn delete_branch(caller: Authenticated) -> Result<String, Refusal> {
///     match delete(&caller, "old") {
///         true => Ok(format!("deleted by {}", caller.owner())),
///         false => Err(Refusal::new(StatusCode::NOT_FOUND, "not_found", "there is no such branch")),
///     }
/// }
/// ```
///
/// A route without a guard before it has no caller: each request is answered 500, and none passes. So is a handler that
/// takes `Authenticated` behind [`Guard::own_project`](crate::axum::Guard::own_project): no project was compared there, and what it has
/// is an `Authenticated<OwnProject>`, which is no proof for code that guards a project:
/// ```compile_fail,E0308
/// use keyfob::{Verified, access::OwnProject, axum::Authenticated};
///
/// fn delete(by: &Verified) {}
///
/// async fn delete_branch(caller: Authenticated<OwnProject>) {
///     delete(&caller);
/// }
/// ```
///
/// There is no optional form: a route that anybody may call takes no token.
/// ```compile_fail,E0277
/// async fn anybody(caller: Option<keyfob::axum::Authenticated>) {}
///
/// let app: axum::Router = axum::Router::new().route("/", axum::routing::get(anybody));
/// ```
pub struct Authenticated<P = InProject> {
    verified: Verified<P>,
    tokens: Arc<dyn Check<P>>,
    rule: Arc<Rule>,
    origin: Origin,
    outer: Option<Passed>,
}

/// What passed the guards that a request has met so far, the last one first.
#[derive(Clone)]
struct Passed(Arc<dyn Recheck>);

/// The caller of a guard, whatever it demands of the project.
trait Recheck: Send + Sync {
    fn again(&self) -> Rechecked<'_>;
}

type Rechecked<'f> = Pin<Box<dyn Future<Output = Result<Passed, Refusal>> + Send + 'f>>;

impl<P: ProjectRequirement + 'static> Recheck for Authenticated<P> {
    fn again(&self) -> Rechecked<'_> {
        Box::pin(async { Ok(Passed(Arc::new(self.recheck().await?))) })
    }
}

impl<P: ProjectRequirement + 'static> Authenticated<P> {
    /// Puts a caller into the extensions of its request. What the guards before this one demand stays demanded.
    pub(super) fn admit(
        verified: Verified<P>,
        tokens: Arc<dyn Check<P>>,
        rule: Arc<Rule>,
        origin: Origin,
        extensions: &mut Extensions,
    ) {
        let outer = extensions.remove::<Passed>();
        let caller = Self { verified, tokens, rule, origin, outer };
        extensions.insert(Passed(Arc::new(caller.clone())));
        extensions.insert(caller);
    }
}

impl<P: ProjectRequirement> Authenticated<P> {
    /// The proof.
    pub fn verified(&self) -> &Verified<P> {
        &self.verified
    }

    /// Checks again, by [`Tokens::recheck`](crate::Tokens::recheck), for what the route needs and from the address that the
    /// request came from. For what outlives its request (a WebSocket, a stream of events, a long download): a caller is
    /// `'static`, holds nothing secret, and may be kept for as long as the connection is. Each call asks the store once for each
    /// guard that stands before the route: what one of them demands must hold still.
    ///
    /// # Errors
    /// The [`Refusal`] that a new request would meet, of status 503 where the store failed: whether to close then, or to ask
    /// once more, is the host's to say.
    ///
    /// ```
    /// use std::{future::Future, pin::pin, time::Duration};
    /// use keyfob::axum::{Authenticated, Refusal};
    ///
    /// /// Serves a connection for as long as its token lives, and 30 seconds more at most.
    /// async fn while_it_lives(mut caller: Authenticated, connection: impl Future<Output = ()>) -> Result<(), Refusal> {
    ///     let mut connection = pin!(connection);
    ///     while tokio::time::timeout(Duration::from_secs(30), &mut connection).await.is_err() {
    ///         caller = caller.recheck().await?; // the token has ended: `connection` is dropped, and with it closed
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub async fn recheck(&self) -> Result<Self, Refusal> {
        let Self { verified, tokens, rule, origin, outer } = self;
        let outer = match outer {
            Some(Passed(outer)) => Some(outer.again().await?),
            None => None,
        };
        let again = tokens.recheck(verified, &rule.scopes, origin).await;
        let verified = again.map_err(|error| rule.refusal(error, origin))?;
        Ok(Self { verified, outer, ..self.clone() })
    }

    /// A refusal in the realm of the guard, for what a handler finds out by itself.
    ///
    /// ```
    /// use keyfob::{Rejection, Scope, axum::{Authenticated, Refusal}};
    ///
    /// fn may_overwrite(caller: &Authenticated, overwrite: &Scope) -> Result<(), Refusal> {
    ///     caller.allows(overwrite).then_some(()).ok_or_else(|| caller.refuse(Rejection::Scope))
    /// }
    /// ```
    pub fn refuse(&self, challenge: impl Into<Challenge>) -> Refusal {
        let challenge = challenge.into();
        // A scope that the handler misses is none of the guard's.
        let scopes = if challenge.status() == 401 { &*self.rule.scopes } else { &[] };
        self.rule.challenge_for(scopes, challenge, &self.origin)
    }

    /// Returns the refusal of a request that needs these scopes beside those of the guard: 403, with all of them in the
    /// challenge, so that its client can ask for a token that has them.
    pub fn refuse_without(&self, scopes: &[Scope]) -> Refusal {
        let scopes: Vec<Scope> = self.rule.scopes.iter().chain(scopes).cloned().collect();
        self.rule.challenge_for(&scopes, Rejection::Scope, &self.origin)
    }
}

impl<P> Deref for Authenticated<P> {
    type Target = Verified<P>;

    fn deref(&self) -> &Verified<P> {
        &self.verified
    }
}

impl<S, P> FromRequestParts<S> for Authenticated<P>
where
    S: Send + Sync,
    P: ProjectRequirement + 'static,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        // It stays there: the middleware and the handler of one request may both take it.
        parts.extensions.get::<Self>().cloned().ok_or(Refusal::fixed(
            StatusCode::INTERNAL_SERVER_ERROR,
            "unguarded",
            "no guard of this kind stands before the route",
        ))
    }
}

impl<P> Clone for Authenticated<P> {
    fn clone(&self) -> Self {
        let Self { verified, tokens, rule, origin, outer } = self;
        let (tokens, rule) = (Arc::clone(tokens), Arc::clone(rule));
        Self { verified: verified.clone(), tokens, rule, origin: origin.clone(), outer: outer.clone() }
    }
}

impl<P> fmt::Debug for Authenticated<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authenticated").field(&self.verified).finish()
    }
}
