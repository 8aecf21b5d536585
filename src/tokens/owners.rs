//! The host's word on whether a token's owner still counts.

use core::future::Future;
use std::error::Error;
use std::sync::Arc;

use crate::rules::owner::OwnerState;
use crate::words::ids::ProjectId;
use crate::words::text::OwnerId;

/// What a host answers when it cannot tell: the request is answered 503, and neither passed nor refused.
pub type OwnersError = Box<dyn Error + Send + Sync>;

/// Whether the owner of a token is still active, as the host knows it. Asked at each verification, after the token has
/// proved right and before its limits are compared, so a suspended person's tokens stop at the next request.
///
/// Write the method as a plain `async fn`. It stands in the path of every request: a look-up by key, or a cache of the host's
/// own with a bound on its age.
pub trait Owners: Send + Sync {
    /// What the owner is now, in this project.
    fn state(
        &self,
        owner: &OwnerId,
        project: &ProjectId,
    ) -> impl Future<Output = Result<OwnerState, OwnersError>> + Send;
}

/// For hosts that revoke a suspended person's tokens instead, or suspend nobody: each owner is active.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllActive;

impl Owners for AllActive {
    async fn state(&self, _owner: &OwnerId, _project: &ProjectId) -> Result<OwnerState, OwnersError> {
        Ok(OwnerState::Active)
    }
}

impl<O: Owners + ?Sized> Owners for Arc<O> {
    async fn state(&self, owner: &OwnerId, project: &ProjectId) -> Result<OwnerState, OwnersError> {
        (**self).state(owner, project).await
    }
}
