//! The extractor for the caller of a guarded route.

use core::fmt;
use core::ops::Deref;
use std::sync::Arc;

use super::checks::ChecksFor;
use super::origin::Origin;
use super::passed::{Passed, Recheck, Rechecked};
use super::refusal::Refusal;
use super::rule::Rule;
use crate::rules::access::{InProject, OwnProject, ProjectRequirement};
use crate::rules::challenge::Challenge;
use crate::rules::check::Verified;
use crate::rules::scope::Scope;
use crate::words::ids::{ProjectId, TokenKey};
use crate::words::rejection::Rejection;

/// The verified caller of a guarded route.
///
/// This type is an extractor. Handlers and middleware of a route that a
/// [`Guard`](crate::http::Guard) protects can take it. It dereferences to [`Verified`].
///
/// ```
/// use keyfob::Verified;
/// use keyfob::http::{Authenticated, Refusal};
///
/// fn delete(by: &Verified, branch: &str) -> bool {
///     branch != "main" && by.project().as_str() == "145"
/// }
///
/// async fn delete_branch(caller: Authenticated) -> Result<String, Refusal> {
///     match delete(&caller, "old") {
///         true => Ok(format!("deleted by {}", caller.owner())),
///         false => {
///             let detail = "there is no such branch";
///             Err(Refusal::new(404_u16, "not_found", detail))
///         }
///     }
/// }
/// ```
///
/// If no guard protects the route, every request gets a response of status 500, and the handler
/// never runs.
///
/// The guard [`Guard::own_project`](crate::http::Guard::own_project) compares no project, so its
/// handlers must take `Authenticated<OwnProject>`. If such a handler takes `Authenticated`, every
/// request also gets a response of status 500. A function with a `&Verified` parameter accepts only
/// callers whose project was compared, so it does not accept an `Authenticated<OwnProject>`. This
/// code does not compile:
/// ```compile_fail,E0308
/// use keyfob::{Verified, access::OwnProject, http::Authenticated};
///
/// fn delete(by: &Verified) {}
///
/// async fn delete_branch(caller: Authenticated<OwnProject>) {
///     delete(&caller);
/// }
/// ```
///
/// If the route also has another authentication, take a [`Caller`](crate::http::Caller) instead.
pub struct Authenticated<P = InProject> {
    verified: Verified<P>,
    checks: ChecksFor<P>,
    rule: Arc<Rule>,
    origin: Origin,
    /// The caller of the nearest guard outside, if there is one.
    outer: Option<Passed>,
    /// The caller of the innermost guard, if that guard has another kind of project requirement.
    inner: Option<Passed>,
}

impl<P> Authenticated<P> {
    /// Creates the caller of a request that a guard has verified. `outer` is the caller that the
    /// nearest guard outside has verified, so that `recheck` also checks the requirements of the
    /// guards outside.
    pub(super) fn new(
        verified: Verified<P>,
        checks: ChecksFor<P>,
        rule: Arc<Rule>,
        origin: Origin,
        outer: Option<Passed>,
    ) -> Self {
        Self { verified, checks, rule, origin, outer, inner: None }
    }

    /// Returns the caller of an outer guard with the caller of the innermost guard, so that
    /// `recheck` also checks the requirements of the guards inside.
    pub(super) fn with_inner(self, inner: Passed) -> Self {
        Self { inner: Some(inner), ..self }
    }
}

impl<P: ProjectRequirement + 'static> Recheck for Authenticated<P> {
    fn key(&self) -> TokenKey {
        self.verified.key()
    }

    fn guards(&self) -> usize {
        1 + self.outer.as_ref().map_or(0, |Passed(outer)| outer.guards())
    }

    fn again(&self) -> Rechecked<'_> {
        Box::pin(async { Ok(Passed(Arc::new(self.recheck().await?))) })
    }
}

impl Authenticated<OwnProject> {
    /// Checks that the token is for this project, and returns the caller with this proof. Use this
    /// method if only the handler knows the project of the request, because the body of the request
    /// names it.
    ///
    /// # Errors
    /// Returns a refusal of status 403 with the reason `wrong_project` if the token is for another
    /// project.
    pub fn in_project(&self, project: &ProjectId) -> Result<Authenticated, Refusal> {
        let verified = self.verified.clone().in_project(project).map_err(|rejection| self.refuse(rejection))?;
        let Self { verified: _, checks: _, rule, origin, outer, inner } = self.clone();
        Ok(Authenticated { verified, checks: |tokens| tokens, rule, origin, outer, inner })
    }
}

