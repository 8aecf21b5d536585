//! Rotating a token.

use core::error::Error;
use core::fmt;
use std::sync::Arc;

use super::change::TRIES;
use super::events::Event;
use super::owners::Owners;
use super::store::TokenStore;
use super::store_error::{StoreError, StoreErrorKind};
use super::tokens::Tokens;
use crate::rules::mint::Issued;
use crate::rules::record::{RevocationReason, TokenRecord};
use crate::rules::rotate::{Rotation, Succession, SuccessionError, rotate};
use crate::rules::view::TokenView;
use crate::words::clock::Clock;
use crate::words::ids::TokenKey;
use crate::words::text::Actor;

/// What came of a rotation.
#[derive(Debug)]
#[non_exhaustive]
pub struct Rotated {
    /// The new token, to be shown once.
    pub issued: Issued<Arc<TokenRecord>>,
    /// The old one, with its grace.
    pub old: TokenView,
}

/// The token that another took over from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Predecessor {
    /// The old token.
    pub view: TokenView,
    /// Whether a use of it was written after the successor was made: somebody holds it still.
    pub still_used: bool,
}

impl<S: TokenStore, C: Clock, O: Owners> Tokens<S, C, O> {
    /// Makes another token that takes over from this one, in one transaction. The old one works until its grace is over;
    /// whoever uses it later is told so, and your sink hears of a [reuse](Event::Reused).
    ///
    /// Of two rotations of one token at the same time one wins, and the other is [`SuccessionError::Superseded`].
    /// The bound on an owner's live tokens is not asked, so that whoever has reached it can rotate still.
    ///
    /// # Errors
    /// [`RotateError`]; nothing is changed then, unless the store failed without an answer:
    /// see [`Rotation::with_retry`].
    pub async fn rotate(
        &self,
        actor: &Actor,
        key: &TokenKey,
        rotation: Rotation,
    ) -> Result<Option<Rotated>, RotateError> {
        for _ in 0..TRIES {
            let Some(old) = self.store.find(key).await? else { return Ok(None) };
            let now = self.clock.now();
            let succession = rotate(&self.keyring, self.policy(), &old, rotation.clone(), actor, now)?;
            let Succession { successor: Issued { token, record }, grace_until } = succession;
            match self.store.rotate(key, old.version, record.clone(), grace_until).await {
                Err(error) if error.kind() == StoreErrorKind::Conflict => {
                    // Unless somebody changed it meanwhile, it was no repeat of the request that made its successor.
                    let unchanged = self.store.find(key).await?.is_some_and(|now| now.version == old.version);
                    if unchanged && old.rotated_to.is_some() {
                        return Err(SuccessionError::Superseded.into());
                    }
                }
                Err(error) => return Err(error.into()),
                Ok(None) => return Ok(None),
                Ok(Some(rotated)) => {
                    if let Some(id) = old.rotated_to {
                        let (key, reason) = (TokenKey { project: key.project, id }, RevocationReason::Superseded);
                        self.tell(Event::Revoked { key, actor, reason });
                    }
                    self.tell(Event::Rotated { key: *key, successor: record.id, grace_until, actor });
                    let issued = Issued { token, record: Arc::new(record) };
                    return Ok(Some(Rotated { issued, old: rotated.view(now) }));
                }
            }
        }
        Err(StoreError::new(StoreErrorKind::Conflict).into())
    }

    /// The token that this one took over from, and whether anybody uses it still. `None` where this one took over
    /// from none, or that one was purged.
    ///
    /// # Errors
    /// [`StoreError`] where the store fails.
    pub async fn predecessor(&self, view: &TokenView) -> Result<Option<Predecessor>, StoreError> {
        let Some(id) = view.rotated_from else { return Ok(None) };
        let old = self.get(&TokenKey { project: view.project, id }).await?;
        Ok(old.map(|old| Predecessor {
            still_used: old.last_used_at.is_some_and(|last| last > view.created_at),
            view: old,
        }))
    }
}

/// Why a token was not rotated.
#[derive(Debug)]
#[non_exhaustive]
pub enum RotateError {
    /// It cannot be rotated.
    Refused(SuccessionError),
    /// The store failed, or others changed the token all the time.
    Store(StoreError),
}

impl From<SuccessionError> for RotateError {
    fn from(error: SuccessionError) -> Self {
        Self::Refused(error)
    }
}

impl From<StoreError> for RotateError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for RotateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl Error for RotateError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Refused(_) => None,
            Self::Store(error) => error.source(),
        }
    }
}
