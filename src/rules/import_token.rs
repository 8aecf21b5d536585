//! A token that a service issued before it used keyfob, and the record that an import creates for
//! it.

use super::address::AddressRanges;
use super::notice_lead::NoticeLead;
use super::notice_schedule::NoticeSchedule;
use super::record::{Disabled, Revocation, TokenRecord};
use super::salted_import::SaltedImport;
use super::scope::ScopeSet;
use super::token_kind::TokenKind;
use crate::words::digest::Digest;
use crate::words::ids::{Prefix, ProjectId, TokenId, TokenKey};
use crate::words::import_digest::ImportDigest;
use crate::words::text::{Actor, Metadata, Name, OwnerId};
use crate::words::timestamp::Timestamp;

/// The description of a token that your service issued before it used keyfob, for an import.
///
/// You can also import tokens that have already ended. The import keeps the scopes and the expiry
/// unchanged, even if the policy does not allow them. The policy applies when the token is
/// verified. `Debug` does not show the hash of the token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportToken {
    /// The hash of the token's text, as the old system stored it.
    pub digest: ImportDigest,
    /// The public part of the token's text, and the scheme of its hash. `None` if the hash can be
    /// computed from the text alone, so that keyfob finds the token by its hash.
    pub salted: Option<SaltedImport>,
    /// The project that the token is for.
    pub project: ProjectId,
    /// The user that the token acts for.
    pub owner: OwnerId,
    /// The name that the owner gave the token.
    pub name: Name,
    /// The kind of the token's holder: a person, a service or an agent.
    pub kind: TokenKind,
    /// The scopes that the token grants.
    pub scopes: ScopeSet,
    /// Text that your service stores with the token.
    pub metadata: Metadata,
    /// The client addresses that the token may be used from.
    pub addresses: AddressRanges,
    /// The time at which the token was issued.
    pub created_at: Timestamp,
    /// The time before which the token does not work.
    pub not_before: Option<Timestamp>,
    /// The time at which the token expires. `None` means that the token never expires.
    pub expires_at: Option<Timestamp>,
    /// The time of the token's last use, if the old system recorded it.
    pub last_used_at: Option<Timestamp>,
    /// The time at which the token was disabled and the actor that disabled it, if it is disabled.
    pub disabled: Option<Disabled>,
    /// The revocation of the token, if it was revoked. Import revoked tokens too, so that the
    /// service can distinguish them from unknown tokens. If you repeat the import, it also revokes
    /// the tokens that the old system has revoked since the last import.
    pub revoked: Option<Revocation>,
}

impl ImportToken {
    /// Creates the description of a token to import. Its hash is not salted. The token is for a
    /// person, has no scopes, may be used from any address and never expires. To change these
    /// values, set the fields afterwards.
    pub fn new(digest: ImportDigest, project: ProjectId, owner: OwnerId, name: Name, created_at: Timestamp) -> Self {
        Self {
            digest,
            salted: None,
            project,
            owner,
            name,
            kind: TokenKind::default(),
            scopes: ScopeSet::default(),
            metadata: Metadata::default(),
            addresses: AddressRanges::default(),
            created_at,
            not_before: None,
            expires_at: None,
            last_used_at: None,
            disabled: None,
            revoked: None,
        }
    }

    /// Returns the record of the token, with `digest` in place of the imported hash and with the
    /// new id `id`.
    pub(crate) fn into_record(
        self,
        prefix: Prefix,
        id: TokenId,
        digest: Digest,
        notices: &NoticeSchedule,
        actor: &Actor,
        now: Timestamp,
    ) -> TokenRecord {
        let key = TokenKey { project: self.project, id };
        TokenRecord {
            kind: self.kind,
            scopes: self.scopes,
            metadata: self.metadata,
            addresses: self.addresses,
            created_by: actor.clone(),
            not_before: self.not_before,
            expires_at: self.expires_at,
            last_used_at: self.last_used_at,
            disabled: self.disabled,
            revoked: self.revoked,
            import_scheme: self.salted.map(|salted| salted.scheme().clone()),
            // Skips the notices that are already overdue. A token with a lifetime of three days
            // gets no notice 30 or 7 days before its expiry.
            notice_lead: NoticeLead::begun(notices.leads(), self.expires_at, now),
            ..TokenRecord::new(key, prefix, digest, self.owner, self.name, self.created_at)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::sample::{DAY, ada, at, disabled, id, project, revoked};
    use crate::words::import_digest::ImportHash;

    fn old() -> ImportToken {
        let digest = ImportDigest::of(ImportHash::Sha256, b"old");
        ImportToken::new(digest, project(), "bob".parse().unwrap(), "CI".parse().unwrap(), at(-5))
    }

    fn record(token: ImportToken, now: Timestamp) -> TokenRecord {
        let (prefix, notices) = ("acme_pat".parse().unwrap(), NoticeSchedule::default());
        token.into_record(prefix, id('a'), Digest::from_bytes([3; 32]), &notices, &ada(), now)
    }

    #[test]
    fn a_record_has_all_that_the_old_system_knew() {
        let token = ImportToken {
            kind: TokenKind::Service,
            scopes: ScopeSet::new("repo:read").unwrap(),
            metadata: Metadata::new("{}").unwrap(),
            addresses: AddressRanges::new("10.0.0.0/8").unwrap(),
            not_before: Some(at(1)),
            expires_at: Some(at(2)),
            last_used_at: Some(at(3)),
            disabled: disabled(),
            revoked: revoked(),
            ..old()
        };
        let record = record(token.clone(), at(0));
        assert_eq!((record.project, &record.owner, &record.name), (token.project, &token.owner, &token.name));
        assert_eq!((record.kind, &record.scopes, &record.metadata), (token.kind, &token.scopes, &token.metadata));
        assert_eq!((&record.addresses, record.created_at), (&token.addresses, token.created_at));
        assert_eq!((record.not_before, record.expires_at), (token.not_before, token.expires_at));
        assert_eq!((record.last_used_at, record.disabled, record.revoked), (token.last_used_at, disabled(), revoked()));
        assert!(record.digest.ct_eq(&Digest::from_bytes([3; 32])));
        assert_eq!(record.import_scheme, None);
    }

    #[test]
    fn a_record_is_new_to_keyfob() {
        let record = record(old(), at(0));
        assert_eq!(record.id, id('a'));
        assert_eq!((record.family, record.version, record.created_by), (record.id, 1, ada()));
        let links = (record.rotated_from, record.rotated_to, record.grace_until, record.confirm_by, record.request_id);
        assert_eq!(links, (None, None, None, None, None));
        assert_eq!((record.notice_lead, record.notice_lease_until), (None, None));
    }

    #[test]
    fn notices_that_would_come_too_late_are_left_out() {
        let lead = |days: u32| {
            let expires_at = Some(at(0).saturating_add(days * DAY));
            record(ImportToken { expires_at, ..old() }, at(0)).notice_lead
        };
        let [month, week, day] = NoticeLead::ALL.map(Some);
        assert_eq!([1, 2, 7, 8, 30, 31].map(lead), [day, week, week, month, month, None]);
    }
}
