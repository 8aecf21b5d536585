//! The issuer of a token.

use crate::words::ids::TokenId;

/// The token that issued another one of the same project.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Issuer {
    /// The public id of the issuing token itself. A successor of that token has another id.
    pub id: TokenId,
    /// Whether the issued token is bound to the issuer. A bound token works only while its issuer
    /// works. No operation changes this.
    pub bound: bool,
}
