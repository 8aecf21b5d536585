//! The results of the outer guards, as an inner guard finds them in the request.

use std::sync::Arc;

use super::caller::Caller;
use super::framework::Framework;
use super::passed::{Passed, Recheck};
use crate::rules::access::{InProject, OwnProject};

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
}
