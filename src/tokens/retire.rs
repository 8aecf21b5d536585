//! Retiring a key of the ring.

use core::error::Error;
use core::fmt;

use super::owners::Owners;
use super::projects::Interrupted;
use super::service::Tokens;
use crate::rules::record::RevocationReason;
use crate::store::contract::{ProjectsQuery, RevokeGroup, StoreMaintenance, TokenStore};
use crate::store::query::{CountQuery, Life, StatusFilter};
use crate::words::clock::Clock;
use crate::words::ids::KeyNumber;
use crate::words::keyring::RetiredKey;
use crate::words::store_error::StoreError;
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

impl<S: TokenStore + StoreMaintenance, C: Clock, O: Owners> Tokens<S, C, O> {
    /// Counts the tokens on a key, in all projects.
    ///
    /// # Errors
    /// [`StoreError`] where the store fails.
    pub async fn key_use(&self, number: KeyNumber) -> Result<KeyUse, StoreError> {
        let mut projects = self.projects(ProjectsQuery::default());
        let mut found = KeyUse::default();
        while let Some(project) = projects.next().await? {
            let mut query = CountQuery::new(project);
            query.key_number = Some(number);
            let mut count = async |life| {
                query.status = Some(StatusFilter { life, at: self.clock.now() });
                self.store.count(&query).await
            };
            found.live += count(Life::Live).await?;
            found.dead += count(Life::Dead).await?;
        }
        Ok(found)
    }

    /// Retires a key on which no live token stands: then no token needs it any more, and each node may go
    /// on [without](crate::Keyring::without) it. First make every node mint with another, or tokens are made on it meanwhile.
    /// Tokens that were imported under it are not known again afterwards: do not repeat their [import](Tokens::import).
    ///
    /// # Errors
    /// [`RetireError::InUse`] where live tokens stand on it, [`RetireError::Minting`] where this ring mints with it.
    pub async fn retire_key(&self, number: KeyNumber) -> Result<RetiredKey, RetireError> {
        if self.keyring.minting_key() == number {
            return Err(RetireError::Minting);
        }
        match self.key_use(number).await.map_err(RetireError::Store)?.live {
            0 => Ok(RetiredKey::new(number)),
            live => Err(RetireError::InUse { live }),
        }
    }

    /// Retires a key by force: revokes every token on it first, as after a leak of the pepper. If
    /// the store fails in a project, the tokens of the others are revoked all the same.
    ///
    /// # Errors
    /// Returns [`RetireError::Interrupted`] if the store fails in any project, and else what
    /// [`retire_key`](Self::retire_key) returns. It may be called again.
    pub async fn retire_key_by_force(
        &self,
        actor: &Actor,
        number: KeyNumber,
        reason: RevocationReason,
    ) -> Result<RetiredKey, RetireError> {
        if self.keyring.minting_key() == number {
            return Err(RetireError::Minting);
        }
        let group = RevokeGroup::KeyNumber(number);
        self.revoke_everywhere(actor, &group, reason, None).await.map_err(RetireError::Interrupted)?;
        self.retire_key(number).await
    }
}

/// Why a key was not retired.
#[derive(Debug)]
#[non_exhaustive]
pub enum RetireError {
    /// The ring makes new tokens with it: promote another one first.
    Minting,
    /// Live tokens stand on it.
    InUse {
        /// So many.
        live: u64,
    },
    /// The store failed while tokens were revoked, in the projects that it names.
    Interrupted(Interrupted),
    /// The store failed while tokens were counted.
    Store(StoreError),
}

impl fmt::Display for RetireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minting => f.write_str("the key makes new tokens"),
            Self::InUse { live } => write!(f, "{live} live tokens stand on the key"),
            Self::Interrupted(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl Error for RetireError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Minting | Self::InUse { .. } => None,
            Self::Interrupted(error) => error.source(),
            Self::Store(error) => error.source(),
        }
    }
}
