//! The changes that a store can make to a record.

use super::address::AddressRanges;
use super::notice_lead::NoticeLead;
use super::record::{Disabled, Revocation, RevocationReason, TokenRecord};
use super::scope::ScopeSet;
use crate::words::ids::TokenId;
use crate::words::text::Name;
use crate::words::timestamp::Timestamp;
use crate::words::used_from::UsedFrom;

/// A change to one record. The store writes the new values without any check, even if the token has
/// ended. So the caller must check first whether the change is allowed: see [`TokenRecord::judge`].
/// No change can undo a revocation.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Change {
    /// A change that sets the field `name`.
    Rename(Name),
    /// A change that disables the token. It sets the field `disabled`.
    Disable(Disabled),
    /// A change that enables the token. It clears the field `disabled`.
    Enable,
    /// A change that confirms the token. It clears the field `confirm_by`.
    Confirm,
    /// A change that ends the grace period at this time. It sets the field `grace_until`.
    EndGrace(Timestamp),
    /// A change that sets the fields `scopes`, `addresses` and `expires_at`.
    Narrow {
        /// The new scopes.
        scopes: ScopeSet,
        /// The new addresses.
        addresses: AddressRanges,
        /// The new expiry. `None` means that the token never expires.
        expires_at: Option<Timestamp>,
    },
}

/// Methods that apply the operations of a store to a record in memory. A store that keeps whole
/// records calls these methods.
impl TokenRecord {
    /// Applies a change to the record and raises the version of the record.
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

    /// Revokes the token and raises the version of the record. Does nothing if the token is already
    /// revoked. Returns whether this call revoked the token.
    pub fn revoke(&mut self, revocation: &Revocation) -> bool {
        if self.revoked.is_some() {
            return false;
        }
        self.revoked = Some(revocation.clone());
        self.raise_version();
        true
    }

    /// Records the successor of this token and the end of this token's grace period, and raises the
    /// version of the record.
    pub fn rotate_to(&mut self, successor: TokenId, grace_until: Timestamp) {
        self.rotated_to = Some(successor);
        self.grace_until = Some(grace_until);
        self.raise_version();
    }

    /// Records the time and the origin of a use, if the use is later than the last recorded use.
    /// Returns whether this call recorded the use. The version of the record stays the same.
    pub fn touch(&mut self, used_at: Timestamp, from: Option<&UsedFrom>) -> bool {
        let later = self.last_used_at.is_none_or(|last| last < used_at);
        if later {
            self.last_used_at = Some(used_at);
            self.last_used_from = from.cloned();
        }
        later
    }

    /// Reserves the token's next notice of expiry for one worker until `lease_until`, and counts
    /// this lease. The version of the record stays the same, because notices do not affect how the
    /// token works.
    pub fn claim_notice(&mut self, lease_until: Timestamp) {
        self.notice_lease_until = Some(lease_until);
        self.notice_leases = self.notice_leases.saturating_add(1).min(Self::MAX_VERSION);
    }

    /// Records that the notice of expiry with this lead time was sent, and ends the worker's lease.
    /// A longer lead time never replaces a shorter one. The version of the record stays the same,
    /// because notices do not affect how the token works.
    pub fn acknowledge_notice(&mut self, lead: NoticeLead) {
        self.notice_lead = Some(self.notice_lead.map_or(lead, |sent| sent.min(lead)));
        self.notice_lease_until = None;
    }

    /// Returns whether a repeat of the request that issued this token created `successor`. If so,
    /// the rotation that adds `successor` revokes this token, and `successor` replaces it.
    ///
    /// The result is `true` if both records have the same request id and this token is unchanged
    /// since it was issued: not confirmed, not revoked, and still at version 1. So a repeat never
    /// discards a later change, such as disabling or narrowing the token. The result does not
    /// depend on whether this token has lapsed.
    pub fn is_repeated_by(&self, successor: &Self) -> bool {
        let waits = self.confirm_by.is_some() && self.revoked.is_none() && self.version == 1;
        waits && self.request_id.is_some() && self.request_id == successor.request_id
    }

    fn raise_version(&mut self) {
        self.version = self.version.saturating_add(1).min(Self::MAX_VERSION);
    }
}

impl Revocation {
    /// Returns the revocation with which a repeated rotation ends the earlier successor of the old
    /// token. `successor` is the new successor. Its `created_at` and `created_by` are the time and
    /// the actor of the revocation.
    pub fn superseded_by(successor: &TokenRecord) -> Self {
        Self { at: successor.created_at, by: successor.created_by.clone(), reason: RevocationReason::Superseded }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::sample::{ada, at, disabled, id, record, revoked};
    use crate::words::used_from::ClientText;

    /// Applies a change to a copy of the record and checks that the version rose by one. Returns
    /// the changed copy with the version set back, so that the other fields can be compared.
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
    fn the_last_use_never_moves_backwards() {
        let mut record = record();
        for (time, moves, last) in [(5, true, 5), (4, false, 5), (5, false, 5), (6, true, 6)] {
            let from = (time != 6).then(|| UsedFrom { client: ClientText::of_header(b"git"), address: None });
            assert_eq!(record.touch(at(time), from.as_ref()), moves, "{time}");
            assert_eq!(record.last_used_at, Some(at(last)));
            assert_eq!(record.last_used_from.is_some(), last != 6, "the origin is that of the last use");
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
    fn only_an_unchanged_successor_of_the_same_request_is_repeated() {
        let request = |text: &str| Some(text.parse::<crate::words::text::RequestId>().unwrap());
        let first = TokenRecord { confirm_by: Some(at(9)), request_id: request("one"), ..record() };
        let second = TokenRecord { id: id('2'), ..first.clone() };
        assert!(first.is_repeated_by(&second));
        assert!(
            first.is_repeated_by(&TokenRecord { confirm_by: None, version: 7, ..second.clone() }),
            "the successor's own state does not matter"
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
        assert!(!none.is_repeated_by(&none.clone()), "without a request id, no request is repeated");
    }

    #[test]
    fn a_superseded_token_is_revoked_at_the_time_and_by_the_creator_of_its_successor() {
        let successor = TokenRecord { created_by: "bob".parse().unwrap(), created_at: at(3), ..record() };
        let revocation = Revocation::superseded_by(&successor);
        assert_eq!((revocation.at, revocation.by.as_str()), (at(3), "bob"));
        assert_eq!(revocation.reason, RevocationReason::Superseded);
    }
}
