//! The hook that reports whether the owner of a token is still active.

use core::error::Error;
use core::future::Future;
use core::pin::Pin;
use std::sync::Arc;

use crate::rules::owner::OwnerState;
use crate::words::ids::ProjectId;
use crate::words::text::OwnerId;

/// The error that an owners hook returns if it cannot find out the state of an owner. The token is
/// then neither accepted nor rejected, and the request gets HTTP status 503.
pub type OwnersError = Box<dyn Error + Send + Sync>;

/// A hook of your service that reports whether the owner of a token is still active.
///
/// [`Tokens`](crate::Tokens) calls the hook at each verification. So the tokens of a suspended user
/// stop working at the next request. The service calls the hook after the checks of the record, the
/// issuers and the policy, and before the checks of project, address and scopes.
///
/// The hook runs on every request, so it must be fast. Look the owner up by key, or keep a cache
/// that limits the age of its entries. If your service has the state in memory, return it from
/// [`known`](Self::known), which needs no allocation and no `await`. Otherwise, look it up in
/// [`state`](Self::state), which you can write as an `async fn`.
pub trait Owners: Send + Sync {
    /// Returns the current state of the owner in this project, or `None` if the state is not
    /// available without waiting. After `None`, the service calls [`state`](Self::state).
    ///
    /// The default implementation returns `None`.
    #[expect(unused_variables, reason = "the names document the parameters for implementers")]
    fn known(&self, owner: &OwnerId, project: &ProjectId) -> Option<OwnerState> {
        None
    }

    /// Looks up the current state of the owner in this project.
    ///
    /// # Errors
    /// Returns an error if the state cannot be found out. The request then gets HTTP status 503.
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

/// The object-safe version of [`Owners`], whose `state` returns a boxed future.
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

    /// An owners hook that returns the state of ada without waiting, and looks up the states of all
    /// other owners.
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
