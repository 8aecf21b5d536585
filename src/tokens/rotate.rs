//! The operation that rotates a token: it replaces the token with a new token.

use std::sync::Arc;

use super::change_verbs::TRIES;
use super::events::Event;
use super::service::Tokens;
use crate::rules::delegation::Delegation;
use crate::rules::error::Error;
use crate::rules::error_kind::ErrorKind;
use crate::rules::mint::Issued;
use crate::rules::record::{RevocationReason, TokenRecord};
use crate::rules::rotate::rotate;
use crate::rules::rotation::{PreparedRotation, Rotation};
use crate::rules::status::Status;
use crate::rules::view::TokenView;
use crate::store::contract::TokenStore;
use crate::words::ids::TokenKey;
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::text::Actor;
use crate::words::timestamp::Timestamp;

/// The result of a rotation.
#[derive(Debug)]
#[non_exhaustive]
pub struct Rotated {
    /// The new token. Show it to the user immediately: it cannot be shown again.
    pub issued: Issued<Arc<TokenRecord>>,
    /// The old token. Its view shows the end of its grace period.
    pub old: TokenView,
}

/// An old token that was rotated, and whether it is still in use.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Predecessor {
    /// The old token.
    pub view: TokenView,
    /// Whether the old token was used after its successor was created. If so, a holder has not
    /// switched to the new token yet. Only recorded uses count.
    pub still_used: bool,
}

