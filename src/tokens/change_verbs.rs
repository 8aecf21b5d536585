//! Renaming, disabling and enabling, confirming, narrowing, ending a grace.

use core::error::Error;
use core::fmt;
use std::sync::Arc;

use super::events::{Changed, Event};
use super::owners::Owners;
use super::service::Tokens;
use crate::rules::change::Change;
use crate::rules::change_request::{Narrowing, Transition, TransitionError};
use crate::rules::proof::prove;
use crate::rules::record::{Disabled, TokenRecord};
use crate::rules::view::TokenView;
use crate::store::contract::TokenStore;
use crate::words::clock::Clock;
use crate::words::error::Rejection;
use crate::words::ids::TokenKey;
use crate::words::presented::PresentedToken;
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::text::{Actor, Name};

/// How often a change is judged anew because somebody else changed the token meanwhile.
pub(super) const TRIES: usize = 16;

/// For all of these: `actor` is written down or told, not asked whether it may. Where it is so already, nothing is written. `None`
/// where there is no such token. [`ChangeError::Refused`] where a token like this cannot be changed so, above all one
/// that has ended. A change that meets another is judged anew.
impl<S: TokenStore, C: Clock, O: Owners> Tokens<S, C, O> {
    /// Gives a token another name.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn rename(&self, actor: &Actor, key: &TokenKey, name: Name) -> Result<Option<TokenView>, ChangeError> {
        self.change(actor, key, Transition::Rename(name)).await
    }

    /// Stops a token until it is enabled. To stop it for ever, revoke it.
    ///
    /// A holder who may change the token, such as by renaming it, and does so all the time, can
    /// make this call fail with a [`Conflict`](StoreErrorKind::Conflict): beside 32 concurrent
    /// renames, 14 of 20 calls did on PostgreSQL. The same holds for [`narrow`](Self::narrow) and
    /// [`end_grace`](Self::end_grace). [`revoke`](Self::revoke) is not affected.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn disable(&self, actor: &Actor, key: &TokenKey) -> Result<Option<TokenView>, ChangeError> {
        self.change(actor, key, Transition::Disable).await
    }

    /// Lets a disabled token work again.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn enable(&self, actor: &Actor, key: &TokenKey) -> Result<Option<TokenView>, ChangeError> {
        self.change(actor, key, Transition::Enable).await
    }

    /// Lets a token that was issued as [pending](crate::NewToken::with_confirm_within) work.
    ///
    /// # Errors
    /// [`ChangeError`]; a token that was not confirmed in time has ended.
    pub async fn confirm(&self, actor: &Actor, key: &TokenKey) -> Result<Option<TokenView>, ChangeError> {
        self.change(actor, key, Transition::Confirm).await
    }

    /// The same by the token itself: whoever presents it has received it.
    ///
    /// # Errors
    /// [`ConfirmError`]; its [`Rejection`] is of the checks up to the digest.
    pub async fn confirm_presented<T>(&self, actor: &Actor, token: &T) -> Result<TokenView, ConfirmError>
    where
        T: AsRef<[u8]> + Sync + ?Sized,
    {
        let token = PresentedToken::parse(token, &self.keyring).map_err(ConfirmError::Rejected)?;
        let key = token.key();
        let record = self.store.find(&key).await.map_err(|error| ConfirmError::Change(error.into()))?;
        let names = |record: &TokenRecord| token.text().names(record.prefix, &record.project, &record.id);
        prove(token.digest(), record, names).map_err(ConfirmError::Rejected)?;
        let confirmed = self.confirm(actor, &key).await.map_err(ConfirmError::Change)?;
        confirmed.ok_or(ConfirmError::Rejected(Rejection::Unknown))
    }

    /// Ends the grace of a rotated token now; its successor is the only one left.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn end_grace(&self, actor: &Actor, key: &TokenKey) -> Result<Option<TokenView>, ChangeError> {
        self.change(actor, key, Transition::EndGrace).await
    }

    /// Takes from what a token may do. Nothing can be given: for that, issue another.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn narrow(
        &self,
        actor: &Actor,
        key: &TokenKey,
        narrowing: Narrowing,
    ) -> Result<Option<TokenView>, ChangeError> {
        self.change(actor, key, Transition::Narrow(narrowing)).await
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
                        self.tell(Event::Changed { key: *key, how: Changed::Disabled, actor: &disabled.by });
                    }
                    return Ok(());
                }
            }
        }
        Err(StoreErrorKind::Conflict.into())
    }

    async fn change(&self, actor: &Actor, key: &TokenKey, wish: Transition) -> Result<Option<TokenView>, ChangeError> {
        for _ in 0..TRIES {
            let Some(record) = self.store.find(key).await? else { return Ok(None) };
            let now = self.clock.now();
            let Some(change) = record.judge(wish.clone(), self.policy(), actor, now)? else {
                // Whoever made it so may have been told that it may be lost.
                match self.store.find_durable(key).await? {
                    Some(durable) if durable.version == record.version => return Ok(Some(durable.view(now))),
                    _ => continue,
                }
            };
            let how = Changed::by(&change);
            match self.store.update(key, record.version, change).await {
                Err(error) if error.kind() == StoreErrorKind::Conflict => {}
                Err(error) => {
                    self.tell(Event::ChangeFailed { key: *key, how, actor });
                    return Err(error.into());
                }
                Ok(changed) => {
                    if changed.is_some() {
                        self.tell(Event::Changed { key: *key, how, actor });
                    }
                    return Ok(changed.map(|record: Arc<TokenRecord>| record.view(now)));
                }
            }
        }
        Err(StoreError::new(StoreErrorKind::Conflict).into())
    }
}

impl Changed {
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

/// Why a token was not changed.
#[derive(Debug)]
#[non_exhaustive]
pub enum ChangeError {
    /// It cannot be changed so.
    Refused(TransitionError),
    /// The store failed, or others changed the token all the time.
    Store(StoreError),
}

impl From<TransitionError> for ChangeError {
    fn from(error: TransitionError) -> Self {
        Self::Refused(error)
    }
}

impl From<StoreError> for ChangeError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl Error for ChangeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Refused(_) => None,
            Self::Store(error) => error.source(),
        }
    }
}

/// Why a presented token was not confirmed.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConfirmError {
    /// It is not one of ours. Tell the outside what [`Challenge`](crate::Challenge) says.
    Rejected(Rejection),
    /// It was not changed.
    Change(ChangeError),
}

impl fmt::Display for ConfirmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(_) => f.write_str("the token is not valid"),
            Self::Change(error) => error.fmt(f),
        }
    }
}

impl Error for ConfirmError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Rejected(_) => None,
            Self::Change(error) => error.source(),
        }
    }
}
