//! The state of a token's owner.

use crate::words::rejection::Rejection;

/// The state of a token's owner at the moment of a verification, as your service reports it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OwnerState {
    /// The owner is active, and a member of the token's project.
    Active,
    /// The owner is suspended, deleted or unknown. None of the owner's tokens works.
    Suspended,
    /// The owner is not a member of the token's project any more. The token does not work.
    OutsideProject,
}

impl OwnerState {
    /// Returns the rejection of a token whose owner is in this state, or `None` if the state allows
    /// the token to work.
    pub(crate) fn rejection(self) -> Option<Rejection> {
        match self {
            Self::Active => None,
            Self::Suspended => Some(Rejection::OwnerSuspended),
            Self::OutsideProject => Some(Rejection::OwnerOutsideProject),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_rejected_for_the_state_of_its_owner() {
        assert_eq!(OwnerState::Active.rejection(), None);
        assert_eq!(OwnerState::Suspended.rejection(), Some(Rejection::OwnerSuspended));
        assert_eq!(OwnerState::OutsideProject.rejection(), Some(Rejection::OwnerOutsideProject));
    }
}
