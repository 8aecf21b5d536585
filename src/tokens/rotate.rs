//! Rotating a token.

use std::sync::Arc;

use super::change_verbs::TRIES;
use super::events::Event;
use super::service::Tokens;
use crate::rules::delegation::Delegation;
use crate::rules::error::{Error, ErrorKind};
use crate::rules::mint::Issued;
use crate::rules::record::{RevocationReason, TokenRecord};
use crate::rules::rotation::{PreparedRotation, Rotation, rotate};
use crate::rules::view::TokenView;
use crate::store::contract::TokenStore;
use crate::words::ids::TokenKey;
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::text::Actor;
use crate::words::timestamp::Timestamp;

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

impl<S: TokenStore> Tokens<S> {
    /// Makes another token that takes over from this one, in one transaction. The old one works until its grace is over;
    /// whoever uses it later is told so, and your sink hears of a [reuse](Event::Reused).
    ///
    /// Of two concurrent rotations of one token one wins, and the other gets [`ErrorKind::AlreadyRotated`].
    /// The limit on an owner's live tokens is not asked, so that an owner who has reached it can still rotate. But a chain of
    /// rotations has at most two working tokens: a token is not rotated while the one that it replaced is in its grace period.
    ///
    /// # Errors
    /// Returns [`ErrorKind::NotFound`] if there is no such token, [`ErrorKind::Ended`] or [`ErrorKind::Inactive`] if it is not
    /// active, [`ErrorKind::AlreadyRotated`] or [`ErrorKind::PredecessorInGrace`] if its chain has two working tokens, and
    /// [`ErrorKind::Policy`], [`ErrorKind::OutsideIssuer`] or [`ErrorKind::IssuerEnded`] if the policy or the issuing token does
    /// not allow it. Nothing is changed then. If the store fails, it may be changed: see [`Rotation::with_retry`].
    pub async fn rotate(&self, actor: &Actor, key: &TokenKey, rotation: Rotation) -> Result<Rotated, Error> {
        for _ in 0..TRIES {
            let old = self.store.find(key).await?.ok_or(ErrorKind::NotFound)?;
            let now = self.clock.now();
            let mut rotation = rotation.clone();
            if let Some(delegation) = rotation.delegation() {
                let delegation = self.renewed(delegation, now).await?;
                rotation = rotation.within(&delegation);
            }
            let issuer = rotation.delegation().map(Delegation::condition);
            let succession = rotate(&self.keyring, self.policy(), &old, rotation, actor, now)?;
            let PreparedRotation { successor: Issued { token, record }, grace_until } = succession;
            match self.store.rotate(key, old.version, record.clone(), grace_until, issuer).await {
                // Somebody changed the issuing token since it was read: judge it anew.
                Err(error) if error.kind() == StoreErrorKind::IssuerChanged => {}
                Err(error) if error.kind() == StoreErrorKind::Conflict => {
                    // Unless somebody changed it meanwhile, the store refused for another row.
                    let unchanged = self.store.find(key).await?.is_some_and(|now| now.version == old.version);
                    if let Some(id) = old.rotated_from.filter(|_| unchanged)
                        && let Some(until) = self.grace_of(&TokenKey { project: key.project, id }, now).await?
                    {
                        return Err(ErrorKind::PredecessorInGrace(until).into());
                    }
                    // It was no repeat of the request that made its successor.
                    if unchanged && old.rotated_to.is_some() {
                        return Err(ErrorKind::AlreadyRotated.into());
                    }
                }
                Err(error) => return Err(error.into()),
                Ok(None) => return Err(ErrorKind::NotFound.into()),
                Ok(Some(rotated)) => {
                    if let Some(id) = old.rotated_to {
                        let (key, reason) = (TokenKey { project: key.project, id }, RevocationReason::Superseded);
                        self.tell(Event::Revoked { key, actor, reason });
                    }
                    self.tell(Event::Rotated { key: *key, successor: record.id, grace_until, actor });
                    let issued = Issued { token, record: Arc::new(record) };
                    return Ok(Rotated { issued, old: rotated.view(now) });
                }
            }
        }
        Err(StoreError::new(StoreErrorKind::Conflict).into())
    }

    /// Until when a token works after its rotation, if it still does.
    async fn grace_of(&self, key: &TokenKey, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let found = self.store.find(key).await?.filter(|record| record.is_in_grace(now));
        Ok(found.and_then(|record| record.grace_until))
    }

    /// The token that this one took over from, and whether anybody uses it still. `None` where this one took over
    /// from none, or that one was purged.
    ///
    /// # Errors
    /// Returns [`Error`] if the store fails.
    pub async fn predecessor(&self, view: &TokenView) -> Result<Option<Predecessor>, Error> {
        let Some(id) = view.rotated_from else { return Ok(None) };
        let old = self.get(&TokenKey { project: view.project, id }).await?;
        Ok(old.map(|old| Predecessor {
            still_used: old.last_used_at.is_some_and(|last| last > view.created_at),
            view: old,
        }))
    }
}
