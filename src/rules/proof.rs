//! The stages of a verification before [`Verified`](crate::rules::check::Verified). Each stage is a
//! type that only the previous stage can create, so code that skips a stage does not compile:
//! - [`prove`] compares the digest and creates `Proven`.
//! - `Proven::live` checks the status, the policy and the issuers, and creates `Live`.
//! - `Live::permit` checks what the request requires, and creates `Verified`.

use std::sync::Arc;

use super::chain::{Chain, Issuers};
use super::outside::LaterUses;
use super::policy::Policy;
use super::record::TokenRecord;
use super::status::Status;
use crate::words::digest::Digest;
use crate::words::ids::TokenId;
use crate::words::presented::PresentedToken;
use crate::words::rejection::{Refused, Rejection};
use crate::words::timestamp::Timestamp;

/// The records of a token, after the presented digest matched the token's record. So the caller has
/// proved that it holds the token. Nothing else has been checked yet.
pub(crate) struct Proven(Held);

/// The records of a token that the service found to work. At the time of the check, the token's
/// status, its issuers and the policy allowed it to work.
pub(crate) struct Live(Held);

/// The record of a token and the records of the tokens that it is bound to.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) record: Arc<TokenRecord>,
    pub(crate) issuers: Issuers,
}

impl Held {
    /// Returns the record of the token, then the record of its direct issuer, then the record of
    /// the issuer of that token, and so on.
    pub(crate) fn records(&self) -> impl Iterator<Item = &TokenRecord> {
        core::iter::once(&*self.record).chain(self.issuers.iter().map(Arc::as_ref))
    }

    /// Returns whether `holds` returns `true` for the record of the token and for the record of
    /// each of its issuers.
    #[inline]
    pub(super) fn all(&self, holds: impl Fn(&TokenRecord) -> bool) -> bool {
        holds(&self.record) && (self.issuers.is_empty() || self.issuers.iter().all(|issuer| holds(issuer)))
    }

    /// Returns why the token does not work at `now`, or `None` if it works. Checks the token's own
    /// status and the policy first, and then the issuers.
    #[inline]
    pub(super) fn life(
        &self,
        policy: &Policy,
        now: Timestamp,
        later: impl FnOnce(&TokenRecord) -> LaterUses,
    ) -> Option<Rejection> {
        match life(&self.record, policy, now, later) {
            None if self.record.issuer.is_some() => self.issuers_end(policy, now),
            rejection => rejection,
        }
    }

    /// Returns why the issuers stop the token from working at `now`, or `None` if they do not.
    ///
    /// Each record in the chain must be the issuer that the previous record is bound to. Each
    /// issuer must be active, must have a lifetime that the policy allows, and must appear only
    /// once. There must be no more issuers than the policy allows. The policy's limit on the time
    /// without use does not apply to issuers.
    #[cold]
    pub(super) fn issuers_end(&self, policy: &Policy, now: Timestamp) -> Option<Rejection> {
        let mut records = self.records().peekable();
        let mut depth = 0;
        while let Some(record) = records.next() {
            // The chain ends with a token that is not bound. All issuers up to it work.
            let key = record.bound_to()?;
            depth += 1;
            if depth > policy.max_depth() {
                return Some(Rejection::Policy);
            }
            let is_it = |issuer: &&TokenRecord| {
                issuer.key() == key
                    && issuer.status(now) == Status::Active
                    && policy.lifetime_breach(issuer).is_none()
                    // Comparing ids is enough, because all records up to here are in the same
                    // project.
                    && self.records().take(depth).all(|below| below.id != issuer.id)
            };
            if !records.peek().copied().is_some_and(|issuer| is_it(&issuer)) {
                return Some(Rejection::IssuerEnded);
            }
        }
        None
    }

    /// Returns the records of a token that is not bound to an issuer: only the given record.
    #[cfg(test)]
    pub(super) fn alone(record: TokenRecord) -> Self {
        Self { record: Arc::new(record), issuers: Issuers::default() }
    }

    /// Returns the earliest time at which the token or one of its issuers ends, or `None` if none
    /// of them ever ends.
    pub(crate) fn ends_at(&self) -> Option<Timestamp> {
        self.records().filter_map(TokenRecord::ends_at).min()
    }
}

/// Compares the presented digest with the record in constant time. This is the first stage of a
/// verification. If there is no record, the comparison takes the same time. `fits` is a further
/// condition that the record must meet.
#[inline(always)]
pub(crate) fn prove(
    presented: &Digest,
    chain: Chain,
    fits: impl FnOnce(&TokenRecord) -> bool,
) -> Result<Proven, Refused> {
    let (record, issuers) = chain.into_parts();
    let matches = presented.fits(record.as_ref().map(|record| &record.digest));
    let record = record.ok_or(&Rejection::Unknown)?;
    if !matches || !fits(&record) {
        return Err(&Rejection::Digest);
    }
    Ok(Proven(Held { record, issuers }))
}

/// Compares a presented token with its record, as [`prove`] does.
#[inline(always)]
pub(crate) fn prove_token(token: &PresentedToken<'_>, chain: Chain) -> Result<Proven, Refused> {
    prove(token.digest(), chain, |record| token.text().names(&record.prefix, &record.project, &record.id))
}

