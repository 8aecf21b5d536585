//! The words with which the page of a token names operations, reasons and refusals.

use keyfob::{Rejection, events::ChangeKind, record::RevocationReason};

use crate::tokens::trail::With;

/// Returns the reason of a revocation as the end of a sentence, or `None` if the actor gave no
/// reason.
pub fn reason(reason: RevocationReason) -> Option<&'static str> {
    Some(match reason {
        RevocationReason::KeyCompromise => "it leaked",
        RevocationReason::AffiliationChanged => "its owner left",
        RevocationReason::Superseded => "another token replaced it",
        RevocationReason::CessationOfOperation => "no longer needed",
        RevocationReason::PrivilegeWithdrawn => "access withdrawn",
        _ => return None,
    })
}

/// Returns the tokens that were revoked with a token, as the end of a sentence.
pub fn with(with: With) -> &'static str {
    match with {
        With::Issuer => "with the token that issued it",
        With::Owner => "with all tokens of its owner in this project",
        With::Rotations => "with its predecessors and successors",
        With::Project => "with all tokens of the project",
        With::Key => "with all tokens of the same key",
    }
}

/// Returns a change as the beginning of a sentence.
pub fn change(how: ChangeKind) -> &'static str {
    match how {
        ChangeKind::Renamed => "Renamed",
        ChangeKind::Disabled => "Disabled",
        ChangeKind::Enabled => "Enabled",
        ChangeKind::Confirmed => "Confirmed",
        ChangeKind::GraceEnded => "Grace period ended",
        ChangeKind::Narrowed => "Scopes or addresses reduced",
        _ => "Changed",
    }
}

/// Returns the reason why requests were refused, such as "revoked" in "12 refused: revoked".
pub fn refusal(reason: Rejection) -> &'static str {
    match reason {
        Rejection::Length | Rejection::NotAscii | Rejection::Prefix | Rejection::Shape => "not a token of this service",
        Rejection::Checksum => "mistyped",
        Rejection::Unkeyed | Rejection::UnknownKey => "made with a key that this service does not accept",
        Rejection::Tag => "forged",
        Rejection::Unknown => "unknown token",
        Rejection::Digest => "wrong secret",
        Rejection::Revoked => "revoked",
        Rejection::Expired => "expired",
        Rejection::Rotated => "replaced, and its grace period was over",
        Rejection::Lapsed => "not confirmed in time",
        Rejection::Disabled => "disabled",
        Rejection::Pending => "not confirmed yet",
        Rejection::NotYetValid => "not valid yet",
        Rejection::Policy => "the policy does not allow the token",
        Rejection::IssuerEnded => "the token that issued it did not work",
        Rejection::OwnerSuspended => "its owner was suspended",
        Rejection::OwnerOutsideProject => "its owner was not a member of the project",
        Rejection::Project => "used for another project",
        Rejection::Address => "used from an address that is not allowed",
        Rejection::Scope => "missing scope",
        _ => "another reason",
    }
}

/// The actor of a leak report that anybody may send.
const ANYBODY: &str = "a leak report";

/// Returns the sender of a leak report, as the end of "reported by". `actor` is the actor of the
/// report.
pub fn reporter(actor: &str) -> &str {
    if actor == ANYBODY { "somebody who had found it" } else { actor }
}

/// Returns the name of an actor that is neither a person nor a token but a program, as the end of
/// "by".
pub fn program(actor: &str) -> String {
    match actor {
        ANYBODY => actor.into(),
        "GitHub secret scanning" => "a leak report from GitHub".into(),
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in_words(text: &str) -> bool {
        !text.contains('_') && text.len() > 3
    }

    /// A new variant in keyfob needs words here. Without them, it would get the words of the last
    /// arm.
    #[test]
    fn every_variant_of_keyfob_has_words() {
        for one in Rejection::ALL {
            assert!(is_in_words(refusal(*one)) && refusal(*one) != "another reason", "{one}");
        }
        for one in ChangeKind::ALL {
            assert!(is_in_words(change(*one)) && change(*one) != "Changed", "{one}");
        }
        for one in RevocationReason::ALL {
            assert_eq!(reason(*one).is_none(), *one == RevocationReason::Unspecified, "{one}");
            assert!(reason(*one).is_none_or(is_in_words), "{one}");
        }
    }
}
