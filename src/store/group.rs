//! Groups of tokens that one operation revokes together.

use crate::rules::record::TokenRecord;
use crate::words::ids::{KeyNumber, TokenId};
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;

/// A group of tokens in one project that [`Tokens::revoke_group`](crate::Tokens::revoke_group) can
/// revoke.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RevokeGroup {
    /// All tokens of this owner.
    Owner(OwnerId),
    /// All tokens of a chain of rotations. The value is the id of the first token of the chain.
    Family(TokenId),
    /// All tokens that were created strictly before this time.
    CreatedBefore(Timestamp),
    /// All tokens whose digest was computed with the key that has this number.
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

/// A group of tokens in one project that a store revokes in several calls, with a limited number of
/// tokens in each call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RevokeBatch {
    /// All tokens that were created strictly before this time.
    CreatedBefore(Timestamp),
    /// All tokens whose digest was computed with the key that has this number.
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
    /// Returns whether the group contains the token, no matter whether the token is already
    /// revoked.
    pub fn contains(&self, record: &TokenRecord) -> bool {
        match self {
            Self::CreatedBefore(time) => record.created_at < *time,
            Self::KeyNumber(number) => record.id.key_number() == *number,
        }
    }
}

/// The result of one call that revokes or deletes a limited number of records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BatchResult {
    /// The number of records that the call revoked or deleted.
    pub count: u64,
    /// Whether the call left no record to revoke or delete. This can be true even if the call
    /// revoked or deleted the maximum number of records.
    pub done: bool,
}
