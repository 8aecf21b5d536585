//! Puts the status of a token into words: whether the service accepts the next request with the
//! token, the reason, and the end of the token. All pages use these words.

use std::time::Duration;

use keyfob::{
    Policy, Status, Timestamp, TokenView, owners::OwnerState, policy::PolicyBreach, record::RevocationReason,
};

use crate::tokens::expiry::in_units;
use crate::web::time_words::{self, Time};

/// The colour of a status or of an expiry. The words never depend on the colour alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    /// The token works.
    Good,
    /// The token needs attention soon, or the owner has stopped it.
    Warn,
    /// The token is rejected although its owner may expect that it works.
    Bad,
    /// The token has ended.
    Over,
}

impl Tone {
    /// Returns the class in the style sheet.
    pub fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Over => "over",
        }
    }
}

/// The facts, besides the record of a token, that decide whether the token works.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    pub policy: &'a Policy,
    /// The state of the token's owner in the token's project.
    pub owner: OwnerState,
    /// The token that issued this token, if there is one and it still exists.
    pub issuer: Option<&'a TokenView>,
    pub now: Timestamp,
}

/// The status of a token: whether the service accepts the next request with it, and the reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    pub word: &'static str,
    /// The rest of the status after the word, such as "works until 29 Nov".
    pub detail: Option<String>,
    pub tone: Tone,
    /// The reason why the token does not work, in words. It is `None` if the word says everything.
    pub reason: Option<String>,
}

impl Standing {
    pub fn of(view: &TokenView, around: &Around<'_>) -> Self {
        match view.status {
            Status::Active => Self::active(view, around),
            Status::NotYetValid => {
                let begins = view.not_before.map(|time| format!("works from {}", time_words::on_page(time)));
                Self { detail: begins, ..Self::plain("Not yet valid", Tone::Warn) }
            }
            Status::Pending => Self::because("Pending", Tone::Warn, "Confirm it before you use it"),
            Status::Disabled => Self::plain("Disabled", Tone::Warn),
            Status::IssuerEnded => {
                let name = around.issuer.map_or_else(|| "its issuer".into(), |issuer| format!("“{}”", issuer.name));
                match around.issuer {
                    // The token works again if its issuer works again.
                    Some(issuer) if issuer.status.is_live() || issuer.status == Status::IssuerEnded => {
                        Self::because("Blocked", Tone::Bad, format!("Issuer: {name} does not work"))
                    }
                    _ => Self::because("Ended", Tone::Over, format!("Ended with {name}, which issued it")),
                }
            }
            Status::Expired => Self::plain("Expired", Tone::Over),
            Status::Lapsed => Self::because("Expired", Tone::Over, "It was not confirmed in time"),
            Status::Rotated => Self::plain("Replaced", Tone::Over),
            Status::Revoked => {
                let reason = match around.issuer.filter(|issuer| ended_with(view, issuer)) {
                    Some(issuer) => Some(format!("Ended with “{}”, which issued it", issuer.name)),
                    None => view.revoked.as_ref().and_then(|revoked| revocation(revoked.reason)).map(Into::into),
                };
                Self { reason, ..Self::plain("Revoked", Tone::Over) }
            }
        }
    }

    fn active(view: &TokenView, around: &Around<'_>) -> Self {
        let blocked = match around.owner {
            OwnerState::Active => {
                view.breach(around.policy, around.now).map(|breach| policy(breach, view, around.policy))
            }
            OwnerState::Suspended => Some("Owner: the account is suspended".into()),
            OwnerState::OutsideProject => Some("Owner: not a member of the project any more".into()),
        };
        match blocked {
            Some(reason) => Self::because("Blocked", Tone::Bad, reason),
            None if is_in_grace(view) => {
                let until = view.ends_at().map(|end| format!("works until {}", time_words::day(end)));
                Self { detail: until, ..Self::plain("Replaced", Tone::Warn) }
            }
            None => Self::plain("Active", Tone::Good),
        }
    }

    fn plain(word: &'static str, tone: Tone) -> Self {
        Self { word, detail: None, tone, reason: None }
    }

    fn because(word: &'static str, tone: Tone, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..Self::plain(word, tone) }
    }
}

/// Returns whether the token was revoked because its issuer was revoked. Then both have the same
/// actor and the same reason.
fn ended_with(view: &TokenView, issuer: &TokenView) -> bool {
    let is_bound = view.issuer.is_some_and(|link| link.bound);
    match (&view.revoked, &issuer.revoked) {
        (Some(own), Some(of_issuer)) if is_bound => {
            own.by == of_issuer.by && own.reason == of_issuer.reason && own.at >= of_issuer.at
        }
        _ => false,
    }
}

