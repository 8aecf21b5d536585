//! The stored row of a token.

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

/// Everything that is stored of a token; nothing of it is a secret, but the digest is nobody's business.
///
/// Fields are public so that a store can take a record apart, and [`new`](Self::new) makes one to be filled; a later version may
/// have more fields, each with a value that means what it meant without. A row whose token has ended stays, as a tombstone,
/// until it is purged: "expired" and "revoked" must be tellable from "unknown".
///
/// It has no order of change of its own: stores change rows only as [`Change`](crate::record::Change) and
/// [`Revocation`] say, raising `version` by one each time; last uses and notices leave it.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct TokenRecord {
    /// The project it is for, with `id` its key.
    pub project: ProjectId,
    /// The public look-up id.
    pub id: TokenId,
    /// The leading marker of the token's text.
    pub prefix: Prefix,
    /// For a person, for a service or for an agent.
    #[cfg_attr(feature = "serde", serde(default))]
    pub kind: TokenKind,
    /// The MAC of the whole token, under the key that `id` names.
    pub digest: Digest,
    /// When it was made.
    pub created_at: Timestamp,
    /// Set while it waits to be confirmed; it ends at this time if nobody does.
    #[cfg_attr(feature = "serde", serde(default))]
    pub confirm_by: Option<Timestamp>,
    /// It does not work before this time.
    #[cfg_attr(feature = "serde", serde(default))]
    pub not_before: Option<Timestamp>,
    /// It does not work from this time on; `None` is never.
    #[cfg_attr(feature = "serde", serde(default))]
    pub expires_at: Option<Timestamp>,
    /// Once it is rotated: the time at which it stops working.
    #[cfg_attr(feature = "serde", serde(default))]
    pub grace_until: Option<Timestamp>,
    /// Set for ever once it is revoked.
    #[cfg_attr(feature = "serde", serde(default))]
    pub revoked: Option<Revocation>,
    /// Set while it is disabled.
    #[cfg_attr(feature = "serde", serde(default))]
    pub disabled: Option<Disabled>,
    /// Where it may be used from.
    #[cfg_attr(feature = "serde", serde(default))]
    pub addresses: AddressRanges,
    /// What it may do.
    #[cfg_attr(feature = "serde", serde(default))]
    pub scopes: ScopeSet,
    /// The token that issued it, if one did.
    #[cfg_attr(feature = "serde", serde(default))]
    pub issuer: Option<Issuer>,
    /// What it is for, in its owner's words.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "as_stored::deserialize"))]
    pub name: Name,
    /// The user it acts for.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "as_stored::deserialize"))]
    pub owner: OwnerId,
    /// Text of the host's own.
    #[cfg_attr(feature = "serde", serde(default))]
    pub metadata: Metadata,
    /// Who made it.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "as_stored::deserialize"))]
    pub created_by: Actor,
    /// The last use that was written, coarser than each use.
    #[cfg_attr(feature = "serde", serde(default))]
    pub last_used_at: Option<Timestamp>,
    /// Where that use came from, if that was recorded.
    #[cfg_attr(feature = "serde", serde(default))]
    pub last_used_from: Option<UsedFrom>,
    /// The id of the first token of its chain of rotations: its own where it is that.
    pub family: TokenId,
    /// The token it took over from.
    #[cfg_attr(feature = "serde", serde(default))]
    pub rotated_from: Option<TokenId>,
    /// The token that took over from it.
    #[cfg_attr(feature = "serde", serde(default))]
    pub rotated_to: Option<TokenId>,
    /// The request that made it, so that a repeat is known as one.
    #[cfg_attr(feature = "serde", serde(default, deserialize_with = "as_stored::if_any"))]
    pub request_id: Option<RequestId>,
    /// The last notice of its end that was sent: how long before its expiry. Only shorter ones are due.
    #[cfg_attr(feature = "serde", serde(default))]
    pub notice_lead: Option<NoticeLead>,
    /// While somebody sends its next notice: until when nobody else does.
    #[cfg_attr(feature = "serde", serde(default))]
    pub notice_lease_until: Option<Timestamp>,
    /// How often a notice of it was claimed.
    #[cfg_attr(feature = "serde", serde(default))]
    pub notice_leases: u64,
    /// For an imported token whose old hash is not a plain SHA-2: how that is computed.
    #[cfg_attr(feature = "serde", serde(default))]
    pub import_scheme: Option<ImportScheme>,
    /// Counts the changes that a rule reads: 1 at first, at most [`MAX_VERSION`](Self::MAX_VERSION). Last uses and notices do not
    /// raise it.
    #[cfg_attr(feature = "serde", serde(default = "first_version", deserialize_with = "version"))]
    pub version: u64,
}

