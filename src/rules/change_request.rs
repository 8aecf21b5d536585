//! What may be changed about a token, and when.

use super::address::AddressRanges;
use super::change::Change;
use super::error::{Error, ErrorKind};
use super::policy::Policy;
use super::record::{Disabled, TokenRecord};
use super::scope::ScopeSet;
use super::status::Status;
use crate::words::text::{Actor, Name};
use crate::words::timestamp::Timestamp;

/// A wish to change a token, to be [judged](TokenRecord::judge). Revoking and rotating are verbs of their own.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ChangeRequest {
    /// To give it another name.
    Rename(Name),
    /// To stop it until it is enabled.
    Disable,
    /// To let it work again.
    Enable,
    /// To let it work for the first time.
    Confirm,
    /// To end the grace of a rotated token now.
    EndGrace,
    /// To take from what it may do; nothing can be given.
    Narrow(Narrowing),
}

/// What is to be left of a token. `None` leaves as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Narrowing {
    /// Scopes that the token covers.
    pub scopes: Option<ScopeSet>,
    /// Addresses that the token covers.
    pub addresses: Option<AddressRanges>,
    /// An expiry no later than its own, and within the policy.
    pub expires_at: Option<Timestamp>,
}

impl TokenRecord {
    /// What has to be written so that the wish comes true: `None` where it is so already.
    ///
    /// A token that has ended takes no change; the other three states before its end may be left again.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Ended`] if the token has ended, [`ErrorKind::NotRotated`] if it has no grace period to end, and
    /// [`ErrorKind::Wider`] or [`ErrorKind::Policy`] if it cannot be narrowed so.
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
        if longer || !self.scopes.covers(&scopes) || !self.addresses.covers(&addresses) {
            return Err(ErrorKind::Wider.into());
        }
        let narrowed = TokenRecord { scopes, addresses, expires_at, ..self.clone() };
        if narrowed == *self {
            return Ok(None);
        }
        if narrowed.status(now) == Status::Expired {
            return Err(ErrorKind::Ended(Status::Expired).into());
        }
        // It must not stop at once for being too short; one that is outside the policy already may be narrowed still.
        match policy.breach(&narrowed, now) {
            Some(breach) if policy.breach(self, now).is_none() => Err(breach.into()),
            _ => {
                let TokenRecord { scopes, addresses, expires_at, .. } = narrowed;
                Ok(Some(Change::Narrow { scopes, addresses, expires_at }))
            }
        }
    }
}
