//! The operations on a token, and the form in which the audit trail stores them.

use keyfob::{
    Timestamp, TokenId,
    events::{ChangeKind, Event},
    notices::NoticeLead,
    record::RevocationReason,
};

/// The name of the event in the trail of a token that issued another token. The detail of the entry
/// is the id of the new token.
pub const ISSUED_TOKEN: &str = "issued_token";
/// The name of the event for the revocation of the tokens that are bound to an ended token. The
/// event is stored in the audit trail of the ended token.
pub const ISSUED_REVOKED: &str = "revoked_what_it_issued";

/// The detail of the event that a token was issued under another token.
const UNDER: &str = "under a token";
/// The detail of the event that a token was issued under another token and is bound to it.
const BOUND: &str = "under a token, ends with it";

/// An operation on a token, or another event that its trail names. The trail stores an operation as
/// two texts: the name of the event, and a detail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Act {
    Issued(Origin),
    /// The token issued the token with this id.
    IssuedToken(TokenId),
    Imported,
    Changed(ChangeKind),
    /// The token was replaced by `successor`. It works until `until`.
    Rotated {
        successor: TokenId,
        until: Timestamp,
    },
    Revoked(RevocationReason),
    /// The tokens that are bound to the token were revoked.
    IssuedRevoked {
        count: u64,
        reason: RevocationReason,
    },
    Leaked,
    /// The owner got a notice this long before the token expires.
    Expiring(NoticeLead),
    /// An operation that this version does not know. Another version has stored it.
    Unknown,
}

/// The way in which a token was issued.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// The token has no issuer and no predecessor.
    New,
    /// The token was issued under another token. If `bound`, it ends with that token.
    Under { bound: bool },
    /// The token replaces the token with this id.
    Replaces(TokenId),
}

impl Act {
    /// Creates the operation of an event in the trail of the event's own token. Returns `None` if
    /// the event is not an operation on one token.
    pub fn of(event: &Event<'_>) -> Option<Self> {
        Some(match event {
            Event::Issued { issuer, .. } => {
                Self::Issued(issuer.map_or(Origin::New, |issuer| Origin::Under { bound: issuer.bound }))
            }
            Event::Imported { .. } => Self::Imported,
            Event::Changed { how, .. } => Self::Changed(*how),
            Event::Rotated { successor, grace_until, .. } => {
                Self::Rotated { successor: *successor, until: *grace_until }
            }
            Event::Revoked { reason, .. } => Self::Revoked(*reason),
            Event::IssuedRevoked { count, reason, .. } => Self::IssuedRevoked { count: *count, reason: *reason },
            Event::Leaked { .. } => Self::Leaked,
            Event::Expiring { lead, .. } => Self::Expiring(*lead),
            _ => return None,
        })
    }

