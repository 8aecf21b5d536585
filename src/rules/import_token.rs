//! A token from before keyfob, as a record.

use super::address::AddressRanges;
use super::notice_stage::NoticeStage;
use super::record::{Disabled, Revocation, TokenKind, TokenRecord};
use super::scope::ScopeSet;
use crate::words::alphabet;
use crate::words::digest::Digest;
use crate::words::ids::{KeyNumber, Prefix, ProjectId, TokenId};
use crate::words::import_digest::ImportDigest;
use crate::words::rng_error::RngError;
use crate::words::text::{Actor, Metadata, Name, OwnerId};
use crate::words::timestamp::Timestamp;

/// A token that a service made before keyfob, to be imported.
///
/// It may be dead already: what it may do, and until when, is taken as it was, and no policy is asked before somebody
/// presents it. Debug shows nothing of its hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportToken {
    /// The stored hash of its text.
    pub digest: ImportDigest,
    /// The project it is for.
    pub project: ProjectId,
    /// The user it acts for.
    pub owner: OwnerId,
    /// What it is for.
    pub name: Name,
    /// For a person or for a service.
    pub kind: TokenKind,
    /// What it may do.
    pub scopes: ScopeSet,
    /// Text of the host's own.
    pub metadata: Metadata,
    /// Where it may be used from.
    pub addresses: AddressRanges,
    /// When it was made.
    pub created_at: Timestamp,
    /// It does not work before this time.
    pub not_before: Option<Timestamp>,
    /// It does not work from this time on; `None` is never.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, where that is known.
    pub last_used_at: Option<Timestamp>,
    /// Set if it was disabled: since when and by whom.
    pub disabled: Option<Disabled>,
    /// Set if it was revoked: since when, by whom and why. A revoked token is imported too, so that a token that was revoked
    /// can be told from an unknown one, and a repeated import revokes what was revoked since.
    pub revoked: Option<Revocation>,
}

impl ImportToken {
    /// For a person, without scopes, from any address, without an expiry.
    pub fn new(digest: ImportDigest, project: ProjectId, owner: OwnerId, name: Name, created_at: Timestamp) -> Self {
        Self {
            digest,
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

    /// Its record, under a new id of the key that made `digest`, which takes the place of its own.
    pub(crate) fn into_record(
        self,
        prefix: Prefix,
        number: KeyNumber,
        digest: Digest,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<TokenRecord, RngError> {
        let mut handle = [alphabet::digit(number.get()); TokenId::LEN];
        alphabet::random(&mut getrandom::SysRng, &mut handle[1..])?;
        let id = TokenId::from_checked(handle);
        Ok(TokenRecord {
            prefix,
            project: self.project,
            id,
            digest,
            name: self.name,
            owner: self.owner,
            kind: self.kind,
            scopes: self.scopes,
            metadata: self.metadata,
            addresses: self.addresses,
            created_at: self.created_at,
            created_by: actor.clone(),
            confirm_by: None,
            not_before: self.not_before,
            expires_at: self.expires_at,
            last_used_at: self.last_used_at,
            disabled: self.disabled,
            revoked: self.revoked,
            family: id,
            rotated_from: None,
            rotated_to: None,
            grace_until: None,
            request_id: None,
            // A token that ends in three days is not announced to end in thirty.
            notice_stage: NoticeStage::of(self.expires_at, now),
            notice_lease_until: None,
            version: 1,
        })
    }
}
