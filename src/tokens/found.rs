//! The look-up of the record of a presented token.

use core::time::Duration;
use std::sync::Arc;

use super::service::Tokens;
use crate::rules::chain::Chain;
use crate::rules::error::Error;
use crate::rules::proof::{Proven, prove};
use crate::rules::record::TokenRecord;
use crate::rules::verify_error::{VerifyError, Why};
use crate::rules::view::TokenView;
use crate::store::contract::{ChainResult, TokenStore};
use crate::words::credential::Credential;
use crate::words::digest::Digest;
use crate::words::ids::{Prefix, TokenKey};
use crate::words::presented::PresentedToken;
use crate::words::rejection::{Refused, Rejection};
use crate::words::store_error::StoreError;
use crate::words::timestamp::Timestamp;

/// The record that a presented keyfob token needs.
pub(crate) struct Sought {
    prefix: Prefix,
    key: TokenKey,
    digest: Digest,
}

impl Sought {
    pub(super) fn of(token: &PresentedToken<'_>) -> Self {
        Self { prefix: token.text().prefix(), key: token.key(), digest: *token.digest() }
    }

    pub(super) fn key(&self) -> &TokenKey {
        &self.key
    }
}

/// A presented token, with the records that the store has for it.
pub(super) struct Found {
    /// The prefix in the text of the token, or `None` for an imported token.
    prefix: Option<Prefix>,
    /// The key of the token. The text of a keyfob token contains the key. The key of an imported
    /// token comes from its record, and is `None` if there is no record with this digest.
    pub(super) key: Option<TokenKey>,
    digest: Digest,
    chain: Chain,
    pub(super) age: Duration,
}

impl Found {
    pub(super) fn of(sought: Sought, ChainResult { chain, age }: ChainResult) -> Self {
        let Sought { prefix, key, digest } = sought;
        Self { prefix: Some(prefix), key: Some(key), digest, chain, age }
    }

    pub(super) fn prove(self) -> Result<Proven, Refused> {
        let Self { prefix, key, digest, chain, age: _ } = self;
        prove(&digest, chain, |record| match prefix {
            Some(prefix) => record.prefix == prefix && Some(record.key()) == key,
            // An imported token is found by its secret. Its text names no prefix, project or id.
            None => true,
        })
    }
}

impl<S: TokenStore> Tokens<S> {
    /// Returns the current records that the store has for a presented token. Does not compare the
    /// secret of the token.
    ///
    /// # Errors
    /// Returns a [`VerifyError`] if the text is not a token of this service, or if the store fails.
    pub(super) async fn found(&self, text: &[u8]) -> Result<Found, VerifyError> {
        let sought = match PresentedToken::parse(text, &self.keyring) {
            Ok(token) => Sought::of(&token),
            Err(rejection) => return self.found_imported(text, rejection).await,
        };
        match self.chain(&sought.key).await {
            Ok(chain) => Ok(Found::of(sought, ChainResult::now(chain))),
            Err(error) => Err(VerifyError::new(error, Some(sought.key), None)),
        }
    }

    /// Returns whether a text that is not a keyfob token for this reason may be an imported token.
    #[inline]
    pub(super) fn may_be_imported(&self, text: &[u8], rejection: Rejection) -> bool {
        // These rejections mean that the text has the correct checksum of a keyfob token. A forged
        // keyfob token must not cause a call to the store.
        let ours = matches!(rejection, Rejection::Unkeyed | Rejection::UnknownKey | Rejection::Tag);
        self.imports.as_ref().is_some_and(|imports| !ours && imports.imports().fits(text))
    }

    /// Looks up an imported token by its text. The caller must first find out that the text is not
    /// a keyfob token, and pass the reason as `rejection`. If the text cannot be an imported token,
    /// the call fails with `rejection`.
    pub(super) async fn found_imported(&self, text: &[u8], rejection: Rejection) -> Result<Found, VerifyError> {
        let imports = self.imports.as_ref().filter(|_| self.may_be_imported(text, rejection));
        let Some(imports) = imports else { return Err(rejection.into()) };
        match imports.find(&self.store, &self.keyring, text).await {
            Ok(Some((digest, record))) => {
                // The public part of a salted token is no secret, so it alone names no token.
                let key = record.as_ref().filter(|record| record.digest.ct_eq(&digest)).map(|record| record.key());
                Ok(Found { prefix: None, key, digest, chain: record.into(), age: Duration::ZERO })
            }
            Ok(None) => Err(rejection.into()),
            Err(error) => Err(VerifyError::new(error, None, None)),
        }
    }

