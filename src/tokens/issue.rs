//! Issuing a token.

use std::sync::Arc;

use super::change_verbs::TRIES;
use super::events::Event;
use super::service::Tokens;
use crate::rules::delegation::Delegation;
use crate::rules::error::{Error, ErrorKind};
use crate::rules::mint::{Issued, mint};
use crate::rules::new_token::NewToken;
use crate::rules::owner::OwnerState;
use crate::rules::precondition::OwnerLimit;
use crate::rules::record::TokenRecord;
use crate::store::contract::TokenStore;
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::text::Actor;
use crate::words::timestamp::Timestamp;

impl<S: TokenStore> Tokens<S> {
    /// Issues a token and stores its record. `actor` asks for it, and comes from the host's own session; the token's owner is in
    /// `new`. Whether the actor may issue tokens for the owner is up to the host. If the actor is a token, give
    /// [`NewToken::within`] what it presented: the issuing token is then read again and judged as it is now, and the store
    /// refuses if it is revoked before the new token is there.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Policy`](crate::ErrorKind::Policy) if the policy does not allow the token,
    /// [`ErrorKind::OutsideIssuer`](crate::ErrorKind::OutsideIssuer) or [`ErrorKind::IssuerEnded`] if the issuing token does not,
    /// [`ErrorKind::Limit`](crate::ErrorKind::Limit) if the owner has as many tokens as allowed, and a kind of its own if the
    /// generator or the store fails. No token has been handed out then. A store that failed without an answer may hold a record
    /// that nobody has the token of; a token that has to be confirmed ([`NewToken::with_confirm_within`]) lapses in that case.
    pub async fn issue(&self, actor: &Actor, new: NewToken) -> Result<Issued<Arc<TokenRecord>>, Error> {
        for _ in 0..TRIES {
            let now = self.clock.now();
            let mut new = new.clone();
            if let Some(delegation) = new.delegation() {
                let delegation = self.renewed(delegation, now).await?;
                new = new.within(&delegation);
            }
            let issuer = new.delegation().map(Delegation::condition);
            let Issued { token, record } = mint(&self.keyring, self.policy(), new, actor, now)?;
            let limit = self.policy().most_live_per_owner().map(|most| OwnerLimit { most, now });
            match self.store.insert(record, limit, issuer).await {
                // Somebody changed the issuing token since it was read: judge it anew.
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

    /// Returns the issuing token as it is now, with its owner.
    ///
    /// # Errors
    /// Returns [`ErrorKind::IssuerEnded`] if it may not issue any more.
    pub(super) async fn renewed(&self, issuer: &Delegation, now: Timestamp) -> Result<Delegation, Error> {
        let record = self.store.find(&issuer.key()).await?;
        let renewed = issuer.renewed(record.clone(), self.policy(), now).map_err(ErrorKind::IssuerEnded)?;
        let state = match record {
            Some(record) if self.owners.is_some() => self.owner_state(&record).await?,
            _ => OwnerState::Active,
        };
        match state.rejection() {
            Some(rejection) => Err(ErrorKind::IssuerEnded(rejection).into()),
            None => Ok(renewed),
        }
    }
}
