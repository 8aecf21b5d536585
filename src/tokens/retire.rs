//! Retiring a key of the ring.

use super::service::Tokens;
use crate::rules::error::{Error, ErrorKind};
use crate::rules::record::RevocationReason;
use crate::store::contract::TokenStore;
use crate::store::group::RevokeGroup;
use crate::store::maintenance::{ProjectsQuery, StoreMaintenance};
use crate::store::query::{CountQuery, StatusFilter, StatusGroup};
use crate::words::ids::KeyNumber;
use crate::words::retired_key::RetiredKey;
use crate::words::text::Actor;

/// How many tokens stand on a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct KeyUse {
    /// Those that work or may work again.
    pub live: u64,
    /// Those that have ended and are not purged.
    pub dead: u64,
}

impl<S: TokenStore + StoreMaintenance> Tokens<S> {
    /// Counts the tokens on a key, in all projects.
    ///
    /// # Errors
    /// Returns [`Error`] if the store fails.
    pub async fn key_use(&self, number: KeyNumber) -> Result<KeyUse, Error> {
        let mut projects = self.projects(ProjectsQuery::default());
        let mut found = KeyUse::default();
        while let Some(project) = projects.next().await? {
            let mut query = CountQuery::new(project);
            query.key_number = Some(number);
            let mut count = async |life| {
                query.status = Some(StatusFilter { life, at: self.clock.now() });
                self.store.count(&query).await
            };
            found.live += count(StatusGroup::Live).await?;
            found.dead += count(StatusGroup::Dead).await?;
        }
        Ok(found)
    }

    /// Retires a key on which no live token stands: then no token needs it any more, and each node may go
    /// on [without](crate::Keyring::without) it. First make every node mint with another, or tokens are made on it meanwhile.
    /// Tokens that were imported under it are not known again afterwards: do not repeat their [import](Tokens::import).
    ///
    /// # Errors
    /// Returns [`ErrorKind::KeyInUse`] if live tokens still use it, and [`ErrorKind::KeyMints`] if this ring mints with it.
    pub async fn retire_key(&self, number: KeyNumber) -> Result<RetiredKey, Error> {
        if self.keyring.minting_key() == number {
            return Err(ErrorKind::KeyMints.into());
        }
        match self.key_use(number).await?.live {
            0 => Ok(RetiredKey::new(number)),
            live => Err(ErrorKind::KeyInUse { live }.into()),
        }
    }

    /// Retires a key by force: revokes every token on it first, as after a leak of the pepper. If
    /// the store fails in a project, the tokens of the others are revoked all the same.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Partial`] if the store fails in any project, and otherwise what
    /// [`retire_key`](Self::retire_key) returns. It may be called again.
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