/// Returns whether the token was rotated and still works.
pub fn is_in_grace(view: &TokenView) -> bool {
    view.status.is_live() && view.rotated_to.is_some()
}

/// Returns the way in which a token breaks the policy, in words.
fn policy(breach: PolicyBreach, view: &TokenView, policy: &Policy) -> String {
    let lifetimes = policy.lifetimes(view.kind);
    match breach {
        PolicyBreach::NeverExpires => format!("Policy: tokens must expire within {}", in_units(lifetimes.max)),
        PolicyBreach::TooLong => format!("Policy: tokens may live for at most {}", in_units(lifetimes.max)),
        PolicyBreach::TooShort => format!("Policy: tokens must live for at least {}", in_units(lifetimes.min)),
        PolicyBreach::Unused => {
            let most = policy.max_unused().map_or_else(String::new, |most| format!(" for {}", in_units(most)));
            format!("Policy: it was not used{most}")
        }
        _ => "Policy: it does not allow this token".into(),
    }
}

/// Returns the reason of a revocation in words, or `None` if the actor gave no reason.
pub fn revocation(reason: RevocationReason) -> Option<&'static str> {
    match reason {
        RevocationReason::KeyCompromise => Some("It leaked"),
        RevocationReason::AffiliationChanged => Some("Its owner left"),
        RevocationReason::Superseded => Some("Another token replaced it"),
        RevocationReason::CessationOfOperation => Some("It was no longer needed"),
        RevocationReason::PrivilegeWithdrawn => Some("An administrator withdrew the access"),
        _ => None,
    }
}

const A_WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The end of a token, as the pages show it.
pub struct End {
    /// The time of the end. It is `None` if the token never ends by itself.
    pub time: Option<Time>,
    pub tone: Tone,
    /// What happens at this time: "Expires", "Works until" or "Ended".
    pub label: &'static str,
}

impl End {
    pub fn of(view: &TokenView, now: Timestamp) -> Self {
        let Some(end) = view.ends_at() else {
            return Self { time: None, tone: Tone::Warn, label: "Expires" };
        };
        if end <= now {
            return Self { time: Some(Time::ago(end, now)), tone: Tone::Over, label: "Ended" };
        }
        let tone = if end.saturating_since(now) <= A_WEEK { Tone::Warn } else { Tone::Good };
        let label = if is_in_grace(view) { "Works until" } else { "Expires" };
        Self { time: Some(Time::ahead(end, now)), tone, label }
    }
}

/// Returns the origin of a token's last use, such as "from 203.0.113.7, curl/8.5.0".
pub fn used_from(view: &TokenView) -> Option<String> {
    let from = view.last_used_from.as_ref().filter(|from| !from.is_empty())?;
    let address = from.address.map(|address| address.to_string());
    let client = from.client.as_ref().map(|client| client.as_str().to_owned());
    Some(format!("from {}", address.into_iter().chain(client).collect::<Vec<_>>().join(", ")))
}

/// The public part of a token in two pieces, between which a narrow page shows an ellipsis.
pub struct PublicId {
    pub start: String,
    /// The last four characters.
    pub end: String,
}

impl PublicId {
    pub fn of(view: &TokenView) -> Self {
        // The text is ASCII and ends with an id of 16 characters.
        let (start, end) = view.public_part.split_at(view.public_part.len().saturating_sub(4));
        Self { start: start.into(), end: end.into() }
    }

    pub fn whole(&self) -> String {
        format!("{}{}", self.start, self.end)
    }

