//! The stored record of a token.

use super::address::AddressRanges;
use super::import_scheme::ImportScheme;
use super::issuer::Issuer;
use super::notice_lead::NoticeLead;
use super::scope::ScopeSet;
use super::token_kind::TokenKind;
use crate::words::digest::Digest;
use crate::words::ids::{Prefix, ProjectId, TokenId, TokenKey};
#[cfg(feature = "serde")]
use crate::words::text::as_stored;
use crate::words::text::{Actor, Metadata, Name, OwnerId, RequestId};
use crate::words::timestamp::Timestamp;
use crate::words::used_from::UsedFrom;

/// The stored record of a token. It contains no secret, but do not show the digest to anyone.
///
/// Create a record with [`new`](Self::new), then set its fields. A later version of keyfob may add
/// fields. Their defaults keep the meaning of older records. The record of an ended token stays
/// until it is purged, so that an expired or revoked token differs from an unknown token.
///
/// A store must change a record in the same way as [`apply`](Self::apply), [`revoke`](Self::revoke)
/// and [`rotate_to`](Self::rotate_to). Each of these methods raises `version` by one. Recording a
/// last use or a notice does not raise the version.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct TokenRecord {
    /// The project that the token is for. Together with `id`, it is the key of the record.
    pub project: ProjectId,
    /// The public id of the token.
    pub id: TokenId,
    /// The prefix of the token's text.
    pub prefix: Prefix,
    /// The kind of the token's holder: a person, a service or an agent.
    #[cfg_attr(feature = "serde", serde(default))]
    pub kind: TokenKind,
    /// The MAC of the token's text. The first character of `id` is the number of the MAC's key.
    pub digest: Digest,
    /// The time at which the token was issued.
    pub created_at: Timestamp,
    /// The time at which a pending token lapses. Confirming the token clears this field.
    #[cfg_attr(feature = "serde", serde(default))]
    pub confirm_by: Option<Timestamp>,
    /// The time before which the token does not work.
    #[cfg_attr(feature = "serde", serde(default))]
    pub not_before: Option<Timestamp>,
    /// The time at which the token expires. `None` means that the token never expires.
    #[cfg_attr(feature = "serde", serde(default))]
    pub expires_at: Option<Timestamp>,
    /// The time at which a rotated token stops working. `None` means that it was never rotated.
    #[cfg_attr(feature = "serde", serde(default))]
    pub grace_until: Option<Timestamp>,
    /// The revocation, if the token is revoked. A revocation is never removed or changed.
    #[cfg_attr(feature = "serde", serde(default))]
    pub revoked: Option<Revocation>,
    /// The time at which the token was disabled and the actor that disabled it, if it is disabled.
    #[cfg_attr(feature = "serde", serde(default))]
    pub disabled: Option<Disabled>,
    /// The client addresses that the token may be used from.
    #[cfg_attr(feature = "serde", serde(default))]
    pub addresses: AddressRanges,
    /// The scopes that the token grants.
    #[cfg_attr(feature = "serde", serde(default))]
    pub scopes: ScopeSet,
    /// The token that issued this token. `None` means that no other token issued this token.
    #[cfg_attr(feature = "serde", serde(default))]
    pub issuer: Option<Issuer>,
    /// The name that the owner gave the token.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "as_stored::deserialize"))]
    pub name: Name,
    /// The user that the token acts for.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "as_stored::deserialize"))]
    pub owner: OwnerId,
    /// Text that your service stores with the token.
    #[cfg_attr(feature = "serde", serde(default))]
    pub metadata: Metadata,
    /// The actor that issued the token.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "as_stored::deserialize"))]
    pub created_by: Actor,
    /// The time of the last use that was recorded. Some uses are not recorded.
    #[cfg_attr(feature = "serde", serde(default))]
    pub last_used_at: Option<Timestamp>,
    /// The origin of the last use that was recorded, if the service records origins.
    #[cfg_attr(feature = "serde", serde(default))]
    pub last_used_from: Option<UsedFrom>,
    /// The id of the first token in the chain of rotations (the family) that includes this token.
    pub family: TokenId,
    /// The id of the token that this token replaced by rotation.
    #[cfg_attr(feature = "serde", serde(default))]
    pub rotated_from: Option<TokenId>,
    /// The id of the token that replaced this token by rotation.
    #[cfg_attr(feature = "serde", serde(default))]
    pub rotated_to: Option<TokenId>,
    /// The id of the request that issued the token. A repeat of the request has the same id.
    #[cfg_attr(feature = "serde", serde(default, deserialize_with = "as_stored::if_any"))]
    pub request_id: Option<RequestId>,
    /// The shortest lead time of the sent notices of expiry, or `None` if no notice was sent yet.
    #[cfg_attr(feature = "serde", serde(default))]
    pub notice_lead: Option<NoticeLead>,
    /// The end of a worker's lease on the next notice of expiry, or `None` if there is no lease.
    #[cfg_attr(feature = "serde", serde(default))]
    pub notice_lease_until: Option<Timestamp>,
    /// The number of times that a worker has claimed a notice of expiry for this token.
    #[cfg_attr(feature = "serde", serde(default))]
    pub notice_leases: u64,
    /// The way to compute the old hash of an imported token, if its text alone does not suffice.
    #[cfg_attr(feature = "serde", serde(default))]
    pub import_scheme: Option<ImportScheme>,
    /// The version: 1 plus the number of changes, up to [`MAX_VERSION`](Self::MAX_VERSION).
    #[cfg_attr(feature = "serde", serde(default = "first_version", deserialize_with = "version"))]
    pub version: u64,
}