impl<S: TokenStore> Tokens<S> {
    /// Rotates a token: creates a successor that replaces the token, in one transaction. The old
    /// token works until its grace period ends.
    ///
    /// After the grace period, a use of the old token is rejected and emits [`Event::Reused`]. If
    /// two callers rotate one token concurrently, one call succeeds and the other call gets
    /// [`ErrorKind::AlreadyRotated`]. If a call must be repeatable after a lost response, use
    /// [`Rotation::with_retry`].
    ///
    /// The limits on live tokens of an owner and of an issuer do not apply to rotations. So a user
    /// who has reached the limit can still rotate a token. To keep the number of tokens small, a
    /// token cannot be rotated while its predecessor is still in a grace period. So at most two
    /// tokens of a chain of rotations work at the same time.
    ///
    /// # Errors
    /// - Returns [`ErrorKind::NotFound`] if there is no such token.
    /// - Returns [`ErrorKind::Ended`] if the token, or a token that it is bound to, has ended.
    /// - Returns [`ErrorKind::Inactive`] if the token is disabled, pending or not yet valid.
    /// - Returns [`ErrorKind::AlreadyRotated`] if the token has a successor, and this call does not
    ///   repeat the request that created the successor.
    /// - Returns [`ErrorKind::PredecessorInGrace`] if the predecessor of the token is in its grace
    ///   period.
    /// - Returns [`ErrorKind::Policy`] if the policy does not allow the successor or the grace
    ///   period.
    /// - If another token asks for the rotation, returns [`ErrorKind::OutsideIssuer`] if that token
    ///   may not issue the successor, and [`ErrorKind::IssuerEnded`] if that token may no longer
    ///   issue tokens.
    /// - Returns [`ErrorKind::Conflict`] if concurrent changes interfered with each of 16 tries.
    /// - Returns [`ErrorKind::Rng`] if the random number generator fails.
    /// - Returns [`ErrorKind::Unavailable`] or [`ErrorKind::Store`] if the store fails. After such
    ///   an error, the token may or may not be rotated. After all other errors, it is unchanged.
    pub async fn rotate(&self, actor: &Actor, key: &TokenKey, rotation: Rotation) -> Result<Rotated, Error> {
        for _ in 0..TRIES {
            let old = self.store.find(key).await?.ok_or(ErrorKind::NotFound)?;
            let now = self.clock.now();
            // A repeated call may find the old token after its grace period. If an issuer of the
            // old token has ended, the successor could not work, so the rotation is refused.
            let rotates = matches!(old.status(now), Status::Rotated) || old.status(now).is_live();
            if rotates && self.chain_of(Some(Arc::clone(&old))).await?.issuers_end(self.policy(), now) {
                return Err(ErrorKind::Ended(Status::IssuerEnded).into());
            }
            let mut rotation = rotation.clone();
            if let Some(delegation) = rotation.delegation() {
                let delegation = self.renewed(delegation, now).await?;
                rotation = rotation.within(&delegation);
            }
            let issuer = rotation.delegation().map(Delegation::condition);
            let succession = rotate(&self.keyring, self.policy(), &old, rotation, actor, now)?;
            let PreparedRotation { successor: Issued { token, record }, grace_until } = succession;
            match self.store.rotate(key, old.version, record.clone(), grace_until, issuer).await {
                // The issuing token changed after this call read it, so read and check it again.
                Err(error) if error.kind() == StoreErrorKind::IssuerChanged => {}
                Err(error) if error.kind() == StoreErrorKind::Conflict => {
                    // If the version of the token is unchanged, another token caused the conflict.
                    let unchanged = self.store.find(key).await?.is_some_and(|now| now.version == old.version);
                    if let Some(id) = old.rotated_from.filter(|_| unchanged)
                        && let Some(until) = self.grace_of(&TokenKey { project: key.project, id }, now).await?
                    {
                        return Err(ErrorKind::PredecessorInGrace(until).into());
                    }
                    // The token has a successor. The store accepts another rotation only if it
                    // repeats the request that created the successor.
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

    /// Returns the end of a token's grace period, or `None` if the token is not in a grace period.
    async fn grace_of(&self, key: &TokenKey, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let found = self.store.find(key).await?.filter(|record| record.is_in_grace(now));
        Ok(found.and_then(|record| record.grace_until))
    }

    /// Returns the old token of the rotation that created the token in `view`, and whether the old
    /// token was used after this rotation. Returns `None` if no rotation created the token in
    /// `view`, or if the old token was purged.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Unavailable`] or [`ErrorKind::Store`] if the store fails.
    pub async fn predecessor(&self, view: &TokenView) -> Result<Option<Predecessor>, Error> {
        let Some(id) = view.rotated_from else { return Ok(None) };
        let old = self.get(&TokenKey { project: view.project, id }).await?;
        Ok(old.map(|old| Predecessor {
            still_used: old.last_used_at.is_some_and(|last| last > view.created_at),
            view: old,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::sample::{DAY, MS, ada, id};
    use crate::rules::status::Status;
    use crate::store::last_use::LastUse;
    use crate::store::ready::now;
    use crate::tokens::sample::{World, project};

    fn rotate(world: &World, key: &TokenKey) -> Result<Rotated, ErrorKind> {
        now(world.tokens.rotate(&ada(), key, Rotation::with_grace(DAY))).map_err(|error| error.kind())
    }

    #[test]
    fn a_rotation_stores_both_tokens_and_is_emitted() {
        let world = World::new();
        let key = world.issued("145").record.key();
        let rotated = rotate(&world, &key).unwrap();
        assert_eq!(world.heard(), ["rotated"]);
        let (old, new) = (world.stored(&key), world.stored(&rotated.issued.record.key()));
        assert_eq!(*new, *rotated.issued.record);
        assert_eq!((old.rotated_to, new.rotated_from, new.family), (Some(new.id), Some(old.id), old.family));
        assert_eq!(rotated.old, old.view(world.tokens.now()));
        assert_eq!(rotated.old.status, Status::Active);
    }

    #[test]
    fn a_token_can_be_rotated_once() {
        let world = World::new();
        let key = world.issued("145").record.key();
        rotate(&world, &key).unwrap();
        assert_eq!(rotate(&world, &key).err(), Some(ErrorKind::AlreadyRotated));
        let nobody = TokenKey { project: project("145"), id: id('1') };
        assert_eq!(rotate(&world, &nobody).err(), Some(ErrorKind::NotFound));
    }

    #[test]
    fn a_successor_can_be_rotated_after_its_predecessor_has_stopped_working() {
        let world = World::new();
        let first = rotate(&world, &world.issued("145").record.key()).unwrap();
        let second = first.issued.record.key();
        let until = first.old.grace_until.unwrap();
        world.advance(DAY - MS);
        assert_eq!(rotate(&world, &second).err(), Some(ErrorKind::PredecessorInGrace(until)));
        world.advance(MS);
        assert!(rotate(&world, &second).is_ok());
    }

    #[test]
    fn a_repeat_of_the_same_request_replaces_the_first_successor() {
        let world = World::new();
        let key = world.issued("145").record.key();
        let repeatable = |request: &str| {
            let rotation = Rotation::with_grace(DAY).with_retry(request.parse().unwrap(), DAY);
            now(world.tokens.rotate(&ada(), &key, rotation)).map_err(|error| error.kind())
        };
        let first = repeatable("one").unwrap();
        assert_eq!(repeatable("two").err(), Some(ErrorKind::AlreadyRotated));
        world.heard();
        let second = repeatable("one").unwrap();
        assert_eq!(world.heard(), ["revoked", "rotated"]);
        let superseded = world.stored(&first.issued.record.key()).revoked.clone().unwrap();
        assert_eq!(superseded.reason, RevocationReason::Superseded);
        assert_eq!(world.stored(&key).rotated_to, Some(second.issued.record.id));
    }

    #[test]
    fn a_rotation_is_retried_after_conflicts_up_to_the_limit() {
        let world = World::new();
        for fault in [StoreErrorKind::Conflict, StoreErrorKind::IssuerChanged] {
            let key = world.issued("145").record.key();
            world.fail(fault, TRIES);
            assert_eq!(rotate(&world, &key).err(), Some(ErrorKind::Conflict));
            assert_eq!(world.stored(&key).rotated_to, None);
            world.fail(fault, TRIES - 1);
            assert!(rotate(&world, &key).is_ok());
        }
        let key = world.issued("145").record.key();
        world.fail(StoreErrorKind::Unavailable, 1);
        assert_eq!(rotate(&world, &key).err(), Some(ErrorKind::Unavailable));
    }

    #[test]
    fn a_predecessor_that_is_used_after_the_rotation_is_still_used() {
        let world = World::new();
        let key = world.issued("145").record.key();
        let view = rotate(&world, &key).unwrap().issued.record.view(world.tokens.now());
        let predecessor = || now(world.tokens.predecessor(&view)).unwrap().unwrap();
        assert!(!predecessor().still_used);
        for (used_at, held) in [(view.created_at, false), (view.created_at.saturating_add(MS), true)] {
            now(world.store.rows.touch_many(&[LastUse { key, used_at, from: None }])).unwrap();
            assert_eq!(predecessor().still_used, held);
            assert_eq!(predecessor().view.id, key.id);
        }
        let first = predecessor().view;
        assert!(now(world.tokens.predecessor(&first)).unwrap().is_none());
        let purged = TokenView { rotated_from: Some(id('1')), ..view };
        assert!(now(world.tokens.predecessor(&purged)).unwrap().is_none());
    }
}
