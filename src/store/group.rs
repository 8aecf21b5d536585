//! Groups of tokens that are revoked together.

use crate::rules::record::TokenRecord;
use crate::words::ids::{KeyNumber, TokenId};
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;

/// A group of tokens in one project, for [`Tokens::revoke_group`](crate::Tokens::revoke_group).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RevokeGroup {
    /// All tokens of an owner.
    Owner(OwnerId),
    /// All tokens of a chain of rotations, named by the id of the first.
    Family(TokenId),
    /// All tokens created strictly before a time.
    CreatedBefore(Timestamp),
    /// All tokens whose digest uses the key of this number.
    KeyNumber(KeyNumber),
}

impl RevokeGroup {
    /// Returns whether the group contains the token.
    pub fn contains(&self, record: &TokenRecord) -> bool {
        match self {
            Self::Owner(owner) => record.owner == *owner,
            Self::Family(family) => record.family == *family,
            Self::CreatedBefore(time) => RevokeBatch::CreatedBefore(*time).contains(record),
            Self::KeyNumber(number) => RevokeBatch::KeyNumber(*number).contains(record),
        }
    }
}

/// A group of tokens in one project that a store revokes in batches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RevokeBatch {
    /// All tokens created strictly before a time.
    CreatedBefore(Timestamp),
    /// All tokens whose digest uses the key of this number.
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
    /// Returns whether the group contains the token. Whether it is revoked already does not matter.
    pub fn contains(&self, record: &TokenRecord) -> bool {
        match self {
            Self::CreatedBefore(time) => record.created_at < *time,
            Self::KeyNumber(number) => record.id.key_number() == *number,
        }
    }
}

/// The result of one call that works on a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BatchResult {
    /// The number of records that the call changed or deleted.
    pub count: u64,
    /// Whether no records are left to change. It is also true for a full batch that leaves none.
    pub done: bool,
}
