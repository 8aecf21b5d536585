//! Whether the owner of a token still counts.

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
