//! Records for unit tests.

use core::time::Duration;

use super::record::{Disabled, Revocation, RevocationReason, TokenRecord};
use super::scope::ScopeSet;
use crate::words::digest::Digest;
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::keyring::Keyring;
use crate::words::text::Actor;
use crate::words::timestamp::Timestamp;

/// A duration of one millisecond.
pub(crate) const MS: Duration = Duration::from_millis(1);

/// A duration of one day.
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns the time that is `millis` milliseconds after a fixed reference time.
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

/// Returns the token id that consists of 15 zeros and the character `last`.
pub(crate) fn id(last: char) -> TokenId {
    TokenId::new(&format!("000000000000000{last}")).unwrap()
}

/// Returns the record of an active token that belongs to ada. The token was issued at `at(-1000)`,
/// with a lifetime of 30 days.
pub(crate) fn record() -> TokenRecord {
    let key = TokenKey { project: project(), id: id('1') };
    let (owner, name) = ("ada".parse().unwrap(), "CI".parse().unwrap());
    let digest = Digest::from_bytes([7; 32]);
    TokenRecord {
        expires_at: Some(at(-1000).saturating_add(30 * DAY)),
        scopes: ScopeSet::new("repo:read user").unwrap(),
        ..TokenRecord::new(key, "acme_pat".parse().unwrap(), digest, owner, name, at(-1000))
    }
}

pub(crate) fn disabled() -> Option<Disabled> {
    Some(Disabled { at: at(-10), by: ada() })
}

pub(crate) fn revoked() -> Option<Revocation> {
    Some(Revocation { at: at(-10), by: ada(), reason: RevocationReason::Unspecified })
}
