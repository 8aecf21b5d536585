//! Issuing a token.

use core::error::Error;
use core::fmt;
use std::sync::Arc;

use super::change_verbs::TRIES;
use super::events::Event;
use super::owners::Owners;
use super::service::Tokens;
use crate::rules::delegation::{Manager, WithinError};
use crate::rules::mint::{Issued, MintError, NewToken, mint};
use crate::rules::owner::OwnerState;
use crate::rules::record::TokenRecord;
use crate::store::contract::{OwnerLimit, TokenStore};
use crate::words::clock::Clock;
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::text::Actor;
use crate::words::timestamp::Timestamp;

impl<S: TokenStore, C: Clock, O: Owners> Tokens<S, C, O> {
    /// Makes a token and stores its record. `actor` is who asks for it, from the host's own session; the token's owner is
    /// in `new`. Whether the one may make tokens for the other is the host's to ask; where the one is a token, give
    /// [`NewToken::within`] what it presented. That token is then read again and judged as it is now, and the store refuses if it
    /// is revoked before the new token is there.
    ///
    /// # Errors
    /// [`IssueError`] where the policy or the managing token forbids it, the owner has too many, there is no randomness or the store fails. Then
    /// no token has been handed out; a store that failed without an answer may hold a record that nobody has the token of: a token
    /// that waits to be confirmed ([`NewToken::with_confirm_within`]) lapses then.
    pub async fn issue(&self, actor: &Actor, new: NewToken) -> Result<Issued<Arc<TokenRecord>>, IssueError> {
        for _ in 0..TRIES {
            let now = self.clock.now();
            let mut new = new.clone();
            if let Some(manager) = new.manager() {
                let manager = self.renewed(manager, now).await?.map_err(MintError::from)?;
                new = new.within(&manager);
            }
            let issuer = new.manager().map(Manager::condition);
            let Issued { token, record } = mint(&self.keyring, self.policy(), new, actor, now)?;
            let limit = self.policy().most_live_per_owner().map(|most| OwnerLimit { most, now });
            match self.store.insert(record, limit, issuer).await {
                // Somebody changed the managing token since it was read: judge it anew.
                Err(error) if error.kind() == StoreErrorKind::IssuerChanged => {}
                Err(error) => return Err(error.into()),
                Ok(record) => {
                    self.tell(Event::Issued { key: record.key(), actor });
                    return Ok(Issued { token, record });
                }
            }
        }
        Err(StoreError::new(StoreErrorKind::IssuerChanged).into())
    }

    /// The managing token as it is now, with its owner, or why it may not manage any more.
    pub(super) async fn renewed(
        &self,
        manager: &Manager,
        now: Timestamp,
    ) -> Result<Result<Manager, WithinError>, StoreError> {
        let record = self.store.find(&manager.key()).await?;
        let manager = match manager.renewed(record.clone(), self.policy(), now) {
            Ok(manager) => manager,
            Err(rejection) => return Ok(Err(WithinError::Ended(rejection))),
        };
        let state = match record {
            Some(record) if self.asks_owners => self.owner_state(&record).await?,
            _ => OwnerState::Active,
        };
        Ok(match state.rejection() {
            Some(rejection) => Err(WithinError::Ended(rejection)),
            None => Ok(manager),
        })
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
