//! The operations that retire a key of the keyring.

use super::service::Tokens;
use crate::rules::error::Error;
use crate::rules::error_kind::ErrorKind;
use crate::rules::record::RevocationReason;
use crate::store::contract::TokenStore;
use crate::store::group::RevokeGroup;
use crate::store::maintenance::{ProjectsQuery, ProjectsWith, StoreMaintenance};
use crate::store::query::{CountQuery, PageSize, StatusFilter, StatusGroup};
use crate::words::ids::KeyNumber;
use crate::words::retired_key::RetiredKey;
use crate::words::store_error::StoreError;
use crate::words::text::Actor;

/// The numbers of live and ended tokens that use a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct KeyUse {
    /// The number of live tokens: tokens that work, or that can work again, such as disabled
    /// tokens.
    pub live: u64,
    /// The number of tokens that have ended and are not purged yet.
    pub ended: u64,
}

impl<S: TokenStore + StoreMaintenance> Tokens<S> {
    /// Returns how many tokens use a key, in all projects.
    ///
    /// Before the call counts the tokens, it revokes the live tokens that are bound to an ended
    /// token, as [`revoke_orphans`](Self::revoke_orphans) does. Then it reads all records, in pages
    /// of up to 1,000. If the store does not support [`scan`](StoreMaintenance::scan), the call
    /// counts the tokens of one project after another.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Unavailable`] or [`ErrorKind::Store`] if the store fails.
    pub async fn key_use(&self, number: KeyNumber) -> Result<KeyUse, Error> {
        let work = ProjectsWith::EndedIssuers(self.clock.now());
        let mut projects = self.projects(ProjectsQuery { with: Some(work), ..ProjectsQuery::default() });
        while let Some(project) = projects.next().await? {
            self.revoke_orphans_in(&project).await?;
        }
        let (mut found, mut after) = (KeyUse::default(), None);
        loop {
            let Some(page) = self.store.scan(after, PageSize::MAX).await? else {
                return Ok(self.key_use_by_project(number).await?);
            };
            let Some(last) = page.last() else { return Ok(found) };
            after = Some(last.key());
            let now = self.clock.now();
            for record in page.iter().filter(|record| record.id.key_number() == number) {
                match record.status(now).is_live() {
                    true => found.live += 1,
                    false => found.ended += 1,
                }
            }
        }
    }

    /// Counts the tokens of a key in one project after another, for a store that does not support
    /// `scan`.
    async fn key_use_by_project(&self, number: KeyNumber) -> Result<KeyUse, StoreError> {
        let with = Some(ProjectsWith::KeyNumber(number));
        let mut projects = self.projects(ProjectsQuery { with, ..ProjectsQuery::default() });
        let mut found = KeyUse::default();
        while let Some(project) = projects.next().await? {
            let mut query = CountQuery { key_number: Some(number), ..CountQuery::new(project) };
            let mut count = async |group| {
                query.status = Some(StatusFilter { group, at: self.clock.now() });
                self.store.count(&query).await
            };
            found.live += count(StatusGroup::Live).await?;
            found.ended += count(StatusGroup::Ended).await?;
        }
        Ok(found)
    }

    /// Checks that no live token uses a key, and returns the proof that the key is retired. With
    /// the proof, each node can remove the key from its keyring: see
    /// [`Keyring::without`](crate::Keyring::without).
    ///
    /// Before you call this method, make every node mint with another key. Otherwise a node may
    /// still issue tokens under this key. After the key is removed, keyfob no longer finds the
    /// tokens that were [imported](Tokens::import) under it. Do not import these tokens again:
    /// tokens that were revoked here would work again.
    ///
    /// # Errors
    /// - Returns [`ErrorKind::KeyInUse`] if live tokens use the key.
    /// - Returns [`ErrorKind::KeyMints`] if this keyring mints with the key.
    /// - Returns [`ErrorKind::Unavailable`] or [`ErrorKind::Store`] if the store fails.
    pub async fn retire_key(&self, number: KeyNumber) -> Result<RetiredKey, Error> {
        if self.keyring.minting_key() == number {
            return Err(ErrorKind::KeyMints.into());
        }
        match self.key_use(number).await?.live {
            0 => Ok(RetiredKey::new(number)),
            live => Err(ErrorKind::KeyInUse { live }.into()),
        }
    }

