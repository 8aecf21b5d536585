//! The hook that reports whether the owner of a token is still active.

use core::error::Error;
use core::future::Future;
use core::pin::Pin;
use std::sync::Arc;

use crate::rules::owner::OwnerState;
use crate::words::ids::ProjectId;
use crate::words::text::OwnerId;

/// The error of an owners hook that cannot find out the state of an owner. The request gets a 503:
/// the token is neither accepted nor rejected.
pub type OwnersError = Box<dyn Error + Send + Sync>;

/// A hook of your service that reports whether the owner of a token is still active.
///
/// [`Tokens`](crate::Tokens) calls it at each verification, after the token has passed all checks
/// of its record, issuers and policy, and before project, address and scopes are compared. So the
/// tokens of a suspended user stop working at the next request.
///
/// The hook runs on every request. Look the owner up by key, or keep a cache with a bound on the
/// age of its entries. A state that [`known`](Self::known) returns costs no allocation and no
/// `await`. Write [`state`](Self::state) as a plain `async fn` for owners that must be looked up.
pub trait Owners: Send + Sync {
    /// Returns the current state of the owner in this project if it is available without waiting.
    ///
    /// The default returns `None`. Then the service calls [`state`](Self::state).
    #[expect(unused_variables, reason = "the names document the parameters for implementers")]
    fn known(&self, owner: &OwnerId, project: &ProjectId) -> Option<OwnerState> {
        None
    }

    /// Looks up the current state of the owner in this project.
    ///
    /// # Errors
    /// Returns an error if the state cannot be found out. The verification then fails with a 503.
    fn state(
        &self,
        owner: &OwnerId,
        project: &ProjectId,
    ) -> impl Future<Output = Result<OwnerState, OwnersError>> + Send;
}

impl<O: Owners + ?Sized> Owners for Arc<O> {
    fn known(&self, owner: &OwnerId, project: &ProjectId) -> Option<OwnerState> {
        (**self).known(owner, project)
    }

    async fn state(&self, owner: &OwnerId, project: &ProjectId) -> Result<OwnerState, OwnersError> {
        (**self).state(owner, project).await
    }
}

type Answer<'f> = Pin<Box<dyn Future<Output = Result<OwnerState, OwnersError>> + Send + 'f>>;

/// The object-safe twin of [`Owners`].
pub(super) trait ErasedOwners: Send + Sync {
    fn known(&self, owner: &OwnerId, project: &ProjectId) -> Option<OwnerState>;
    fn state<'f>(&'f self, owner: &'f OwnerId, project: &'f ProjectId) -> Answer<'f>;
}

impl<O: Owners> ErasedOwners for O {
    fn known(&self, owner: &OwnerId, project: &ProjectId) -> Option<OwnerState> {
        Owners::known(self, owner, project)
    }

    fn state<'f>(&'f self, owner: &'f OwnerId, project: &'f ProjectId) -> Answer<'f> {
        Box::pin(Owners::state(self, owner, project))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ready::now;

    /// Knows ada without waiting, and looks up other owners.
    struct Directory;

    impl Owners for Directory {
        fn known(&self, owner: &OwnerId, _: &ProjectId) -> Option<OwnerState> {
            (owner.as_str() == "ada").then_some(OwnerState::Suspended)
        }

        async fn state(&self, _: &OwnerId, project: &ProjectId) -> Result<OwnerState, OwnersError> {
            if project.as_str() == "145" { Ok(OwnerState::OutsideProject) } else { Err("no directory".into()) }
        }
    }

    struct Plain;

    impl Owners for Plain {
        async fn state(&self, _: &OwnerId, _: &ProjectId) -> Result<OwnerState, OwnersError> {
            Ok(OwnerState::Active)
        }
    }

    #[test]
    fn an_arc_and_an_erased_hook_return_the_same_states() {
        let (ada, bob): (OwnerId, OwnerId) = ("ada".parse().unwrap(), "bob".parse().unwrap());
        let (here, there): (ProjectId, ProjectId) = ("145".parse().unwrap(), "146".parse().unwrap());
        let shared = Arc::new(Directory);
        assert_eq!(Owners::known(&shared, &ada, &here), Some(OwnerState::Suspended));
        assert_eq!(Owners::known(&shared, &bob, &here), None);
        assert_eq!(now(Owners::state(&shared, &bob, &here)).unwrap(), OwnerState::OutsideProject);
        let erased: Arc<dyn ErasedOwners> = Arc::new(shared);
        assert_eq!(erased.known(&ada, &here), Some(OwnerState::Suspended));
        assert_eq!(now(erased.state(&bob, &here)).unwrap(), OwnerState::OutsideProject);
        assert_eq!(now(erased.state(&bob, &there)).unwrap_err().to_string(), "no directory");
    }

    #[test]
    fn the_default_of_known_is_none() {
        assert_eq!(Owners::known(&Plain, &"ada".parse().unwrap(), &"145".parse().unwrap()), None);
    }
}