    /// Returns the name of the event, as the trail stores it.
    pub fn event(self) -> &'static str {
        match self {
            Self::Issued(_) => "issued",
            Self::IssuedToken(_) => ISSUED_TOKEN,
            Self::Imported => "imported",
            Self::Changed(how) => how.as_str(),
            Self::Rotated { .. } => "rotated",
            Self::Revoked(_) => "revoked",
            Self::IssuedRevoked { .. } => ISSUED_REVOKED,
            Self::Leaked => "leaked",
            Self::Expiring(_) => "expiring",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the detail of the event, as the trail stores it.
    pub fn detail(self) -> String {
        let words = |reason: RevocationReason| reason.as_str().replace('_', " ");
        match self {
            Self::Issued(Origin::Under { bound }) => if bound { BOUND } else { UNDER }.into(),
            Self::Issued(Origin::Replaces(id)) => format!("replaces {id}"),
            Self::IssuedToken(id) => id.to_string(),
            Self::Rotated { successor, until } => format!("to {successor}, works until {until}"),
            Self::Revoked(reason) => words(reason),
            Self::IssuedRevoked { count, reason } => {
                format!("{count} token{}, {}", if count == 1 { "" } else { "s" }, words(reason))
            }
            Self::Expiring(lead) => lead.to_string(),
            Self::Issued(Origin::New) | Self::Imported | Self::Changed(_) | Self::Leaked | Self::Unknown => {
                String::new()
            }
        }
    }

    /// Reads an operation from the two texts that the trail stores.
    pub fn parse(event: &str, detail: &str) -> Self {
        Self::known(event, detail).unwrap_or(Self::Unknown)
    }

    fn known(event: &str, detail: &str) -> Option<Self> {
        let reason = |words: &str| words.replace(' ', "_").parse().ok();
        Some(match event {
            "issued" => Self::Issued(match detail {
                "" => Origin::New,
                UNDER => Origin::Under { bound: false },
                BOUND => Origin::Under { bound: true },
                _ => Origin::Replaces(detail.strip_prefix("replaces ")?.parse().ok()?),
            }),
            ISSUED_TOKEN => Self::IssuedToken(detail.parse().ok()?),
            "imported" => Self::Imported,
            "rotated" => {
                let (successor, until) = detail.strip_prefix("to ")?.split_once(", works until ")?;
                Self::Rotated { successor: successor.parse().ok()?, until: until.parse().ok()? }
            }
            "revoked" => Self::Revoked(reason(detail)?),
            ISSUED_REVOKED => {
                let (count, words) = detail.split_once(", ")?;
                let (count, _) = count.split_once(' ')?;
                Self::IssuedRevoked { count: count.parse().ok()?, reason: reason(words)? }
            }
            "leaked" => Self::Leaked,
            "expiring" => Self::Expiring(NoticeLead::ALL.into_iter().find(|lead| lead.to_string() == detail)?),
            _ => Self::Changed(event.parse().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_operations_are_read_again() {
        let id = TokenId::new("1aaaaaaaaaaaaaaa").expect("an id");
        let until = "2026-11-29T14:05:00Z".parse().expect("a time");
        let mut acts = vec![
            Act::Issued(Origin::New),
            Act::Issued(Origin::Under { bound: false }),
            Act::Issued(Origin::Under { bound: true }),
            Act::Issued(Origin::Replaces(id)),
            Act::IssuedToken(id),
            Act::Imported,
            Act::Rotated { successor: id, until },
            Act::Leaked,
        ];
        acts.extend(ChangeKind::ALL.iter().map(|how| Act::Changed(*how)));
        acts.extend(NoticeLead::ALL.map(Act::Expiring));
        for reason in RevocationReason::ALL {
            acts.push(Act::Revoked(*reason));
            acts.extend([1, 2].map(|count| Act::IssuedRevoked { count, reason: *reason }));
        }
        for act in acts {
            assert_eq!(Act::parse(act.event(), &act.detail()), act, "{} {:?}", act.event(), act.detail());
        }
    }

    /// Earlier versions have stored these texts.
    #[test]
    fn texts_of_earlier_versions_keep_their_meaning() {
        let id = "1aaaaaaaaaaaaaaa".parse().expect("an id");
        for (event, detail, act) in [
            ("issued", "under a token, ends with it", Act::Issued(Origin::Under { bound: true })),
            ("issued", "replaces 1aaaaaaaaaaaaaaa", Act::Issued(Origin::Replaces(id))),
            ("revoked", "privilege withdrawn", Act::Revoked(RevocationReason::PrivilegeWithdrawn)),
            (
                "revoked_what_it_issued",
                "1 token, key compromise",
                Act::IssuedRevoked { count: 1, reason: RevocationReason::KeyCompromise },
            ),
            ("grace_ended", "", Act::Changed(ChangeKind::GraceEnded)),
        ] {
            assert_eq!(Act::parse(event, detail), act);
        }
        for (event, detail) in [("renewed", ""), ("revoked", "no such reason"), ("rotated", "to x"), ("issued", "x")] {
            assert_eq!(Act::parse(event, detail), Act::Unknown, "{event} {detail:?}");
        }
    }
}
