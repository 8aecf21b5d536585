//! The changes that a caller can request, and the conditions under which each change is allowed.

use super::address::AddressRanges;
use super::change::Change;
use super::error::Error;
use super::error_kind::ErrorKind;
use super::policy::Policy;
use super::record::{Disabled, TokenRecord};
use super::scope::ScopeSet;
use super::status::Status;
use crate::words::text::{Actor, Name};
use crate::words::timestamp::Timestamp;

/// A request to change a token. [`TokenRecord::judge`] decides whether the change is allowed.
/// Revocations and rotations are separate operations, not change requests.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ChangeRequest {
    /// The request to give the token this name.
    Rename(Name),
    /// The request to disable the token, so that it does not work until it is enabled again.
    Disable,
    /// The request to let a disabled token work again.
    Enable,
    /// The request to confirm a pending token, so that it starts to work.
    Confirm,
    /// The request to end the grace period of a rotated token immediately.
    EndGrace,
    /// The request to reduce the scopes, addresses or lifetime of the token.
    Narrow(Narrowing),
}

/// The scopes, addresses and expiry to which a token is reduced. A field that is `None` leaves the
/// present value unchanged.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Narrowing {
    /// The scopes that the token keeps, or `None` to keep all its scopes. The present scopes of the
    /// token must [cover](crate::Policy::covers_scopes) the scopes in this field.
    pub scopes: Option<ScopeSet>,
    /// The addresses that the token keeps, or `None` to keep all. The present addresses of the
    /// token must [cover](AddressRanges::covers) these addresses.
    pub addresses: Option<AddressRanges>,
    /// The new expiry of the token. It must not be later than the present expiry, and the policy
    /// must allow it.
    pub expires_at: Option<Timestamp>,
}

