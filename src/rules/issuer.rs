//! The issuer of a token.

use crate::words::ids::TokenId;

/// The token that issued another token of the same project.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Issuer {
    /// The public id of the issuing token. If the issuing token is rotated, this id stays the same.
    pub id: TokenId,
    /// Whether the issued token is bound to the issuer. A bound token works only while its issuer
    /// works. No operation changes this field.
    pub bound: bool,
}