impl<P: ProjectRequirement> Authenticated<P> {
    /// Returns the result of the verification. It proves that the guard has verified the token.
    pub fn verified(&self) -> &Verified<P> {
        &self.verified
    }

    /// Checks the token of the caller again with [`Tokens::recheck`](crate::Tokens::recheck). The
    /// check uses the project and the scopes of the route, and the client address of the original
    /// request.
    ///
    /// Use this method for work that continues long after the request began, such as a WebSocket, a
    /// stream of events or a long download. A caller is `'static` and holds no secret, so a handler
    /// may keep it while the connection is open. If several guards protect the route, the
    /// requirements of all guards are checked again, with one call to the store for each guard. If
    /// the innermost guard has another kind of project requirement than the caller, there is one
    /// call more. A middleware between two guards that keeps the caller checks only the
    /// requirements of the guards outside again.
    ///
    /// # Errors
    /// Returns the [`Refusal`] that a new request with the same token would get. If the store
    /// fails, the status of the refusal is 503. In this case, your service decides whether to close
    /// the connection or to try again.
    ///
    /// ```
    /// use std::{future::Future, pin::pin, time::Duration};
    /// use keyfob::http::{Authenticated, Refusal};
    /// use tokio::time::timeout;
    ///
    /// /// Serves a connection until at most 30 seconds after its token has ended.
    /// async fn serve_while_live(
    ///     mut caller: Authenticated,
    ///     connection: impl Future<Output = ()>,
    /// ) -> Result<(), Refusal> {
    ///     let mut connection = pin!(connection);
    ///     while timeout(Duration::from_secs(30), &mut connection).await.is_err() {
    ///         // An error drops `connection`, which closes it.
    ///         caller = caller.recheck().await?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub async fn recheck(&self) -> Result<Self, Refusal> {
        let Self { verified, checks, rule, origin, outer, inner } = self;
        let (mut outer, mut inner) = (outer.clone(), inner.clone());
        // The guards outside the innermost guard include the guards outside of this one.
        if let Some(Passed(others)) = inner.as_mut().or(outer.as_mut()) {
            *others = others.again().await?.0;
        }
        let again = checks(&*rule.guard.tokens).recheck(verified, &rule.scopes, origin).await;
        let verified = again.map_err(|error| rule.refusal(error, origin))?;
        Ok(Self { verified, outer, inner, ..self.clone() })
    }

    /// Returns a refusal for a check that the handler makes itself. The challenge in the refusal
    /// names the realm of the guard.
    ///
    /// ```
    /// use keyfob::{Rejection, Scope, http::{Authenticated, Refusal}};
    ///
    /// fn may_overwrite(caller: &Authenticated, overwrite: &Scope) -> Result<(), Refusal> {
    ///     match caller.allows(overwrite) {
    ///         true => Ok(()),
    ///         false => Err(caller.refuse(Rejection::Scope)),
    ///     }
    /// }
    /// ```
    pub fn refuse(&self, challenge: impl Into<Challenge>) -> Refusal {
        let challenge = challenge.into();
        // A 403 here is about a scope that the handler checks, so the guard's scopes would mislead
        // the client.
        let scopes = if challenge.status() == 401 { &*self.rule.scopes } else { &[] };
        self.rule.challenge_for(scopes, challenge, &self.origin)
    }

    /// Returns the refusal for a request that needs `scopes` in addition to the scopes of the
    /// guard. The status of the refusal is 403. The challenge names all of these scopes, so that
    /// the client can obtain a token that has them.
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

impl<P> Clone for Authenticated<P> {
    fn clone(&self) -> Self {
        let Self { verified, checks, rule, origin, outer, inner } = self;
        let (rule, origin, outer, inner) = (Arc::clone(rule), origin.clone(), outer.clone(), inner.clone());
        Self { verified: verified.clone(), checks: *checks, rule, origin, outer, inner }
    }
}

impl<P> fmt::Debug for Authenticated<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authenticated").field(&self.verified).finish()
    }
}