impl TokenRecord {
    /// Returns the change that fulfils the request, or `None` if the record already is as
    /// requested.
    ///
    /// Only a live token can be changed: a token that is active, not yet valid, pending or
    /// disabled. There is one exception: a request to end a grace period that is already over
    /// returns `None` instead of an error.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Ended`] if the token has ended, or if the new expiry is not after
    /// `now`. Returns [`ErrorKind::NotRotated`] if the request is to end a grace period, but the
    /// token was never rotated. Returns [`ErrorKind::Wider`] if a narrowing would add scopes or
    /// addresses, or move the expiry to a later time. Returns [`ErrorKind::Policy`] if the policy
    /// allows the token as it is, but not the narrowed token.
    pub fn judge(
        &self,
        wish: ChangeRequest,
        policy: &Policy,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Option<Change>, Error> {
        let status = self.status(now);
        if !(status.is_live() || status == Status::Rotated && wish == ChangeRequest::EndGrace) {
            return Err(ErrorKind::Ended(status).into());
        }
        Ok(match wish {
            ChangeRequest::Rename(name) => (name != self.name).then_some(Change::Rename(name)),
            ChangeRequest::Disable => {
                self.disabled.is_none().then(|| Change::Disable(Disabled { at: now, by: actor.clone() }))
            }
            ChangeRequest::Enable => self.disabled.is_some().then_some(Change::Enable),
            ChangeRequest::Confirm => self.confirm_by.is_some().then_some(Change::Confirm),
            ChangeRequest::EndGrace => match self.grace_until {
                Some(grace_until) => (now < grace_until).then_some(Change::EndGrace(now)),
                None => return Err(ErrorKind::NotRotated.into()),
            },
            ChangeRequest::Narrow(narrowing) => self.narrowed(narrowing, policy, now)?,
        })
    }

    fn narrowed(&self, narrowing: Narrowing, policy: &Policy, now: Timestamp) -> Result<Option<Change>, Error> {
        let scopes = narrowing.scopes.unwrap_or_else(|| self.scopes.clone());
        let addresses = narrowing.addresses.unwrap_or_else(|| self.addresses.clone());
        let expires_at = narrowing.expires_at.or(self.expires_at);
        let longer = match (self.expires_at, expires_at) {
            (Some(before), after) => after.is_none_or(|after| after > before),
            (None, _) => false,
        };
        let fewer = scopes == self.scopes || policy.scope_rules().covers(&self.scopes, &scopes);
        if longer || !fewer || !self.addresses.covers(&addresses) {
            return Err(ErrorKind::Wider.into());
        }
        let narrowed = TokenRecord { scopes, addresses, expires_at, ..self.clone() };
        if narrowed == *self {
            return Ok(None);
        }
        if narrowed.status(now) == Status::Expired {
            return Err(ErrorKind::Ended(Status::Expired).into());
        }
        // A narrowing must not stop the token immediately, for example because the policy does not
        // allow such a short lifetime. A token that already breaks the policy may still be
        // narrowed.
        match policy.breach(&narrowed, now) {
            Some(breach) if policy.breach(self, now).is_none() => Err(breach.into()),
            _ => {
                let TokenRecord { scopes, addresses, expires_at, .. } = narrowed;
                Ok(Some(Change::Narrow { scopes, addresses, expires_at }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::rules::breach::PolicyBreach;
    use crate::rules::lifetimes::Lifetimes;
    use crate::rules::sample::{DAY, MS, ada, at, disabled, id, record, revoked};
    use crate::rules::token_kind::TokenKind;

    fn judged(record: &TokenRecord, wish: ChangeRequest) -> Result<Option<Change>, ErrorKind> {
        record.judge(wish, &Policy::default(), &ada(), at(0)).map_err(|error| error.kind())
    }

    fn narrowed(record: &TokenRecord, narrowing: Narrowing) -> Result<Option<Change>, ErrorKind> {
        judged(record, ChangeRequest::Narrow(narrowing))
    }

    fn wishes() -> [ChangeRequest; 6] {
        [
            ChangeRequest::Rename("other".parse().unwrap()),
            ChangeRequest::Disable,
            ChangeRequest::Enable,
            ChangeRequest::Confirm,
            ChangeRequest::EndGrace,
            ChangeRequest::Narrow(Narrowing::default()),
        ]
    }

    #[test]
    fn a_token_that_has_ended_takes_no_change() {
        for (ended, status) in [
            (TokenRecord { revoked: revoked(), ..record() }, Status::Revoked),
            (TokenRecord { confirm_by: Some(at(0)), ..record() }, Status::Lapsed),
            (TokenRecord { expires_at: Some(at(0)), ..record() }, Status::Expired),
            (TokenRecord { grace_until: Some(at(0)), ..record() }, Status::Rotated),
        ] {
            for wish in wishes() {
                let expected = match (status, &wish) {
                    // The grace period is already over, so there is nothing to change.
                    (Status::Rotated, ChangeRequest::EndGrace) => Ok(None),
                    _ => Err(ErrorKind::Ended(status)),
                };
                assert_eq!(judged(&ended, wish.clone()), expected, "{wish:?} of a token that is {status}");
            }
        }
    }

    #[test]
    fn a_token_that_is_live_but_not_active_can_be_changed() {
        for live in [
            TokenRecord { disabled: disabled(), ..record() },
            TokenRecord { confirm_by: Some(at(1)), ..record() },
            TokenRecord { not_before: Some(at(1)), ..record() },
        ] {
            let name = ChangeRequest::Rename("other".parse().unwrap());
            assert_eq!(judged(&live, name), Ok(Some(Change::Rename("other".parse().unwrap()))));
        }
    }

    #[test]
    fn a_request_without_effect_is_no_change() {
        let record = record();
        assert_eq!(judged(&record, ChangeRequest::Rename(record.name.clone())), Ok(None));
        assert_eq!(judged(&record, ChangeRequest::Enable), Ok(None));
        assert_eq!(judged(&record, ChangeRequest::Confirm), Ok(None));
        assert_eq!(narrowed(&record, Narrowing::default()), Ok(None));
        let off = TokenRecord { disabled: disabled(), ..record };
        assert_eq!(judged(&off, ChangeRequest::Disable), Ok(None));
    }

    #[test]
    fn a_request_becomes_the_change_that_fulfils_it() {
        let on = Disabled { at: at(0), by: ada() };
        assert_eq!(judged(&record(), ChangeRequest::Disable), Ok(Some(Change::Disable(on))));
        let off = TokenRecord { disabled: disabled(), ..record() };
        assert_eq!(judged(&off, ChangeRequest::Enable), Ok(Some(Change::Enable)));
        let pending = TokenRecord { confirm_by: Some(at(1)), ..record() };
        assert_eq!(judged(&pending, ChangeRequest::Confirm), Ok(Some(Change::Confirm)));
    }

    #[test]
    fn a_grace_period_can_be_ended_while_it_runs() {
        assert_eq!(judged(&record(), ChangeRequest::EndGrace), Err(ErrorKind::NotRotated));
        let until = |time| TokenRecord { rotated_to: Some(id('2')), grace_until: Some(at(time)), ..record() };
        assert_eq!(judged(&until(1), ChangeRequest::EndGrace), Ok(Some(Change::EndGrace(at(0)))));
        assert_eq!(judged(&until(0), ChangeRequest::EndGrace), Ok(None));
        assert_eq!(judged(&until(-1), ChangeRequest::EndGrace), Ok(None));
        let revoked = TokenRecord { revoked: revoked(), ..until(1) };
        assert_eq!(judged(&revoked, ChangeRequest::EndGrace), Err(ErrorKind::Ended(Status::Revoked)));
    }

    #[test]
    fn a_token_is_narrowed_in_each_part_and_keeps_the_others() {
        let before = TokenRecord { addresses: AddressRanges::new("10.0.0.0/8").unwrap(), ..record() };
        let TokenRecord { scopes, addresses, expires_at, .. } = before.clone();
        let fewer = ScopeSet::new("user").unwrap();
        let change = Change::Narrow { scopes: fewer.clone(), addresses: addresses.clone(), expires_at };
        assert_eq!(narrowed(&before, Narrowing { scopes: Some(fewer), ..Narrowing::default() }), Ok(Some(change)));
        let nearer = AddressRanges::new("10.1.0.0/16").unwrap();
        let change = Change::Narrow { scopes: scopes.clone(), addresses: nearer.clone(), expires_at };
        assert_eq!(narrowed(&before, Narrowing { addresses: Some(nearer), ..Narrowing::default() }), Ok(Some(change)));
        let sooner = Some(expires_at.unwrap().saturating_sub(MS));
        let change = Change::Narrow { scopes, addresses, expires_at: sooner };
        assert_eq!(narrowed(&before, Narrowing { expires_at: sooner, ..Narrowing::default() }), Ok(Some(change)));
    }

    #[test]
    fn a_token_is_never_widened() {
        let before = TokenRecord { addresses: AddressRanges::new("10.0.0.0/8").unwrap(), ..record() };
        let wider = Err(ErrorKind::Wider);
        let scopes = Some(ScopeSet::new("repo:read user admin").unwrap());
        assert_eq!(narrowed(&before, Narrowing { scopes, ..Narrowing::default() }), wider);
        for addresses in ["", "10.0.0.0/7", "11.0.0.0/8"] {
            let addresses = Some(AddressRanges::new(addresses).unwrap());
            assert_eq!(narrowed(&before, Narrowing { addresses, ..Narrowing::default() }), wider);
        }
        let expires_at = Some(before.expires_at.unwrap().saturating_add(MS));
        assert_eq!(narrowed(&before, Narrowing { expires_at, ..Narrowing::default() }), wider);
        let same = Narrowing { expires_at: before.expires_at, ..Narrowing::default() };
        assert_eq!(narrowed(&before, same), Ok(None));
    }

    #[test]
    fn a_token_that_never_expires_may_be_given_an_end() {
        let never = TokenRecord { expires_at: None, ..record() };
        let end = at(0).saturating_add(DAY);
        let TokenRecord { scopes, addresses, .. } = never.clone();
        let change = Change::Narrow { scopes, addresses, expires_at: Some(end) };
        let policy = Policy::default().with_never_expiring(true);
        let wish = ChangeRequest::Narrow(Narrowing { expires_at: Some(end), ..Narrowing::default() });
        assert_eq!(never.judge(wish, &policy, &ada(), at(0)).unwrap(), Some(change));
    }

    #[test]
    fn a_narrower_expiry_must_be_after_now() {
        let ends = |time| narrowed(&record(), Narrowing { expires_at: Some(at(time)), ..Narrowing::default() });
        assert_eq!(ends(-1), Err(ErrorKind::Ended(Status::Expired)));
        assert_eq!(ends(0), Err(ErrorKind::Ended(Status::Expired)));
        assert!(matches!(ends(1), Ok(Some(Change::Narrow { .. }))));
    }

    #[test]
    fn a_narrower_expiry_stays_within_the_policy_unless_the_token_is_outside_already() {
        let shortest = |min: Duration| {
            Policy::default().with_lifetimes(TokenKind::Human, Lifetimes { min, ..Lifetimes::default() })
        };
        let end = at(-1000).saturating_add(DAY);
        let judged = |policy: &Policy| {
            let wish = ChangeRequest::Narrow(Narrowing { expires_at: Some(end), ..Narrowing::default() });
            record().judge(wish, policy, &ada(), at(0)).map_err(|error| error.kind())
        };
        assert!(matches!(judged(&shortest(DAY)), Ok(Some(_))));
        assert_eq!(judged(&shortest(DAY + MS)), Err(ErrorKind::Policy(PolicyBreach::TooShort)));
        assert!(matches!(judged(&shortest(31 * DAY)), Ok(Some(_))), "it is too short already");
    }
}