impl TokenRecord {
    /// The maximum version of a record, which fits a signed 64-bit database column.
    pub const MAX_VERSION: u64 = i64::MAX as u64;

    /// Creates the record of a person's token, issued by its owner, with version 1. The token has
    /// no scopes, may be used from any address and never expires. Set the other fields afterwards.
    ///
    /// ```
    /// # use keyfob::{Invalid, Timestamp, TokenKey, TokenRecord, record::Digest};
    /// # fn example(digest: Digest, now: Timestamp) -> Result<TokenRecord, Invalid> {
    /// let key = TokenKey { project: "145".parse()?, id: "1CkYr7JQzzpHpo1P".parse()? };
    /// let (prefix, owner, name) = ("acme_pat".parse()?, "ada".parse()?, "CI".parse()?);
    /// let mut record = TokenRecord::new(key, prefix, digest, owner, name, now);
    /// record.expires_at = now.checked_add(core::time::Duration::from_secs(3600));
    /// # Ok(record)
    /// # }
    /// ```
    pub fn new(
        key: TokenKey,
        prefix: Prefix,
        digest: Digest,
        owner: OwnerId,
        name: Name,
        created_at: Timestamp,
    ) -> Self {
        let created_by = Actor::from(&owner);
        Self::created_by(key, prefix, digest, (owner, name), created_by, created_at)
    }

    /// Creates a record as [`new`](Self::new) does, of a token that `created_by` issued.
    #[inline(always)]
    pub(crate) fn created_by(
        key: TokenKey,
        prefix: Prefix,
        digest: Digest,
        (owner, name): (OwnerId, Name),
        created_by: Actor,
        created_at: Timestamp,
    ) -> Self {
        Self {
            project: key.project,
            id: key.id,
            prefix,
            kind: TokenKind::default(),
            digest,
            created_at,
            confirm_by: None,
            not_before: None,
            expires_at: None,
            grace_until: None,
            revoked: None,
            disabled: None,
            addresses: AddressRanges::default(),
            scopes: ScopeSet::default(),
            issuer: None,
            name,
            created_by,
            owner,
            metadata: Metadata::default(),
            last_used_at: None,
            last_used_from: None,
            family: key.id,
            rotated_from: None,
            rotated_to: None,
            request_id: None,
            notice_lead: None,
            notice_lease_until: None,
            notice_leases: 0,
            import_scheme: None,
            version: 1,
        }
    }

