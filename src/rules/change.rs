//! The changes that a stored record can take, each typed. None can undo a revocation or move the last use.

use super::address::AddressRanges;
use super::notice_stage::NoticeStage;
use super::record::{Disabled, Revocation, TokenRecord};
use super::scope::ScopeSet;
use crate::words::ids::TokenId;
use crate::words::text::Name;
use crate::words::timestamp::Timestamp;

/// A change to one record. The values are final: whoever sends it has judged, and the store only writes. Apart from a
/// revocation, which nothing undoes, that includes whether the token has ended: an end that is moved is moved.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Change {
    /// Sets `name`.
    Rename(Name),
    /// Sets `disabled`.
    Disable(Disabled),
    /// Clears `disabled`.
    Enable,
    /// Clears `confirm_by`.
    Confirm,
    /// Sets `grace_until` to this time.
    EndGrace(Timestamp),
    /// Sets `scopes`, `addresses` and `expires_at` to what is left of them.
    Narrow {
        /// The new scopes.
        scopes: ScopeSet,
        /// The new addresses.
        addresses: AddressRanges,
        /// The new expiry.
        expires_at: Option<Timestamp>,
    },
}

/// These say what each store call does to a record, so that stores which keep whole records need not say it again.
impl TokenRecord {
    /// Takes a change, and raises the version.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Rename(name) => self.name = name,
            Change::Disable(disabled) => self.disabled = Some(disabled),
            Change::Enable => self.disabled = None,
            Change::Confirm => self.confirm_by = None,
            Change::EndGrace(at) => self.grace_until = Some(at),
            Change::Narrow { scopes, addresses, expires_at } => {
                self.scopes = scopes;
                self.addresses = addresses;
                self.expires_at = expires_at;
            }
        }
        self.raise_version();
    }

    /// Revokes it and raises the version, unless it is revoked already. Says whether it did.
    pub fn revoke(&mut self, revocation: &Revocation) -> bool {
        if self.revoked.is_some() {
            return false;
        }
        self.revoked = Some(revocation.clone());
        self.raise_version();
        true
    }

    /// Links it to its successor, sets its grace and raises the version.
    pub fn rotate_to(&mut self, successor: TokenId, grace_until: Timestamp) {
        self.rotated_to = Some(successor);
        self.grace_until = Some(grace_until);
        self.raise_version();
    }

    /// Moves the last use forwards, and nothing else. Says whether it did.
    pub fn touch(&mut self, used_at: Timestamp) -> bool {
        let later = self.last_used_at.is_none_or(|last| last < used_at);
        if later {
            self.last_used_at = Some(used_at);
        }
        later
    }

    /// Leases its next notice to one sender. The version stays: no rule reads the lease.
    pub fn claim_notice(&mut self, lease_until: Timestamp) {
        self.notice_lease_until = Some(lease_until);
    }

    /// Marks a notice as sent, if it is a later one, and ends the lease. The version stays: no rule reads either.
    pub fn acknowledge_notice(&mut self, stage: NoticeStage) {
        self.notice_stage = self.notice_stage.max(stage);
        self.notice_lease_until = None;
    }

    /// Returns whether `successor` repeats the request that made this one, and this one is as it was made: not confirmed, in
    /// time or not, not revoked, and not changed by anybody who saw it, so that a repeat undoes nobody's disabling or
    /// narrowing. A rotation then revokes this one, and `successor` takes its place.
    pub fn is_repeated_by(&self, successor: &Self) -> bool {
        let waits = self.confirm_by.is_some() && self.revoked.is_none() && self.version == 1;
        waits && self.request_id.is_some() && self.request_id == successor.request_id
    }

    fn raise_version(&mut self) {
        self.version = self.version.saturating_add(1).min(Self::MAX_VERSION);
    }
}
