//! The verification of tokens through a trait object, so that guards do not depend on the type of
//! the store.

use core::pin::Pin;

use super::origin::Origin;
use crate::rules::access::{Access, InProject, OwnProject, ProjectRequirement};
use crate::rules::check::Verified;
use crate::rules::scope::Scope;
use crate::rules::verify_error::VerifyError;
use crate::store::contract::TokenStore;
use crate::tokens::judge::{Step, Unfinished};
use crate::tokens::service::Tokens;
#[cfg(feature = "utoipa")]
use crate::words::ids::Prefix;

/// A token service that verifies tokens for both kinds of project requirement. As a trait object,
/// it hides the type of its store.
pub(super) trait Checks: Check<InProject> + Check<OwnProject> {
    /// Returns whether a text begins like a token of the service.
    fn recognizes(&self, text: &[u8]) -> bool;

    /// Returns whether the service records the origins of uses.
    fn records_origins(&self) -> bool;

    /// Returns the prefix of new tokens.
    #[cfg(feature = "utoipa")]
    fn prefix(&self) -> Prefix;
}

/// Returns the methods of a token service for one kind of project requirement.
pub(super) type ChecksFor<P> = fn(&dyn Checks) -> &dyn Check<P>;

impl<S: TokenStore> Checks for Tokens<S> {
    fn recognizes(&self, text: &[u8]) -> bool {
        self.recognizes(text)
    }

    fn records_origins(&self) -> bool {
        self.records_origins()
    }

    #[cfg(feature = "utoipa")]
    fn prefix(&self) -> Prefix {
        self.keyring().prefix()
    }
}

/// The methods of a token service that verify tokens. `P` is the requirement that a request makes
/// on the project of its token.
pub(super) trait Check<P>: Send + Sync {
    /// Verifies a token as far as this needs no waiting. If it has to wait, the caller must await
    /// [`finish`](Self::finish) for the same token and access.
    fn begin(&self, token: &[u8], access: &Access<'_, P>) -> Step<P>;

    /// Completes a verification that has to wait.
    fn finish<'f>(&'f self, unfinished: Unfinished, token: &'f [u8], access: Access<'f, P>) -> Checking<'f, P>;

    /// Checks a verified token again, for the same project requirement as before.
    fn recheck<'f>(&'f self, verified: &'f Verified<P>, scopes: &'f [Scope], origin: &'f Origin) -> Checking<'f, P>;
}

pub(super) type Checking<'f, P> = Pin<Box<dyn Future<Output = Result<Verified<P>, VerifyError>> + Send + 'f>>;

impl<S: TokenStore, P: Demand> Check<P> for Tokens<S> {
    fn begin(&self, token: &[u8], access: &Access<'_, P>) -> Step<P> {
        self.begin(token, access)
    }

    fn finish<'f>(&'f self, unfinished: Unfinished, token: &'f [u8], access: Access<'f, P>) -> Checking<'f, P> {
        Box::pin(async move { self.finish(unfinished, token, &access).await })
    }

    fn recheck<'f>(&'f self, verified: &'f Verified<P>, scopes: &'f [Scope], origin: &'f Origin) -> Checking<'f, P> {
        Box::pin(async move {
            self.recheck(verified, &origin.locate(P::again(verified, scopes), origin.client.as_deref())).await
        })
    }
}

/// A project requirement that can be rebuilt from the result of a verification, so that the token
/// can be checked again.
trait Demand: ProjectRequirement + 'static {
    fn again<'a>(verified: &Verified<Self>, scopes: &'a [Scope]) -> Access<'a, Self>;
}

impl Demand for InProject {
    fn again<'a>(verified: &Verified<Self>, scopes: &'a [Scope]) -> Access<'a, Self> {
        Access::to(verified.project(), scopes)
    }
}

impl Demand for OwnProject {
    fn again<'a>(_: &Verified<Self>, scopes: &'a [Scope]) -> Access<'a, Self> {
        Access::to_own_project(scopes)
    }
}