    /// Returns the key of the record, which identifies the record in the store.
    pub fn key(&self) -> TokenKey {
        TokenKey { project: self.project, id: self.id }
    }

    /// Returns the public part: the token's text before its last `_`. You can log it and show it.
    pub fn public_part(&self) -> String {
        format!("{}_{}_{}", self.prefix, self.project, self.id)
    }
}

#[cfg(feature = "serde")]
const fn first_version() -> u64 {
    1
}

/// Deserializes a version. The version must be from 1 to [`TokenRecord::MAX_VERSION`].
#[cfg(feature = "serde")]
fn version<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match serde::Deserialize::deserialize(deserializer)? {
        version @ 1..=TokenRecord::MAX_VERSION => Ok(version),
        _ => {
            let most = TokenRecord::MAX_VERSION;
            Err(serde::de::Error::custom(format_args!("version: out of range: must be from 1 to {most}")))
        }
    }
}

/// The time at which a token was disabled, and the actor that disabled it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Disabled {
    /// The time at which the token was disabled.
    pub at: Timestamp,
    /// The actor that disabled the token.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "as_stored::deserialize"))]
    pub by: Actor,
}

/// The time, the actor and the reason of a revocation. Only the first revocation of a token counts.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Revocation {
    /// The time at which the token was revoked.
    pub at: Timestamp,
    /// The actor that revoked the token.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "as_stored::deserialize"))]
    pub by: Actor,
    /// The reason that the actor gave for the revocation.
    pub reason: RevocationReason,
}

/// The reason for a revocation: one of the reasons of RFC 5280 section 5.3.1 that fit a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum RevocationReason {
    /// The actor gave no reason.
    #[default]
    Unspecified,
    /// The secret leaked, or may have leaked.
    KeyCompromise,
    /// The owner moved to another team or organization.
    AffiliationChanged,
    /// Another token replaced this token.
    Superseded,
    /// The purpose of the token has ended.
    CessationOfOperation,
    /// The owner lost the rights that the token granted.
    PrivilegeWithdrawn,
}

word_type!(RevocationReason {
    Unspecified = "unspecified",
    KeyCompromise = "key_compromise",
    AffiliationChanged = "affiliation_changed",
    Superseded = "superseded",
    CessationOfOperation = "cessation_of_operation",
    PrivilegeWithdrawn = "privilege_withdrawn",
});

#[cfg(all(test, feature = "serde"))]
mod tests {
    use super::*;
    use crate::rules::mint::mint;
    use crate::rules::new_token::NewToken;
    use crate::rules::policy::Policy;
    use crate::words::keyring::Keyring;

    fn of_version(version: &str) -> serde_json::Result<TokenRecord> {
        let keyring = Keyring::unkeyed("acme_pat".parse().unwrap());
        let new = NewToken::new("145".parse().unwrap(), "ada".parse().unwrap(), "CI".parse().unwrap());
        let by = "ada".parse().unwrap();
        let record = mint(&keyring, &Policy::default(), new, &by, Timestamp::UNIX_EPOCH).unwrap().record;
        let text = serde_json::to_string(&record).unwrap();
        assert!(text.contains("\"version\":1"));
        serde_json::from_str(&text.replace("\"version\":1", &format!("\"version\":{version}")))
    }

    #[test]
    fn a_version_that_no_store_can_keep_is_refused() {
        assert_eq!(of_version("1").unwrap().version, 1);
        assert_eq!(of_version("9223372036854775807").unwrap().version, TokenRecord::MAX_VERSION);
        for version in ["0", "9223372036854775808", "18446744073709551615"] {
            let error = of_version(version).unwrap_err().to_string();
            assert!(error.starts_with("version: out of range: must be from 1 to 9223372036854775807"), "{error}");
        }
    }
}
