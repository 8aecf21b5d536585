//! The stages before [`Verified`](crate::rules::check::Verified). Each is a type that only the stage
//! before it leads to, so that a check that leaves one out does not compile: `Proven`, by
//! [`prove`]; `Live`, by status and policy; then what the request needs.

use std::sync::Arc;

use super::outside::LaterUses;
use super::policy::Policy;
use super::record::TokenRecord;
use super::status::Status;
use crate::words::digest::Digest;
use crate::words::rejection::Rejection;
use crate::words::timestamp::Timestamp;

/// A record whose token was presented: the presenter has proved to hold it, and nothing else is
/// known yet.
pub(crate) struct Proven(Arc<TokenRecord>);

/// The record of a proven token that status and policy let work when they were asked.
pub(crate) struct Live(Arc<TokenRecord>);

/// The first part of a check: the digest, in constant time, an unknown token at the same cost as a
/// known one.
pub(crate) fn prove(
    presented: &Digest,
    record: Option<Arc<TokenRecord>>,
    fits: impl FnOnce(&TokenRecord) -> bool,
) -> Result<Proven, Rejection> {
    let stored = record.as_ref().map_or(Digest::from_bytes([0; 32]), |record| record.digest);
    let matches = presented.ct_eq(&stored);
    let record = record.ok_or(Rejection::Unknown)?;
    if !matches || !fits(&record) {
        return Err(Rejection::Digest);
    }
    Ok(Proven(record))
}

impl Proven {
    /// The second part: status and policy.
    pub(crate) fn live(
        self,
        policy: &Policy,
        now: Timestamp,
        later: impl FnOnce(&TokenRecord) -> LaterUses,
    ) -> Result<Live, Rejection> {
        match life(&self.0, policy, now, later) {
            Some(rejection) => Err(rejection),
            None => Ok(Live(self.0)),
        }
    }

    pub(crate) fn record(&self) -> &Arc<TokenRecord> {
        &self.0
    }
}

impl Live {
    /// Judges it once more, after something that may have taken its time.
    pub(crate) fn still(
        self,
        policy: &Policy,
        now: Timestamp,
        later: impl FnOnce(&TokenRecord) -> LaterUses,
    ) -> Result<Self, Rejection> {
        Proven(self.0).live(policy, now, later)
    }

    pub(crate) fn record(&self) -> &TokenRecord {
        &self.0
    }

    pub(super) fn into_record(self) -> Arc<TokenRecord> {
        self.0
    }
}

/// What keeps a record's token from working at `now`, if anything does.
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

    /// A method of this name that `Proven` had itself would come before this one, and its call
    /// below would not compile.
    trait NotYet {
        fn permit(&self) -> &'static str {
            "nobody has judged its status"
        }
    }

    impl NotYet for Proven {}

    /// A doc test could not name these types, which are the crate's own; so this one compiles only
    /// while the order holds.
    #[test]
    fn only_what_is_live_is_permitted() {
        type Permit = fn(Live, OwnerState, &Access<'_, InProject>, Duration) -> Result<Verified, Rejection>;
        let live = |proven: Proven, policy: &Policy, now| proven.live(policy, now, |_| LaterUses::default());
        let permit: Permit = Live::permit;

        let (keyring, by) = (Keyring::unkeyed(Prefix::new("acme_pat").unwrap()), Actor::new("ada").unwrap());
        let (project, now, policy) = (ProjectId::new("145").unwrap(), Timestamp::UNIX_EPOCH, Policy::default());
        let new = NewToken::new(project, "ada".parse().unwrap(), "CI".parse().unwrap());
        let mut record = mint(&keyring, &policy, new, &by, now).unwrap().record;
        let prove = |record: &TokenRecord| prove(&record.digest, Some(Arc::new(record.clone())), |_| true).unwrap();
        assert_eq!(prove(&record).permit(), "nobody has judged its status");
        let judged = live(prove(&record), &policy, now).unwrap();
        assert!(permit(judged, OwnerState::Active, &Access::to(&project, &[]), Duration::ZERO).is_ok());
        record.revoke(&Revocation { at: now, by, reason: Default::default() });
        assert_eq!(live(prove(&record), &policy, now).err(), Some(Rejection::Revoked));
    }
}
