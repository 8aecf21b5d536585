//! Groups of tokens that are revoked together.

use crate::rules::record::TokenRecord;
use crate::words::ids::{KeyNumber, TokenId};
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;

/// A group of tokens, for [`Tokens::revoke_group`](crate::Tokens::revoke_group).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RevokeGroup {
    /// All of an owner.
    Owner(OwnerId),
    /// All of a chain of rotations, by the id of its first.
    Family(TokenId),
    /// All created strictly before a time.
    CreatedBefore(Timestamp),
    /// All made with a key.
    KeyNumber(KeyNumber),
}

impl RevokeGroup {
    /// Whether the record is of the group.
    pub fn contains(&self, record: &TokenRecord) -> bool {
        match self {
            Self::Owner(owner) => record.owner == *owner,
            Self::Family(family) => record.family == *family,
            Self::CreatedBefore(time) => RevokeBatch::CreatedBefore(*time).contains(record),
            Self::KeyNumber(number) => RevokeBatch::KeyNumber(*number).contains(record),
        }
    }
}

/// Which tokens of a project a store revokes in batches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RevokeBatch {
    /// All created strictly before a time.
    CreatedBefore(Timestamp),
    /// All made with a key.
    KeyNumber(KeyNumber),
}

impl From<RevokeBatch> for RevokeGroup {
    fn from(batch: RevokeBatch) -> Self {
        match batch {
            RevokeBatch::CreatedBefore(time) => Self::CreatedBefore(time),
            RevokeBatch::KeyNumber(number) => Self::KeyNumber(number),
        }
    }
}

impl RevokeBatch {
    /// Returns whether the record is of the kind.
    pub fn contains(&self, record: &TokenRecord) -> bool {
        match self {
            Self::CreatedBefore(time) => record.created_at < *time,
            Self::KeyNumber(number) => record.id.key_number() == *number,
        }
    }
}

/// What one call of a batch did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BatchResult {
    /// How many rows it changed.
    pub count: u64,
    /// Whether none is left. A full batch that leaves none is done.
    pub done: bool,
}
