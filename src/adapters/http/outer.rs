//! The results of the guards outside, as an inner guard finds them in the request.

use core::pin::Pin;
use std::sync::Arc;

use super::authenticated::Authenticated;
use super::caller::Caller;
use super::framework::Framework;
use super::refusal::Refusal;
use crate::rules::access::{InProject, OwnProject, ProjectRequirement};
use crate::words::ids::TokenKey;

/// The results of the guards outside.
pub(super) struct Outer {
    /// The caller that the nearest guard outside has verified.
    pub(super) verified: Option<Passed>,
    /// Whether a guard outside has passed the request on to another authentication.
    pub(super) passed_on: bool,
}

impl Outer {
    /// Returns the results that the guards outside have attached to a request. Each guard attaches
    /// one [`Caller`], and an inner guard replaces the `Caller` of the same kind.
    pub(super) fn of<F: Framework>(request: &F::Request) -> Self {
        let (in_project, own) = (F::attached::<Caller<InProject>>(request), F::attached::<Caller<OwnProject>>(request));
        let passed_on = matches!(in_project, Some(Caller::Other(_))) || matches!(own, Some(Caller::Other(_)));
        let verified = match (in_project, own) {
            (Some(Caller::Token(in_project)), Some(Caller::Token(own))) if own.guards() > in_project.guards() => {
                Some(Passed::new(own))
            }
            (Some(Caller::Token(in_project)), _) => Some(Passed::new(in_project)),
            (_, Some(Caller::Token(own))) => Some(Passed::new(own)),
            _ => None,
        };
        Self { verified, passed_on }
    }
}

/// The verified caller that a guard outside has attached to a request. It contains the caller of
/// the next guard outside, if there is one.
#[derive(Clone)]
pub(super) struct Passed(Arc<dyn Recheck>);

impl Passed {
    fn new<P: ProjectRequirement + 'static>(caller: Authenticated<P>) -> Self {
        Self(Arc::new(caller))
    }

    pub(super) fn key(&self) -> TokenKey {
        self.0.key()
    }

    /// Checks the token again for the requirements of this guard and of all guards outside.
    pub(super) fn again(&self) -> Rechecked<'_> {
        self.0.again()
    }
}

type Rechecked<'f> = Pin<Box<dyn Future<Output = Result<Passed, Refusal>> + Send + 'f>>;

/// A verified caller that can be checked again. The trait hides the type of the project
/// requirement.
trait Recheck: Send + Sync {
    fn key(&self) -> TokenKey;

    /// Returns the number of guards that have verified the token, this one included.
    fn guards(&self) -> usize;

    fn again(&self) -> Rechecked<'_>;
}

impl<P: ProjectRequirement + 'static> Recheck for Authenticated<P> {
    fn key(&self) -> TokenKey {
        self.verified().key()
    }

    fn guards(&self) -> usize {
        1 + self.outer().map_or(0, |Passed(outer)| outer.guards())
    }

    fn again(&self) -> Rechecked<'_> {
        Box::pin(async { Ok(Passed::new(self.recheck().await?)) })
    }
}