    /// Revokes all tokens that use a key, then retires the key. Use this method after the pepper of
    /// the key has leaked.
    ///
    /// If the store fails in one project, the call still revokes the tokens of the other projects.
    /// The call can be repeated.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Partial`] if the store cannot revoke the tokens of every project, or
    /// any error of [`retire_key`](Self::retire_key).
    pub async fn retire_key_by_force(
        &self,
        actor: &Actor,
        number: KeyNumber,
        reason: RevocationReason,
    ) -> Result<RetiredKey, Error> {
        if self.keyring.minting_key() == number {
            return Err(ErrorKind::KeyMints.into());
        }
        let group = RevokeGroup::KeyNumber(number);
        self.revoke_everywhere(actor, &group, reason, None).await?;
        self.retire_key(number).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::rules::sample::{DAY, ada};
    use crate::store::ready::now;
    use crate::tokens::sample::{World, ring};

    fn number(number: u8) -> KeyNumber {
        KeyNumber::new(number).unwrap()
    }

    /// Returns a world with three tokens: a live token and an ended token that use key 1, and a
    /// live token that uses key 2. Key 2 is the minting key.
    fn world() -> World {
        let old = World::over(Arc::default(), ring(&[1]));
        old.issued("145");
        let ended = old.issued("146").record.key();
        now(old.tokens.revoke(&ada(), &ended, RevocationReason::default())).unwrap();
        let world = World::over(old.store, ring(&[1, 2]));
        world.issued("145");
        world
    }

    fn retire(world: &World, key: u8) -> Result<(), ErrorKind> {
        now(world.tokens.retire_key(number(key))).map(drop).map_err(|error| error.kind())
    }

    #[test]
    fn the_tokens_of_a_key_are_counted_in_all_projects() {
        let world = world();
        let used = |key| {
            let mut both = [true, false].map(|unscanned| {
                world.store.unscanned.store(unscanned, Ordering::SeqCst);
                now(world.tokens.key_use(number(key))).unwrap()
            });
            assert_eq!(both[0], both[1], "with and without `scan`");
            core::mem::take(&mut both[0])
        };
        assert_eq!(used(1), KeyUse { live: 1, ended: 1 });
        assert_eq!(used(2), KeyUse { live: 1, ended: 0 });
        assert_eq!(used(3), KeyUse::default());
        world.advance(30 * DAY);
        assert_eq!(used(1), KeyUse { live: 0, ended: 2 });
    }

    #[test]
    fn a_key_is_retired_only_if_no_live_token_uses_it() {
        let world = world();
        assert_eq!(retire(&world, 2), Err(ErrorKind::KeyMints));
        assert_eq!(retire(&world, 1), Err(ErrorKind::KeyInUse { live: 1 }));
        world.advance(30 * DAY);
        assert_eq!(retire(&world, 1), Ok(()));
    }

    #[test]
    fn a_key_is_retired_by_force_with_its_tokens() {
        let world = world();
        let force = |key| {
            let retired = now(world.tokens.retire_key_by_force(&ada(), number(key), RevocationReason::KeyCompromise));
            retired.map(drop).map_err(|error| error.kind())
        };
        assert_eq!(force(2), Err(ErrorKind::KeyMints));
        assert_eq!(now(world.tokens.key_use(number(2))).unwrap().live, 1);
        assert_eq!(force(1), Ok(()));
        assert_eq!(now(world.tokens.key_use(number(1))).unwrap(), KeyUse { live: 0, ended: 2 });
    }
}