    /// Returns the current record of a token, and the current records of the tokens that it is
    /// bound to.
    pub(super) async fn chain(&self, key: &TokenKey) -> Result<Chain, StoreError> {
        self.chain_of(self.store.find(key).await?).await
    }

    /// Returns the view of a token. The status in the view takes the issuers of the token into
    /// account.
    pub(super) async fn view_of(&self, record: Arc<TokenRecord>, now: Timestamp) -> Result<TokenView, Error> {
        let chain = self.chain_of(Some(record)).await?;
        Ok(chain.view(self.policy(), now).expect("the chain begins with the record"))
    }

    /// Returns the chain of a record: the record, and the current records of the tokens that the
    /// token is bound to.
    pub(super) async fn chain_of(&self, record: Option<Arc<TokenRecord>>) -> Result<Chain, StoreError> {
        let mut chain = Chain::from(record);
        while let Some(issuer) = chain.next_issuer() {
            let Some(issuer) = self.store.find(&issuer).await? else { break };
            chain.add(issuer);
        }
        Ok(chain)
    }

    /// Returns the records of the tokens in a text that was pasted or reported, each as
    /// [`held`](Self::held) returns it, and the last failure of the store. The text may be any
    /// value of `Authorization` that a guard without further places accepts, with pasted characters
    /// around it. Both parts of a Basic credential may be tokens.
    pub(super) async fn held_in(&self, pasted: &[u8]) -> (Vec<Arc<TokenRecord>>, Result<(), StoreError>) {
        let (mut held, mut outcome) = (Vec::new(), Ok(()));
        for text in Credential::all_in(pasted) {
            match self.held(text.as_ref()).await {
                Ok(record) => held.extend(record),
                Err(error) => outcome = Err(error),
            }
        }
        (held, outcome)
    }

    /// Returns the record of a presented token if the secret in the text is correct, even if the
    /// token has ended. Returns `None` for any other text.
    pub(super) async fn held(&self, text: &[u8]) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        match self.found(text).await {
            Ok(found) => Ok(found.prove().ok().map(|proven| Arc::clone(proven.record()))),
            Err(error) => match error.into_why() {
                Why::Rejected(_) => Ok(None),
                Why::Unavailable(error) => Err(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::sample::{DAY, id};
    use crate::store::ready::now;
    use crate::tokens::sample::{World, mistyped};
    use crate::words::store_error::StoreErrorKind;

    #[test]
    fn a_token_is_proved_only_by_the_record_that_its_text_names() {
        let world = World::new();
        let issued = world.issued("145");
        let text = issued.token.expose_secret();
        let token = PresentedToken::parse(text, &world.tokens.keyring).unwrap();
        let proves = |change: fn(&mut TokenRecord)| {
            let mut record = TokenRecord::clone(&issued.record);
            change(&mut record);
            let chain = ChainResult::now(Some(Arc::new(record)));
            Found::of(Sought::of(&token), chain).prove().is_ok()
        };
        assert!(proves(|_| ()));
        // A store that returns another record does not make the token work.
        assert!(!proves(|record| record.prefix = "other_pat".parse().unwrap()));
        assert!(!proves(|record| record.project = "146".parse().unwrap()));
        assert!(!proves(|record| record.id = id('7')));
        assert!(!proves(|record| record.digest = Digest::from_bytes([7; 32])));
    }

    #[test]
    fn the_right_text_finds_its_record_dead_or_alive() {
        let world = World::new();
        let issued = world.issued("145");
        let text = issued.token.expose_secret();
        let held = |text: &str| now(world.tokens.held(text.as_bytes())).map(|record| record.map(|record| record.key()));
        assert_eq!(held(text).unwrap(), Some(issued.record.key()));
        world.advance(31 * DAY);
        assert_eq!(held(text).unwrap(), Some(issued.record.key()));
        assert_eq!(held(&mistyped(text)).unwrap(), None);
        world.take_down("145");
        assert_eq!(held(text).unwrap_err().kind(), StoreErrorKind::Unavailable);
    }
}
