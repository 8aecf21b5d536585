//! The ways in which a token can exceed the limits of the token that issues or rotates it.

/// The way in which a token exceeds the limits of the token that issues or rotates it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum OutsideIssuer {
    /// The token is for a different project than the issuing token.
    Project,
    /// The token has a different owner than the issuing token.
    Owner,
    /// The token has a scope that the issuing token does not grant.
    Scopes,
    /// The token allows an address that the issuing token may not be used from.
    Addresses,
    /// The token would end later than the issuing token.
    Expiry,
    /// The token is for a kind of holder other than [`Agent`](crate::TokenKind::Agent), and the
    /// delegation does not [allow](crate::Delegation::allow_kind) this kind.
    Kind,
    /// The token would have the scope for issuing tokens, directly or through a wildcard, but the
    /// delegation does not [allow](crate::Delegation::allow_manage) this scope.
    Manage,
    /// The token would be independent of its issuing token, but the issuing token is bound to
    /// another token.
    Independent,
    /// The token has metadata, and the delegation does not
    /// [allow](crate::Delegation::allow_metadata) metadata.
    Metadata,
    /// The token to be rotated is neither the issuing token itself nor a token that the issuing
    /// token issued.
    NotIssued,
}

impl OutsideIssuer {
    /// Returns the error message for the caller.
    pub(super) fn refusal(self) -> &'static str {
        match self {
            Self::Kind => "a token cannot issue tokens of this kind",
            Self::Manage => "a token cannot issue tokens that issue tokens",
            Self::Independent => "a bound token cannot issue independent tokens",
            Self::Metadata => "a token cannot issue tokens with metadata",
            Self::NotIssued => "a token rotates only itself and tokens that it issued",
            Self::Project => "a token manages tokens of its own project only",
            Self::Owner => "a token manages tokens of its own owner only",
            Self::Scopes => "a token cannot grant scopes that it does not have",
            Self::Addresses => "a token cannot allow addresses that it may not be used from",
            Self::Expiry => "a token cannot grant a lifetime beyond its own",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_way_outside_has_its_own_message() {
        let all = [
            (OutsideIssuer::Project, "project"),
            (OutsideIssuer::Owner, "owner"),
            (OutsideIssuer::Scopes, "scopes"),
            (OutsideIssuer::Addresses, "addresses"),
            (OutsideIssuer::Expiry, "lifetime"),
            (OutsideIssuer::Kind, "kind"),
            (OutsideIssuer::Metadata, "metadata"),
            (OutsideIssuer::NotIssued, "issued"),
        ];
        for (outside, word) in all {
            assert!(outside.refusal().contains(word), "{outside:?}: {}", outside.refusal());
        }
        assert_eq!(all.map(|(outside, _)| outside.refusal()).into_iter().collect::<BTreeSet<_>>().len(), all.len());
    }
}
