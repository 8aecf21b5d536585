//! Verification with the type of the store erased.

use core::pin::Pin;

use super::origin::Origin;
use crate::rules::access::{Access, InProject, OwnProject, ProjectRequirement};
use crate::rules::check::Verified;
use crate::rules::scope::Scope;
use crate::store::contract::TokenStore;
use crate::tokens::service::Tokens;
use crate::tokens::verify_error::VerifyError;

/// A service that checks both kinds of project requirement, with the type of its store erased.
pub(super) trait Checks: Check<InProject> + Check<OwnProject> {}

impl<T: Check<InProject> + Check<OwnProject>> Checks for T {}

/// A service that checks tokens with the project requirement `P`.
pub(super) trait Check<P>: Send + Sync {
    fn verify<'f>(&'f self, token: &'f [u8], access: Access<'f, P>) -> Checking<'f, P>;

    /// Checks a verified token again, for the project requirement that it was verified for.
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

/// A project requirement that can be checked again from the result of the first check.
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
