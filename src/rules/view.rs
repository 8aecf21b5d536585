//! The view of a token that lists and web pages show.

use super::address::AddressRanges;
use super::issuer::Issuer;
use super::record::{Disabled, Revocation, TokenRecord};
use super::scope::ScopeSet;
use super::status::{Status, first_end};
use super::token_kind::TokenKind;
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::text::{Actor, Metadata, Name, OwnerId};
use crate::words::timestamp::Timestamp;
use crate::words::used_from::UsedFrom;

/// The part of a token's record that people may see, with the status of the token. The digest and
/// the internal fields of the store are left out.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are documented at TokenRecord")]
pub struct TokenView {
    pub project: ProjectId,
    pub id: TokenId,
    /// The public part of the token: its text before the last `_`.
    pub public_part: String,
    /// The status of the token at the time when the view was created.
    pub status: Status,
    pub name: Name,
    pub owner: OwnerId,
    pub kind: TokenKind,
    pub scopes: ScopeSet,
    pub metadata: Metadata,
    pub addresses: AddressRanges,
    pub created_at: Timestamp,
    pub created_by: Actor,
    pub issuer: Option<Issuer>,
    pub confirm_by: Option<Timestamp>,
    pub not_before: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    pub last_used_from: Option<UsedFrom>,
    pub disabled: Option<Disabled>,
    pub revoked: Option<Revocation>,
    pub family: TokenId,
    pub rotated_from: Option<TokenId>,
    pub rotated_to: Option<TokenId>,
    pub grace_until: Option<Timestamp>,
    /// The version of the record. Pass it as the expected version in the next change of the token.
    pub version: u64,
}

impl TokenView {
    /// Returns the key of the token, which identifies the token in the store.
    pub fn key(&self) -> TokenKey {
        TokenKey { project: self.project, id: self.id }
    }

    /// Returns the time at which the token ended or will end, as [`TokenRecord::ends_at`] does. The
    /// ends of issuers are not taken into account.
    pub fn ends_at(&self) -> Option<Timestamp> {
        first_end(self.revoked.as_ref(), [self.grace_until, self.confirm_by, self.expires_at])
    }
}

impl TokenRecord {
    /// Returns the view of the token at `now`, with the status according to the token's own record.
    /// To take its issuers into account, use [`Chain::view`](crate::record::Chain::view).
    pub fn view(&self, now: Timestamp) -> TokenView {
        self.view_as(self.status(now))
    }

    pub(crate) fn view_as(&self, status: Status) -> TokenView {
        let record = self.clone();
        TokenView {
            public_part: self.public_part(),
            status,
            project: record.project,
            id: record.id,
            name: record.name,
            owner: record.owner,
            kind: record.kind,
            scopes: record.scopes,
            metadata: record.metadata,
            addresses: record.addresses,
            created_at: record.created_at,
            created_by: record.created_by,
            issuer: record.issuer,
            confirm_by: record.confirm_by,
            not_before: record.not_before,
            expires_at: record.expires_at,
            last_used_at: record.last_used_at,
            last_used_from: record.last_used_from,
            disabled: record.disabled,
            revoked: record.revoked,
            family: record.family,
            rotated_from: record.rotated_from,
            rotated_to: record.rotated_to,
            grace_until: record.grace_until,
            version: record.version,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::sample::{ada, at, disabled, id, project, record, revoked};

    #[test]
    fn a_view_has_the_fields_of_the_record() {
        let record = TokenRecord {
            kind: TokenKind::Service,
            metadata: Metadata::new("{}").unwrap(),
            addresses: AddressRanges::new("10.0.0.0/8").unwrap(),
            confirm_by: Some(at(1)),
            not_before: Some(at(2)),
            last_used_at: Some(at(3)),
            disabled: disabled(),
            revoked: revoked(),
            family: id('2'),
            rotated_from: Some(id('3')),
            rotated_to: Some(id('4')),
            grace_until: Some(at(4)),
            version: 9,
            ..record()
        };
        let expected = TokenView {
            project: project(),
            id: id('1'),
            public_part: format!("acme_pat_145_{}", id('1')),
            status: Status::Revoked,
            name: "CI".parse().unwrap(),
            owner: "ada".parse().unwrap(),
            kind: TokenKind::Service,
            scopes: ScopeSet::new("repo:read user").unwrap(),
            metadata: Metadata::new("{}").unwrap(),
            addresses: AddressRanges::new("10.0.0.0/8").unwrap(),
            created_at: at(-1000),
            created_by: ada(),
            issuer: None,
            confirm_by: Some(at(1)),
            not_before: Some(at(2)),
            expires_at: record.expires_at,
            last_used_from: None,
            last_used_at: Some(at(3)),
            disabled: disabled(),
            revoked: revoked(),
            family: id('2'),
            rotated_from: Some(id('3')),
            rotated_to: Some(id('4')),
            grace_until: Some(at(4)),
            version: 9,
        };
        assert_eq!(record.view(at(0)), expected);
        assert_eq!(expected.key(), record.key());
    }

    #[test]
    fn a_view_shows_the_status_of_its_time() {
        let record = TokenRecord { expires_at: Some(at(0)), ..record() };
        assert_eq!(record.view(at(-1)).status, Status::Active);
        assert_eq!(record.view(at(0)).status, Status::Expired);
    }
}
