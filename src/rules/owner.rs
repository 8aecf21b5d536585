//! Whether the owner of a token still counts.

use crate::words::rejection::Rejection;

/// What the host knows of a token's owner at the moment of a check.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OwnerState {
    /// May act, in this project too.
    Active,
    /// Suspended, deleted or unknown: none of the owner's tokens works.
    Suspended,
    /// Not in the token's project any more: this token does not work.
    OutsideProject,
}

impl OwnerState {
    /// What a token of such an owner is rejected for, if for anything.
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
    fn a_token_is_rejected_for_what_its_owner_is() {
        assert_eq!(OwnerState::Active.rejection(), None);
        assert_eq!(OwnerState::Suspended.rejection(), Some(Rejection::OwnerSuspended));
        assert_eq!(OwnerState::OutsideProject.rejection(), Some(Rejection::OwnerOutsideProject));
    }
}
