//! The operations that revoke single tokens, by their keys or by their texts.

use std::sync::Arc;

use super::events::Event;
use super::service::Tokens;
use crate::rules::error::Error;
use crate::rules::error_kind::ErrorKind;
use crate::rules::record::{Revocation, RevocationReason, TokenRecord};
use crate::rules::view::TokenView;
use crate::store::contract::TokenStore;
use crate::words::ids::TokenKey;
use crate::words::store_error::StoreError;
use crate::words::text::Actor;

impl<S: TokenStore> Tokens<S> {
    /// Revokes a token permanently.
    ///
    /// The record of the token names `actor` and `reason`. Your service decides whether the actor
    /// may revoke the token. For users who manage their own tokens, use [`of`](Self::of).
    ///
    /// Tokens that are [bound](crate::record::Issuer::bound) to the revoked token also stop
    /// working. The successor of the revoked token keeps working. To end a whole chain of
    /// rotations, use [`revoke_group`](Self::revoke_group). Other processes that use a cache reject
    /// the token at the latest when the bound of their cache has passed.
    ///
    /// The call is idempotent. If the token is already revoked, the call changes nothing and
    /// returns the token with its first revocation. Only the call that revoked the token emits
    /// [`Event::Revoked`]. After an error, the token may or may not be revoked, so repeat the call.
    ///
    /// # Errors
    /// Returns [`ErrorKind::NotFound`] if there is no such token. Returns
    /// [`ErrorKind::Unavailable`] or [`ErrorKind::Store`] if the store fails.
    pub async fn revoke(&self, actor: &Actor, key: &TokenKey, reason: RevocationReason) -> Result<TokenView, Error> {
        let revoked = self.revoke_first(actor, key, reason).await?;
        Ok(revoked.map(|(view, _)| view).ok_or(ErrorKind::NotFound)?)
    }

    /// Revokes a token at the current time. Returns the view of the token and whether this call
    /// revoked it, or `None` if there is no such token.
    pub(super) async fn revoke_first(
        &self,
        actor: &Actor,
        key: &TokenKey,
        reason: RevocationReason,
    ) -> Result<Option<(TokenView, bool)>, StoreError> {
        let now = self.clock.now();
        let revocation = Revocation { at: now, by: actor.clone(), reason };
        let revoked = self.revoke_as(key, &revocation).await?;
        Ok(revoked.map(|(record, is_first)| (record.view(now), is_first)))
    }

    /// Revokes a token with a given time, actor and reason. Returns the record of the token and
    /// whether this call revoked it, or `None` if there is no such token.
    pub(super) async fn revoke_as(
        &self,
        key: &TokenKey,
        revocation: &Revocation,
    ) -> Result<Option<(Arc<TokenRecord>, bool)>, StoreError> {
        let revoked = self.store.revoke(key, revocation).await;
        if revoked.is_err() {
            self.tell(Event::RevokeFailed { key: *key, actor: &revocation.by, reason: revocation.reason });
        }
        let Some(record) = revoked? else { return Ok(None) };
        // If two concurrent calls have the same time, actor and reason, both take themselves for
        // the first, and both emit the event.
        let is_first = record.revoked.as_ref() == Some(revocation);
        if is_first {
            self.tell(Event::Revoked { key: *key, actor: &revocation.by, reason: revocation.reason });
        }
        Ok(Some((record, is_first)))
    }

