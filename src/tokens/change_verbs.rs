//! Renaming, disabling and enabling, confirming, narrowing, ending a grace.

use super::events::{ChangeKind, Event};
use super::service::Tokens;
use crate::rules::change::Change;
use crate::rules::change_request::{ChangeRequest, Narrowing};
use crate::rules::error::{Error, ErrorKind};
use crate::rules::proof::prove;
use crate::rules::record::{Disabled, TokenRecord};
use crate::rules::view::TokenView;
use crate::store::contract::TokenStore;
use crate::words::ids::TokenKey;
use crate::words::presented::PresentedToken;
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::text::{Actor, Name};

/// How often a change is judged anew because somebody else changed the token meanwhile.
pub(super) const TRIES: usize = 16;

/// All of these record or emit `actor`; whether the actor may change the token is up to the host: see
/// [`of`](Tokens::of) for the tokens of one owner. If the token is as wished already, nothing is written. A change that meets a
/// concurrent one is judged again.
impl<S: TokenStore> Tokens<S> {
    /// Gives a token another name.
    ///
    /// # Errors
    /// Returns [`ErrorKind::NotFound`] if there is no such token, and [`ErrorKind::Ended`] if it has ended.
    pub async fn rename(&self, actor: &Actor, key: &TokenKey, name: Name) -> Result<TokenView, Error> {
        self.change(actor, key, ChangeRequest::Rename(name)).await
    }

    /// Stops a token until it is enabled. To stop it for ever, revoke it.
    ///
    /// A holder who may change the token, such as by renaming it, and does so all the time, can
    /// make this call fail with a [`Conflict`](StoreErrorKind::Conflict): beside 32 concurrent
    /// renames, 14 of 20 calls did on PostgreSQL. The same holds for [`narrow`](Self::narrow) and
    /// [`end_grace`](Self::end_grace). [`revoke`](Self::revoke) is not affected.
    ///
    /// # Errors
    /// Returns [`ErrorKind::NotFound`] if there is no such token, and [`ErrorKind::Ended`] if it has ended.
    pub async fn disable(&self, actor: &Actor, key: &TokenKey) -> Result<TokenView, Error> {
        self.change(actor, key, ChangeRequest::Disable).await
    }

    /// Lets a disabled token work again.
    ///
    /// # Errors
    /// Returns [`ErrorKind::NotFound`] if there is no such token, and [`ErrorKind::Ended`] if it has ended.
    pub async fn enable(&self, actor: &Actor, key: &TokenKey) -> Result<TokenView, Error> {
        self.change(actor, key, ChangeRequest::Enable).await
    }

    /// Lets a token that was issued as [pending](crate::NewToken::with_confirm_within) work.
    ///
    /// # Errors
    /// Returns [`ErrorKind::NotFound`] if there is no such token, and [`ErrorKind::Ended`] if it has ended, for instance because it
    /// was not confirmed in time.
    pub async fn confirm(&self, actor: &Actor, key: &TokenKey) -> Result<TokenView, Error> {
        self.change(actor, key, ChangeRequest::Confirm).await
    }

    /// The same by the token itself: whoever presents it has received it.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Rejected`] if a check up to the digest fails, and what [`confirm`](Self::confirm) returns.
    pub async fn confirm_presented<T>(&self, actor: &Actor, token: &T) -> Result<TokenView, Error>
    where
        T: AsRef<[u8]> + Sync + ?Sized,
    {
        let token = PresentedToken::parse(token, &self.keyring).map_err(ErrorKind::Rejected)?;
        let key = token.key();
        let record = self.store.find(&key).await?;
        let names = |record: &TokenRecord| token.text().names(record.prefix, &record.project, &record.id);
        prove(token.digest(), record, names).map_err(ErrorKind::Rejected)?;
        self.confirm(actor, &key).await
    }

    /// Ends the grace of a rotated token now; its successor is the only one left.
    ///
    /// # Errors
    /// Returns [`ErrorKind::NotFound`] if there is no such token, [`ErrorKind::NotRotated`] if it has no successor, and
    /// [`ErrorKind::Ended`] if it has ended otherwise.
    pub async fn end_grace(&self, actor: &Actor, key: &TokenKey) -> Result<TokenView, Error> {
        self.change(actor, key, ChangeRequest::EndGrace).await
    }

    /// Takes from what a token may do. Nothing can be given: for that, issue another.
    ///
    /// # Errors
    /// Returns [`ErrorKind::NotFound`] if there is no such token, [`ErrorKind::Wider`] if it would be allowed more,
    /// [`ErrorKind::Policy`] if it would be outside the policy, and [`ErrorKind::Ended`] if it has ended or would by this.
    pub async fn narrow(&self, actor: &Actor, key: &TokenKey, narrowing: Narrowing) -> Result<TokenView, Error> {
        self.change(actor, key, ChangeRequest::Narrow(narrowing)).await
    }

    /// Disables a token as it was disabled elsewhere, unless it is disabled or has ended.
    pub(super) async fn disable_as(&self, key: &TokenKey, disabled: Disabled) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            let Some(record) = self.store.find(key).await? else { return Ok(()) };
            if record.disabled.is_some() || !record.status(self.clock.now()).is_live() {
                return Ok(());
            }
            match self.store.update(key, record.version, Change::Disable(disabled.clone())).await {
                Err(error) if error.kind() == StoreErrorKind::Conflict => {}
                outcome => {
                    if outcome?.is_some() {
                        self.tell(Event::Changed { key: *key, how: ChangeKind::Disabled, actor: &disabled.by });
                    }
                    return Ok(());
                }
            }
        }
        Err(StoreErrorKind::Conflict.into())
    }

    async fn change(&self, actor: &Actor, key: &TokenKey, wish: ChangeRequest) -> Result<TokenView, Error> {
        for _ in 0..TRIES {
            let record = self.store.find(key).await?.ok_or(ErrorKind::NotFound)?;
            let now = self.clock.now();
            let Some(change) = record.judge(wish.clone(), self.policy(), actor, now)? else {
                // An earlier call may have made the change and been told that it may be lost.
                match self.store.find_durable(key).await? {
                    Some(durable) if durable.version == record.version => return Ok(durable.view(now)),
                    _ => continue,
                }
            };
            let how = ChangeKind::by(&change);
            match self.store.update(key, record.version, change).await {
                Err(error) if error.kind() == StoreErrorKind::Conflict => {}
                Err(error) => {
                    self.tell(Event::ChangeFailed { key: *key, how, actor });
                    return Err(error.into());
                }
                Ok(None) => return Err(ErrorKind::NotFound.into()),
                Ok(Some(record)) => {
                    self.tell(Event::Changed { key: *key, how, actor });
                    return Ok(record.view(now));
                }
            }
        }
        Err(StoreError::new(StoreErrorKind::Conflict).into())
    }
}

impl ChangeKind {
    fn by(change: &Change) -> Self {
        match change {
            Change::Rename(_) => Self::Renamed,
            Change::Disable(_) => Self::Disabled,
            Change::Enable => Self::Enabled,
            Change::Confirm => Self::Confirmed,
            Change::EndGrace(_) => Self::GraceEnded,
            Change::Narrow { .. } => Self::Narrowed,
        }
    }
}
