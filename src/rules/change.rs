//! The changes that a stored record can take, each typed. None can undo a revocation or move the last use.

use super::address::AddressRanges;
use super::notice_lead::NoticeLead;
use super::record::{Disabled, Revocation, RevocationReason, TokenRecord};
use super::scope::ScopeSet;
use crate::words::ids::TokenId;
use crate::words::text::Name;
use crate::words::timestamp::Timestamp;
use crate::words::used_from::UsedFrom;

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

    /// Moves the last use forwards, with where it came from, and nothing else. Says whether it did.
    pub fn touch(&mut self, used_at: Timestamp, from: Option<&UsedFrom>) -> bool {
        let later = self.last_used_at.is_none_or(|last| last < used_at);
        if later {
            self.last_used_at = Some(used_at);
            self.last_used_from = from.cloned();
        }
        later
    }

    /// Leases its next notice to one sender, and counts that. The version stays: no rule reads the lease.
    pub fn claim_notice(&mut self, lease_until: Timestamp) {
        self.notice_lease_until = Some(lease_until);
        self.notice_leases = self.notice_leases.saturating_add(1).min(Self::MAX_VERSION);
    }

    /// Marks a notice as sent, if it is a later one, and ends the lease. The version stays: no rule reads either.
    pub fn acknowledge_notice(&mut self, lead: NoticeLead) {
        self.notice_lead = Some(self.notice_lead.map_or(lead, |sent| sent.min(lead)));
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

impl Revocation {
    /// Returns what ends an earlier successor that `successor` takes the place of: when that was made, and by whom.
    pub fn superseded_by(successor: &TokenRecord) -> Self {
        Self { at: successor.created_at, by: successor.created_by.clone(), reason: RevocationReason::Superseded }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::sample::{ada, at, disabled, id, record, revoked};
    use crate::words::used_from::ClientText;

    /// The record after a change, of which the version is compared already.
    fn after(before: &TokenRecord, change: Change) -> TokenRecord {
        let mut record = before.clone();
        record.apply(change);
        assert_eq!(record.version, before.version + 1);
        TokenRecord { version: before.version, ..record }
    }

    #[test]
    fn a_change_sets_what_it_names_and_nothing_else() {
        let before = TokenRecord { disabled: disabled(), confirm_by: Some(at(9)), ..record() };
        let name: Name = "other".parse().unwrap();
        let renamed = TokenRecord { name: name.clone(), ..before.clone() };
        assert_eq!(after(&before, Change::Rename(name)), renamed);
        let other = Disabled { at: at(3), by: ada() };
        let disabled = TokenRecord { disabled: Some(other.clone()), ..before.clone() };
        assert_eq!(after(&before, Change::Disable(other)), disabled);
        assert_eq!(after(&before, Change::Enable), TokenRecord { disabled: None, ..before.clone() });
        assert_eq!(after(&before, Change::Confirm), TokenRecord { confirm_by: None, ..before.clone() });
        let ended = TokenRecord { grace_until: Some(at(5)), ..before.clone() };
        assert_eq!(after(&before, Change::EndGrace(at(5))), ended);
        let scopes = ScopeSet::new("user").unwrap();
        let addresses = AddressRanges::new("10.0.0.0/8").unwrap();
        let narrowed = TokenRecord {
            scopes: scopes.clone(),
            addresses: addresses.clone(),
            expires_at: Some(at(7)),
            ..before.clone()
        };
        assert_eq!(after(&before, Change::Narrow { scopes, addresses, expires_at: Some(at(7)) }), narrowed);
    }

    #[test]
    fn the_version_stops_at_the_highest() {
        let mut record = TokenRecord { version: TokenRecord::MAX_VERSION - 1, ..record() };
        record.apply(Change::Enable);
        assert_eq!(record.version, TokenRecord::MAX_VERSION);
        record.apply(Change::Enable);
        assert_eq!(record.version, TokenRecord::MAX_VERSION);
    }

    #[test]
    fn the_first_revocation_stays() {
        let mut record = record();
        let first = revoked().unwrap();
        assert!(record.revoke(&first));
        assert_eq!((record.revoked.as_ref(), record.version), (Some(&first), 2));
        assert!(!record.revoke(&Revocation { at: at(5), ..first.clone() }));
        assert_eq!((record.revoked, record.version), (Some(first), 2));
    }

    #[test]
    fn a_rotation_links_the_successor_and_sets_the_grace() {
        let before = record();
        let mut after = before.clone();
        after.rotate_to(id('2'), at(9));
        let (rotated_to, grace_until) = (Some(id('2')), Some(at(9)));
        assert_eq!(after, TokenRecord { rotated_to, grace_until, version: 2, ..before });
    }

    #[test]
    fn the_last_use_moves_forwards_only() {
        let mut record = record();
        for (time, moves, last) in [(5, true, 5), (4, false, 5), (5, false, 5), (6, true, 6)] {
            let from = (time != 6).then(|| UsedFrom { client: ClientText::of_header(b"git"), address: None });
            assert_eq!(record.touch(at(time), from.as_ref()), moves, "{time}");
            assert_eq!(record.last_used_at, Some(at(last)));
            assert_eq!(record.last_used_from.is_some(), last != 6, "of the last use alone");
        }
        assert_eq!(record.version, 1);
    }

    #[test]
    fn a_notice_is_leased_and_acknowledged_without_a_new_version() {
        let mut record = record();
        record.claim_notice(at(5));
        assert_eq!((record.notice_lease_until, record.notice_leases, record.version), (Some(at(5)), 1, 1));
        record.acknowledge_notice(NoticeLead::WEEK);
        assert_eq!((record.notice_lease_until, record.notice_lead, record.version), (None, Some(NoticeLead::WEEK), 1));
        record.claim_notice(at(6));
        record.acknowledge_notice(NoticeLead::MONTH);
        assert_eq!((record.notice_lease_until, record.notice_lead), (None, Some(NoticeLead::WEEK)));
        assert_eq!(record.notice_leases, 2);
    }

    #[test]
    fn only_an_untouched_successor_of_the_same_request_is_repeated() {
        let request = |text: &str| Some(text.parse::<crate::words::text::RequestId>().unwrap());
        let first = TokenRecord { confirm_by: Some(at(9)), request_id: request("one"), ..record() };
        let second = TokenRecord { id: id('2'), ..first.clone() };
        assert!(first.is_repeated_by(&second));
        assert!(
            first.is_repeated_by(&TokenRecord { confirm_by: None, version: 7, ..second.clone() }),
            "it is not asked"
        );
        assert!(!first.is_repeated_by(&TokenRecord { request_id: request("two"), ..second.clone() }));
        assert!(!first.is_repeated_by(&TokenRecord { request_id: None, ..second.clone() }));
        for changed in [
            TokenRecord { confirm_by: None, ..first.clone() },
            TokenRecord { revoked: revoked(), ..first.clone() },
            TokenRecord { version: 2, ..first.clone() },
        ] {
            assert!(!changed.is_repeated_by(&second));
        }
        let none = TokenRecord { request_id: None, ..first };
        assert!(!none.is_repeated_by(&none.clone()), "no request is not one and the same");
    }

    #[test]
    fn a_superseded_token_is_revoked_when_and_by_whom_its_successor_was_made() {
        let successor = TokenRecord { created_by: "bob".parse().unwrap(), created_at: at(3), ..record() };
        let revocation = Revocation::superseded_by(&successor);
        assert_eq!((revocation.at, revocation.by.as_str()), (at(3), "bob"));
        assert_eq!(revocation.reason, RevocationReason::Superseded);
    }
}
