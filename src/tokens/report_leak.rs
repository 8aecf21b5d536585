//! A token that was found where it should not be.

use super::events::Event;
use super::issued::IssuedTokens;
use super::service::Tokens;
use crate::rules::error::Error;
use crate::rules::record::{Revocation, RevocationReason};
use crate::rules::view::TokenView;
use crate::store::contract::TokenStore;
use crate::words::credential::Credential;
use crate::words::leaked::LeakedToken;
use crate::words::text::Actor;

/// What a reported token was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LeakOutcome {
    /// None of this service's: unknown, purged, of a key that was retired, mistyped, or no token at all. Nothing was done.
    NotOurs,
    /// A token that is revoked now, for this report.
    Revoked(Box<TokenView>, IssuedTokens),
    /// A token that was revoked before.
    RevokedBefore(Box<TokenView>, IssuedTokens),
}

impl LeakOutcome {
    /// The token, where it was one of the service's: whose it is, and what it is called.
    pub fn token(&self) -> Option<&TokenView> {
        match self {
            Self::NotOurs => None,
            Self::Revoked(token, _) | Self::RevokedBefore(token, _) => Some(token),
        }
    }

    /// What the token had issued, where it was one of the service's.
    pub fn issued(&self) -> IssuedTokens {
        match self {
            Self::NotOurs => IssuedTokens::default(),
            Self::Revoked(_, issued) | Self::RevokedBefore(_, issued) => *issued,
        }
    }
}

