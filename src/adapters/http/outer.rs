//! The results of the outer guards, as an inner guard finds them in the request.

use std::sync::Arc;

use super::caller::Caller;
use super::framework::Framework;
use super::passed::{Passed, Recheck};
use crate::rules::access::{InProject, OwnProject, ProjectRequirement};

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
        let verified: Option<Arc<dyn Recheck>> = match (in_project, own) {
            (Some(Caller::Token(in_project)), Some(Caller::Token(own))) if own.guards() > in_project.guards() => {
                Some(Arc::new(own))
            }
            (Some(Caller::Token(in_project)), _) => Some(Arc::new(in_project)),
            (_, Some(Caller::Token(own))) => Some(Arc::new(own)),
            _ => None,
        };
        Self { verified: verified.map(Passed), passed_on }
    }

    /// Adds the caller of an inner guard to the callers that the guards outside have attached. A
    /// handler may take the caller of an outer guard, if its project requirement has another kind.
    pub(super) fn add<F: Framework>(request: &mut F::Request, inner: &Passed) {
        fn add<F: Framework, P: ProjectRequirement + 'static>(request: &mut F::Request, inner: &Passed) {
            if let Some(Caller::<P>::Token(outer)) = F::attached(request) {
                F::attach(request, Caller::Token(outer.with_inner(inner.clone())));
            }
        }
        add::<F, InProject>(request, inner);
        add::<F, OwnProject>(request, inner);
    }
}
