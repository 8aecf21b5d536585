//! Where a token would go beyond its issuer.

/// Where a token would go beyond the one that manages it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum OutsideIssuer {
    /// Another project.
    Project,
    /// Another owner.
    Owner,
    /// A scope that it has not.
    Scopes,
    /// An address that it may not be used from.
    Addresses,
    /// It would live longer.
    Expiry,
    /// Another kind than [`Agent`](crate::TokenKind::Agent), which was not [allowed](crate::Delegation::allow_kind).
    Kind,
    /// The scope for issuing tokens, by itself or under a wildcard, which was not [allowed](crate::Delegation::allow_manage).
    Manage,
    /// A token that is not bound, from a token that is.
    Independent,
    /// Metadata, which was not [allowed](crate::Delegation::allow_metadata).
    Metadata,
    /// The token to be rotated is neither the issuing token nor one that it issued.
    NotIssued,
}

impl OutsideIssuer {
    /// Returns what to say of it.
    pub(super) fn refusal(self) -> &'static str {
        match self {
            Self::Kind => "a token cannot issue tokens of this kind",
            Self::Manage => "a token cannot issue tokens that issue tokens",
            Self::Independent => "a token that is bound to another cannot issue tokens that are not",
            Self::Metadata => "a token cannot issue tokens with metadata",
            Self::NotIssued => "a token rotates only itself and tokens that it issued",
            Self::Project => "a token manages tokens of its own project only",
            Self::Owner => "a token manages tokens of its own owner only",
            Self::Scopes => "a token cannot give scopes that it has not",
            Self::Addresses => "a token cannot give addresses that it may not be used from",
            Self::Expiry => "a token cannot give a lifetime beyond its own",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_way_outside_has_words_of_its_own() {
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