impl<S: TokenStore> Tokens<S> {
    /// Revokes a token that was found, if it is one of this service's, and says what it was. The reason is
    /// [`KeyCompromise`](RevocationReason::KeyCompromise), and the event [`Event::Leaked`] tells your sink of it.
    ///
    /// What a paste leaves around the token is dropped, and so is the scheme of a header, as [`Credential`] reads it. A text
    /// that holds more than the token is searched with a `Finder`, as below, or read by `LeakReport::read_all`: this verb does not
    /// look for tokens within a text.
    ///
    /// The token's secret is checked, so that nobody can end another's token by an id alone. It is revoked whatever its state,
    /// also where it had expired: its owner should know. Tell the owner, who is in the outcome, where it was found; tell the
    /// one who reports no more than that you thank them, unless they may know, as scanners with feedback do.
    ///
    /// Whatever is bound to the token ends with it, and is revoked too. The outcome says how much that was, and how many
    /// [independent](crate::Delegation::independent) tokens it has issued that work on: whoever found it may have made them, so
    /// list them by [`ListQuery::issuer`](crate::store::ListQuery::issuer) and revoke what its owner does not know. Its
    /// successor works on too, as its [`rotated_to`](TokenView::rotated_to): if its owner did not make that, revoke the
    /// [`family`](TokenView::family) by [`revoke_group`](Self::revoke_group). To be sure, revoke all of its owner.
    ///
    /// It may be called again with the same token. Where the answer to a first call was lost, only the repeat tells whose it was,
    /// as [`RevokedBefore`](LeakOutcome::RevokedBefore): so tell the owner of both, once for each token.
    ///
    /// # Errors
    /// Returns [`Error`] if the store fails: it is not known what the token is, or it may live on. Report it again.
    ///
    /// ```
    /// use keyfob::{Access, leak::Finder};
    /// # use keyfob::{Actor, Keyring, MemoryStore, Name, NewToken, OwnerId, Pepper, Prefix, ProjectId, Tokens};
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let keyring = Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?);
    /// # let finder = Finder::new(keyring.prefixes().to_vec());
    /// # let tokens = Tokens::new(keyring, MemoryStore::new());
    /// # let (project, ada) = (ProjectId::new("145")?, OwnerId::new("ada")?);
    /// # let issued = tokens.issue(&Actor::from(&ada), NewToken::new(project, ada, Name::new("CI")?)).await?;
    /// # let paste = format!("export TOKEN={}", issued.token.expose_secret());
    ///
    /// for found in finder.find_in(paste.as_bytes()) {
    ///     let outcome = tokens.report_leak(&Actor::new("scan of pastes")?, &found.token).await?;
    ///     if let Some(token) = outcome.token() {
    ///         // Once for each token: what was told is yours to note.
    ///         println!("{}: your token {} was found, and is revoked", token.owner, token.name);
    ///     }
    /// }
    /// let refused = tokens.verify(issued.token.expose_secret(), &Access::to(&project, &[])).await;
    /// assert!(refused.is_err());
    /// # Ok(())
    /// # }
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # runtime.block_on(example()).unwrap();
    /// ```
    pub async fn report_leak(&self, actor: &Actor, leaked: &LeakedToken) -> Result<LeakOutcome, Error> {
        let credential = Credential::pasted(leaked.as_bytes());
        let Some(record) = self.held(credential.as_ref()).await? else { return Ok(LeakOutcome::NotOurs) };
        let (key, now) = (record.key(), self.clock.now());
        let revoked = if record.revoked.is_some() {
            // Whoever revoked it may have been told that it may be lost.
            self.store.find_durable(&key).await?.map(|record| (record.view(now), false))
        } else {
            self.revoke_first(actor, &key, RevocationReason::KeyCompromise).await?
        };
        let Some((view, is_first)) = revoked else { return Ok(LeakOutcome::NotOurs) };
        if is_first {
            self.tell(Event::Leaked { key, actor, is_first, left_out: 0 });
        } else {
            self.reported_again(key, actor, now);
        }
        let revocation = Revocation { at: now, by: actor.clone(), reason: RevocationReason::KeyCompromise };
        let issued = self.end_issued(actor, &key, &revocation).await?;
        let view = Box::new(view);
        Ok(if is_first { LeakOutcome::Revoked(view, issued) } else { LeakOutcome::RevokedBefore(view, issued) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::error_kind::ErrorKind;
    use crate::rules::sample::{DAY, ada};
    use crate::store::ready::now;
    use crate::tokens::sample::{World, mistyped};
    use crate::words::store_error::StoreErrorKind;

    fn report(world: &World, text: &str) -> Result<LeakOutcome, ErrorKind> {
        now(world.tokens.report_leak(&ada(), &LeakedToken::new(text).unwrap())).map_err(|error| error.kind())
    }

    #[test]
    fn a_reported_token_is_revoked_once_and_known_again() {
        let world = World::new();
        let issued = world.issued("145");
        let text = issued.token.expose_secret();
        let first = report(&world, text).unwrap();
        assert!(matches!(&first, LeakOutcome::Revoked(view, _) if view.key() == issued.record.key()));
        assert_eq!(world.heard(), ["revoked", "leaked"]);
        let revoked = world.stored(&issued.record.key()).revoked.clone().unwrap();
        assert_eq!(revoked.reason, RevocationReason::KeyCompromise);
        let again = report(&world, text).unwrap();
        assert!(matches!(&again, LeakOutcome::RevokedBefore(_, _)));
        assert_eq!(again.token(), first.token());
        assert_eq!(world.heard(), ["leaked"]);
    }

    #[test]
    fn a_token_that_has_expired_is_revoked_too() {
        let world = World::new();
        let issued = world.issued("145");
        world.advance(31 * DAY);
        assert!(matches!(report(&world, issued.token.expose_secret()), Ok(LeakOutcome::Revoked(_, _))));
    }

    #[test]
    fn a_mistyped_text_ends_nobodys_token() {
        let world = World::new();
        let issued = world.issued("145");
        let text = issued.token.expose_secret();
        let mistyped = mistyped(text);
        assert_eq!(report(&world, &mistyped), Ok(LeakOutcome::NotOurs));
        assert_eq!(LeakOutcome::NotOurs.token(), None);
        assert!(world.stored(&issued.record.key()).revoked.is_none());
        assert_eq!(report(&World::new(), text), Ok(LeakOutcome::NotOurs), "unknown there");
        assert_eq!(world.heard(), [""; 0]);
    }

    #[test]
    fn a_report_that_the_store_failed_is_to_be_repeated() {
        let world = World::new();
        let issued = world.issued("145");
        world.fail(StoreErrorKind::Unavailable, 1);
        assert_eq!(report(&world, issued.token.expose_secret()), Err(ErrorKind::Unavailable));
        assert_eq!(world.heard(), ["revoke_failed"]);
        world.take_down("145");
        assert_eq!(report(&world, issued.token.expose_secret()), Err(ErrorKind::Unavailable));
    }
}