    /// Revokes tokens by their texts, for a token revocation endpoint ([RFC 7009]).
    ///
    /// Following section 2.2 of the RFC, the call returns `Ok` for every text: a live token, a
    /// revoked or unknown token, or a text that is not a token. So a caller cannot find out which
    /// texts are tokens. For each token that the call revokes, it emits [`Event::Revoked`]. The
    /// call can be repeated with the same texts.
    ///
    /// The call ignores whitespace and quotes around a text, and the scheme of an `Authorization`
    /// header, as [`Credential`](crate::Credential) does. If both parts of a Basic credential are
    /// tokens, it revokes both. If the store fails for one token, the call still revokes the other
    /// tokens.
    ///
    /// To revoke a token that was found in public, use [`report_leak`](Self::report_leak). That
    /// method returns the owner of the token, and emits an event of the leak.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Unavailable`] or [`ErrorKind::Store`] if the store fails for any token.
    /// After several failures, the last error is returned.
    ///
    /// [RFC 7009]: https://www.rfc-editor.org/rfc/rfc7009
    pub async fn revoke_presented<T>(
        &self,
        actor: &Actor,
        tokens: impl IntoIterator<Item = T>,
        reason: RevocationReason,
    ) -> Result<(), Error>
    where
        T: AsRef<[u8]>,
    {
        let mut outcome = Ok(());
        for token in tokens {
            let (records, found) = self.held_in(token.as_ref()).await;
            if let Err(error) = found {
                outcome = Err(error.into());
            }
            for record in records {
                // If the token was purged meanwhile, it needs no revocation.
                if let Err(error) = self.revoke_first(actor, &record.key(), reason).await {
                    outcome = Err(error.into());
                }
            }
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::sample::{MS, ada, id};
    use crate::rules::status::Status;
    use crate::store::ready::now;
    use crate::tokens::sample::{World, mistyped};
    use crate::words::store_error::StoreErrorKind;

    const REASON: RevocationReason = RevocationReason::CessationOfOperation;

    #[test]
    fn the_first_revocation_is_emitted_and_returned_to_the_second_caller() {
        let world = World::new();
        let key = world.issued("145").record.key();
        let first = now(world.tokens.revoke(&ada(), &key, REASON)).unwrap();
        assert_eq!((first.status, world.heard()), (Status::Revoked, vec!["revoked"]));
        world.advance(MS);
        let second = now(world.tokens.revoke(&"bob".parse().unwrap(), &key, RevocationReason::default())).unwrap();
        assert_eq!((second, world.heard()), (first, vec![]));
    }

    #[test]
    fn a_revocation_during_which_the_store_fails_emits_revoke_failed() {
        let world = World::new();
        let key = world.issued("145").record.key();
        world.fail(StoreErrorKind::Unavailable, 1);
        let failed = now(world.tokens.revoke(&ada(), &key, REASON)).unwrap_err();
        assert_eq!((failed.kind(), world.heard()), (ErrorKind::Unavailable, vec!["revoke_failed"]));
        let nobody = TokenKey { id: id('1'), ..key };
        assert_eq!(now(world.tokens.revoke(&ada(), &nobody, REASON)).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(world.heard(), [""; 0]);
    }

    #[test]
    fn presented_tokens_are_revoked_and_other_texts_are_ignored() {
        let world = World::new();
        let issued = [world.issued("145"), world.issued("145"), world.issued("145")];
        let text = |at: usize| issued[at].token.expose_secret().to_owned();
        let mistyped = mistyped(&text(2));
        let texts = [text(0), "nothing".to_owned(), format!("Bearer {}", text(1)), mistyped];
        now(world.tokens.revoke_presented(&ada(), &texts, REASON)).unwrap();
        assert_eq!(world.heard(), ["revoked", "revoked"]);
        let revoked = issued.each_ref().map(|issued| world.stored(&issued.record.key()).revoked.is_some());
        assert_eq!(revoked, [true, true, false]);
    }

    #[test]
    fn tokens_after_a_failed_one_are_revoked_too() {
        let world = World::new();
        let (first, second) = (world.issued("145"), world.issued("145"));
        world.fail(StoreErrorKind::Unavailable, 1);
        let texts = [first.token.expose_secret(), second.token.expose_secret()];
        let failed = now(world.tokens.revoke_presented(&ada(), texts, REASON)).unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::Unavailable);
        assert_eq!(world.heard(), ["revoke_failed", "revoked"]);
        assert!(world.stored(&first.record.key()).revoked.is_none());
        let down = world.issued("146");
        world.take_down("146");
        let failed = now(world.tokens.revoke_presented(&ada(), [down.token.expose_secret()], REASON)).unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::Unavailable);
    }
}