impl TokenRecord {
    /// The highest version, that of a signed 64-bit column.
    pub const MAX_VERSION: u64 = i64::MAX as u64;

    /// Makes the record of a token that was made by its owner: a person's, without scopes, from any address, that never expires,
    /// of version 1. Set what is otherwise.
    ///
    /// ```
    /// # use keyfob::{OwnerId, Name, Prefix, ProjectId, Timestamp, TokenId, TokenKey, TokenRecord, record::Digest};
    /// # fn example(digest: Digest, created_at: Timestamp) -> Result<TokenRecord, keyfob::Invalid> {
    /// let key = TokenKey { project: ProjectId::new("145")?, id: TokenId::new("1CkYr7JQzzpHpo1P")? };
    /// let (owner, name) = (OwnerId::new("ada")?, Name::new("CI")?);
    /// let mut record = TokenRecord::new(key, Prefix::new("acme_pat")?, digest, owner, name, created_at);
    /// record.expires_at = created_at.checked_add(core::time::Duration::from_secs(3600));
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
            created_by: Actor::from(&owner),
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

    /// What store calls about it are keyed by.
    pub fn key(&self) -> TokenKey {
        TokenKey { project: self.project, id: self.id }
    }

    /// All left of the last `_` of the token's text: what may be logged and shown.
    pub fn public_part(&self) -> String {
        format!("{}_{}_{}", self.prefix, self.project, self.id)
    }
}

impl Eq for TokenRecord {}

impl PartialEq for TokenRecord {
    fn eq(&self, other: &Self) -> bool {
        // Taken apart, so that a field that is added does not compile until it is compared too.
        let Self {
            project,
            id,
            prefix,
            kind,
            digest,
            created_at,
            confirm_by,
            not_before,
            expires_at,
            grace_until,
            revoked,
            disabled,
            addresses,
            scopes,
            issuer,
            name,
            owner,
            metadata,
            created_by,
            last_used_at,
            last_used_from,
            family,
            rotated_from,
            rotated_to,
            request_id,
            notice_lead,
            notice_lease_until,
            notice_leases,
            import_scheme,
            version,
        } = other;
        let same_token = self.project == *project && self.id == *id && self.prefix == *prefix;
        let same_origin = self.created_at == *created_at
            && self.created_by == *created_by
            && self.request_id == *request_id
            && self.issuer == *issuer
            && self.import_scheme == *import_scheme
            && self.family == *family
            && self.rotated_from == *rotated_from;
        let same_use = self.kind == *kind
            && self.name == *name
            && self.owner == *owner
            && self.metadata == *metadata
            && self.scopes == *scopes
            && self.addresses == *addresses
            && self.last_used_at == *last_used_at
            && self.last_used_from == *last_used_from;
        let same_end = self.confirm_by == *confirm_by
            && self.not_before == *not_before
            && self.expires_at == *expires_at
            && self.grace_until == *grace_until
            && self.rotated_to == *rotated_to
            && self.revoked == *revoked
            && self.disabled == *disabled;
        let same_notices = self.notice_lead == *notice_lead
            && self.notice_lease_until == *notice_lease_until
            && self.notice_leases == *notice_leases;
        let same = same_token && same_origin && same_use && same_end && same_notices && self.version == *version;
        same && self.digest.ct_eq(digest)
    }
}

#[cfg(feature = "serde")]
const fn first_version() -> u64 {
    1
}

/// Reads a version that a store can keep, a signed column of 64 bits too.
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

/// A token disabled for now.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Disabled {
    /// Since when.
    pub at: Timestamp,
    /// By whom.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "as_stored::deserialize"))]
    pub by: Actor,
}

/// A token ended for ever: when, by whom and why. The first one counts; a second changes nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Revocation {
    /// Since when.
    pub at: Timestamp,
    /// By whom.
    #[cfg_attr(feature = "serde", serde(deserialize_with = "as_stored::deserialize"))]
    pub by: Actor,
    /// Why.
    pub reason: RevocationReason,
}

/// Why a token was revoked: the reasons of RFC 5280 section 5.3.1 that fit a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[non_exhaustive]
pub enum RevocationReason {
    /// None was given.
    #[default]
    Unspecified,
    /// The secret may be known to others: a leak.
    KeyCompromise,
    /// Its owner changed place.
    AffiliationChanged,
    /// Another token took its place.
    Superseded,
    /// What it was for has ended.
    CessationOfOperation,
    /// Its owner may no longer do what it allowed.
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