/// Why a token does not work, and the token that replaced it by rotation.
pub(crate) struct Ended {
    pub(crate) rejection: Refused,
    pub(crate) successor: Option<TokenId>,
}

impl Ended {
    // Only a rejection reads the successor, which may lie outside the processor's caches.
    #[cold]
    fn of(held: &Held, rejection: Rejection) -> Self {
        Self { rejection: rejection.refused(), successor: held.record.rotated_to }
    }
}

impl Proven {
    /// Checks that the status, the policy and the issuers of the token allow it to work. This is
    /// the second stage of a verification.
    #[inline(always)]
    pub(crate) fn live(
        self,
        policy: &Policy,
        now: Timestamp,
        later: impl FnOnce(&TokenRecord) -> LaterUses,
    ) -> Result<Live, Ended> {
        match self.0.life(policy, now, later) {
            Some(rejection) => Err(Ended::of(&self.0, rejection)),
            None => Ok(Live(self.0)),
        }
    }

    pub(crate) fn record(&self) -> &Arc<TokenRecord> {
        &self.0.record
    }

    pub(crate) fn held(&self) -> &Held {
        &self.0
    }
}

impl Live {
    /// Checks again whether the status, the policy and the issuers allow the token to work. Call
    /// this function after an operation that can take long, because the token may have ended during
    /// the operation.
    pub(crate) fn still(
        self,
        policy: &Policy,
        now: Timestamp,
        later: impl FnOnce(&TokenRecord) -> LaterUses,
    ) -> Result<Self, Ended> {
        Proven(self.0).live(policy, now, later)
    }

    pub(crate) fn record(&self) -> &TokenRecord {
        &self.0.record
    }

    pub(super) fn held(&self) -> &Held {
        &self.0
    }

    pub(super) fn into_held(self) -> Held {
        self.0
    }
}

/// Returns why a token does not work at `now` according to its own record, or `None` if it works.
/// Does not check the issuers.
#[inline]
pub(super) fn life(
    record: &TokenRecord,
    policy: &Policy,
    now: Timestamp,
    later: impl FnOnce(&TokenRecord) -> LaterUses,
) -> Option<Rejection> {
    match record.status(now) {
        Status::Active => policy.breach_with(record, now, later).map(|_| Rejection::Policy),
        Status::Revoked => Some(Rejection::Revoked),
        Status::Rotated => Some(Rejection::Rotated),
        Status::Lapsed => Some(Rejection::Lapsed),
        Status::Expired => Some(Rejection::Expired),
        Status::Disabled => Some(Rejection::Disabled),
        Status::IssuerEnded => Some(Rejection::IssuerEnded),
        Status::Pending => Some(Rejection::Pending),
        Status::NotYetValid => Some(Rejection::NotYetValid),
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::rules::access::{Access, InProject};
    use crate::rules::check::Verified;
    use crate::rules::mint::mint;
    use crate::rules::new_token::NewToken;
    use crate::rules::owner::OwnerState;
    use crate::rules::record::Revocation;
    use crate::words::ids::{Prefix, ProjectId};
    use crate::words::keyring::Keyring;
    use crate::words::text::Actor;

    /// A trait that gives `Proven` a method `permit`. If `Proven` itself had such a method, the
    /// call in the test below would use that method and would not compile.
    trait NotYet {
        fn permit(&self) -> &'static str {
            "its status is not judged yet"
        }
    }

    impl NotYet for Proven {}

    /// A verification checks the secret of the token, then its status, then the access. This test
    /// compiles only as long as none of these steps can be skipped. A doc test cannot check this,
    /// because the types are private to the crate.
    #[test]
    fn only_a_live_token_is_permitted() {
        type Permit = fn(Live, OwnerState, &Access<'_, InProject>, &Policy, Duration) -> Result<Verified, Refused>;
        let live = |proven: Proven, policy: &Policy, now| {
            proven.live(policy, now, |_| LaterUses::default()).map_err(|ended| *ended.rejection)
        };
        let permit: Permit = Live::permit;

        let (keyring, by) = (Keyring::unkeyed(Prefix::new("acme_pat").unwrap()), Actor::new("ada").unwrap());
        let (project, now, policy) = (ProjectId::new("145").unwrap(), Timestamp::UNIX_EPOCH, Policy::default());
        let new = NewToken::new(project, "ada".parse().unwrap(), "CI".parse().unwrap());
        let mut record = mint(&keyring, &policy, new, &by, now).unwrap().record;
        let prove =
            |record: &TokenRecord| prove(&record.digest, Some(Arc::new(record.clone())).into(), |_| true).unwrap();
        assert_eq!(prove(&record).permit(), "its status is not judged yet");
        let judged = live(prove(&record), &policy, now).unwrap();
        assert!(permit(judged, OwnerState::Active, &Access::to(&project, &[]), &policy, Duration::ZERO).is_ok());
        record.revoke(&Revocation { at: now, by, reason: Default::default() });
        assert_eq!(live(prove(&record), &policy, now).err(), Some(Rejection::Revoked));
    }
}
