//! Records for unit tests.

use core::time::Duration;

use super::address::AddressRanges;
use super::notice_stage::NoticeStage;
use super::record::{Disabled, Revocation, RevocationReason, TokenKind, TokenRecord};
use super::scope::ScopeSet;
use crate::words::digest::Digest;
use crate::words::ids::{ProjectId, TokenId};
use crate::words::keyring::Keyring;
use crate::words::text::{Actor, Metadata};
use crate::words::timestamp::Timestamp;

/// A millisecond.
pub(crate) const MS: Duration = Duration::from_millis(1);

/// A day.
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A time, in milliseconds from a noon.
pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_795_435_200_000 + millis).unwrap()
}

pub(crate) fn project() -> ProjectId {
    ProjectId::new("145").unwrap()
}

pub(crate) fn ada() -> Actor {
    Actor::new("ada").unwrap()
}

pub(crate) fn keyring() -> Keyring {
    Keyring::unkeyed("acme_pat".parse().unwrap())
}

/// The id of this last character.
pub(crate) fn id(last: char) -> TokenId {
    TokenId::new(&format!("000000000000000{last}")).unwrap()
}

/// A token of ada that works: made a second before noon, for 30 days.
pub(crate) fn record() -> TokenRecord {
    TokenRecord {
        project: project(),
        id: id('1'),
        prefix: "acme_pat".parse().unwrap(),
        kind: TokenKind::Human,
        notice_stage: NoticeStage::None,
        digest: Digest::from_bytes([7; 32]),
        created_at: at(-1000),
        confirm_by: None,
        not_before: None,
        expires_at: Some(at(-1000).saturating_add(30 * DAY)),
        grace_until: None,
        revoked: None,
        disabled: None,
        addresses: AddressRanges::default(),
        scopes: ScopeSet::new("repo:read user").unwrap(),
        name: "CI".parse().unwrap(),
        owner: "ada".parse().unwrap(),
        metadata: Metadata::default(),
        created_by: ada(),
        last_used_at: None,
        family: id('1'),
        rotated_from: None,
        rotated_to: None,
        request_id: None,
        notice_lease_until: None,
        version: 1,
    }
}

pub(crate) fn disabled() -> Option<Disabled> {
    Some(Disabled { at: at(-10), by: ada() })
}

pub(crate) fn revoked() -> Option<Revocation> {
    Some(Revocation { at: at(-10), by: ada(), reason: RevocationReason::Unspecified })
}