    /// Returns the public part with most of the id left out, such as "demo_pat_2_16rk…Kcqr".
    pub fn short(&self) -> String {
        let kept = self.start.len().saturating_sub(8);
        format!("{}…{}", &self.start[..kept], self.end)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use keyfob::{Actor, Keyring, Lifetime, Name, NewToken, OwnerId, Pepper, Prefix, ProjectId, TokenRecord, mint};

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn now() -> Timestamp {
        "2026-11-28T12:00:00Z".parse().unwrap()
    }

    /// Returns the record of a token that was issued now for 30 days.
    fn record() -> TokenRecord {
        let keyring = Keyring::new(Prefix::new("demo_pat").unwrap(), Pepper::generate().unwrap());
        let new = NewToken::new(ProjectId::new("2").unwrap(), OwnerId::new("1").unwrap(), Name::new("CI").unwrap());
        let new = new.with_lifetime(Lifetime::For(30 * DAY));
        mint(&keyring, &Policy::default(), new, &Actor::new("1").unwrap(), now()).unwrap().record
    }

    /// Returns [`record`] with a change.
    fn changed(change: impl FnOnce(&mut TokenRecord)) -> TokenRecord {
        let mut record = record();
        change(&mut record);
        record
    }

    /// Returns the status of a token in words: the word, the detail and the reason.
    fn words(record: &TokenRecord, owner: OwnerState, policy: &Policy) -> String {
        let view = record.view(now());
        let Standing { word, detail, reason, .. } =
            Standing::of(&view, &Around { policy, owner, issuer: None, now: now() });
        [Some(word.into()), detail, reason].into_iter().flatten().collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn status_says_what_happens_on_the_next_request() {
        let policy = Policy::default();
        let of = |change: fn(&mut TokenRecord)| words(&changed(change), OwnerState::Active, &policy);
        let successor = || keyfob::TokenId::new("1000000000000000").ok();
        assert_eq!(of(|_| ()), "Active");
        assert_eq!(
            of(|token| token.not_before = Some(now().saturating_add(DAY))),
            "Not yet valid | works from 29 Nov 2026, 12:00 UTC"
        );
        assert_eq!(
            of(|token| token.confirm_by = Some(now().saturating_add(DAY))),
            "Pending | Confirm it before you use it"
        );
        assert_eq!(of(|token| token.expires_at = Some(now())), "Expired");
        assert_eq!(of(|token| token.confirm_by = Some(now())), "Expired | It was not confirmed in time");
        let mut replaced = changed(|token| token.rotated_to = successor());
        replaced.grace_until = Some(now().saturating_add(DAY));
        assert_eq!(words(&replaced, OwnerState::Active, &policy), "Replaced | works until 29 Nov");
        replaced.grace_until = Some(now());
        assert_eq!(words(&replaced, OwnerState::Active, &policy), "Replaced");
    }

    #[test]
    fn token_that_is_rejected_for_another_reason_than_its_record_is_blocked() {
        let (policy, active) = (Policy::default(), OwnerState::Active);
        let never = changed(|token| token.expires_at = None);
        for (record, owner, policy, said) in [
            (&never, active, &policy, "Blocked | Policy: tokens must expire within 366 days"),
            (
                &record(),
                active,
                &policy.clone().with_max_lifetime(7 * DAY),
                "Blocked | Policy: tokens may live for at most 7 days",
            ),
            (&record(), active, &policy.clone().with_max_unused(DAY), "Active"),
            (&record(), OwnerState::Suspended, &policy, "Blocked | Owner: the account is suspended"),
            (&record(), OwnerState::OutsideProject, &policy, "Blocked | Owner: not a member of the project any more"),
        ] {
            assert_eq!(words(record, owner, policy), said);
        }
        let idle = changed(|token| token.created_at = now().saturating_sub(DAY));
        let strict = policy.with_max_unused(DAY);
        assert_eq!(words(&idle, active, &strict), "Blocked | Policy: it was not used for 1 day");
    }

    #[test]
    fn end_is_amber_within_a_week_and_if_there_is_none() {
        let end = |expires_at: Option<Timestamp>| {
            let End { time, tone, label } = End::of(&changed(|token| token.expires_at = expires_at).view(now()), now());
            (label, time.map(|time| time.words), tone)
        };
        let after = |span: Duration| Some(now().saturating_add(span));
        assert_eq!(end(None), ("Expires", None, Tone::Warn));
        assert_eq!(end(after(A_WEEK)), ("Expires", Some("in 7 days".into()), Tone::Warn));
        assert_eq!(end(after(A_WEEK + DAY)), ("Expires", Some("in 8 days".into()), Tone::Good));
        assert_eq!(end(Some(now())), ("Ended", Some("just now".into()), Tone::Over));
    }

    #[test]
    fn short_id_keeps_the_first_and_the_last_four_characters_of_the_id() {
        let view = record().view(now());
        let id = PublicId::of(&view);
        assert_eq!(id.whole(), view.public_part);
        let (short, of) = (id.short(), view.id.as_str());
        assert_eq!(short, format!("demo_pat_2_{}…{}", &of[..4], &of[12..]));
    }
}
