//! Issuing a token.

use core::error::Error;
use core::fmt;
use std::sync::Arc;

use super::events::Event;
use super::owners::Owners;
use super::store::{OwnerLimit, TokenStore};
use super::store_error::{StoreError, StoreErrorKind};
use super::tokens::Tokens;
use crate::rules::mint::{Issued, MintError, NewToken, mint};
use crate::rules::record::TokenRecord;
use crate::words::clock::Clock;
use crate::words::text::Actor;

impl<S: TokenStore, C: Clock, O: Owners> Tokens<S, C, O> {
    /// Makes a token and stores its record. `actor` is who asks for it, from the host's own session; the token's owner is
    /// in `new`. Whether the one may make tokens for the other is the host's to ask; where the one is a token, give
    /// [`NewToken::within`] what it presented.
    ///
    /// # Errors
    /// [`IssueError`] where the policy or the managing token forbids it, the owner has too many, there is no randomness or the store fails. Then
    /// no token has been handed out; a store that failed without an answer may hold a record that nobody has the token of: a token
    /// that waits to be confirmed ([`NewToken::with_confirm_within`]) lapses then.
    pub async fn issue(&self, actor: &Actor, new: NewToken) -> Result<Issued<Arc<TokenRecord>>, IssueError> {
        let now = self.clock.now();
        let Issued { token, record } = mint(&self.keyring, self.policy(), new, actor, now)?;
        let limit = self.policy().most_live_per_owner().map(|most| OwnerLimit { most, now });
        let record = self.store.insert(record, limit).await?;
        self.tell(Event::Issued { key: record.key(), actor });
        Ok(Issued { token, record })
    }
}

/// Why no token was issued.
#[derive(Debug)]
#[non_exhaustive]
pub enum IssueError {
    /// It was not made.
    Mint(MintError),
    /// The owner has as many live tokens as allowed.
    Limit,
    /// The store failed.
    Store(StoreError),
}

impl From<MintError> for IssueError {
    fn from(error: MintError) -> Self {
        Self::Mint(error)
    }
}

impl From<StoreError> for IssueError {
    fn from(error: StoreError) -> Self {
        match error.kind() {
            StoreErrorKind::Limit => Self::Limit,
            _ => Self::Store(error),
        }
    }
}

impl fmt::Display for IssueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mint(error) => error.fmt(f),
            Self::Limit => f.write_str("the owner has too many live tokens"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl Error for IssueError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Store(error) => error.source(),
            Self::Mint(_) | Self::Limit => None,
        }
    }
}
