//! The token that issued another.

use crate::words::ids::TokenId;

/// The token that issued another, of the same project.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Issuer {
    /// Its public id: that of the very token, not of its chain of rotations.
    pub id: TokenId,
    /// Whether the issued token is bound to it: it then works only while the issuer does. No verb changes it.
    pub bound: bool,
}
