//! The tokens that a guard asks, whatever their store is.

use core::pin::Pin;

use super::origin::Origin;
use crate::rules::access::{Access, InProject, OwnProject, ProjectRequirement};
use crate::rules::check::Verified;
use crate::rules::scope::Scope;
use crate::store::contract::TokenStore;
use crate::tokens::service::Tokens;
use crate::tokens::verify_error::VerifyError;

/// Tokens of any store, clock and owners, for both kinds of demand.
pub(super) trait Checks: Check<InProject> + Check<OwnProject> {}

impl<T: Check<InProject> + Check<OwnProject>> Checks for T {}

/// Tokens of any store, clock and owners.
pub(super) trait Check<P>: Send + Sync {
    fn verify<'f>(&'f self, token: &'f [u8], access: Access<'f, P>) -> Checking<'f, P>;

    /// For what was demanded when it was verified.
    fn recheck<'f>(&'f self, verified: &'f Verified<P>, scopes: &'f [Scope], origin: &'f Origin) -> Checking<'f, P>;
}

pub(super) type Checking<'f, P> = Pin<Box<dyn Future<Output = Result<Verified<P>, VerifyError>> + Send + 'f>>;

impl<S: TokenStore, P: Demand> Check<P> for Tokens<S> {
    fn verify<'f>(&'f self, token: &'f [u8], access: Access<'f, P>) -> Checking<'f, P> {
        Box::pin(async move { self.verify(token, &access).await })
    }

    fn recheck<'f>(&'f self, verified: &'f Verified<P>, scopes: &'f [Scope], origin: &'f Origin) -> Checking<'f, P> {
        Box::pin(async move { self.recheck(verified, &origin.locate(P::again(verified, scopes))).await })
    }
}

/// A demand that can be made again of what was verified for it.
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
