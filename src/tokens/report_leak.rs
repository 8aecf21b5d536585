//! The operation that reports a token that was found in public.

use super::events::Event;
use super::issued::IssuedTokens;
use super::service::Tokens;
use crate::rules::error::Error;
use crate::rules::record::{Revocation, RevocationReason, TokenRecord};
use crate::rules::view::TokenView;
use crate::store::contract::TokenStore;
use crate::words::leaked::LeakedToken;
use crate::words::text::Actor;

/// The outcome of a leak report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LeakOutcome {
    /// The reported text is not a token that this service knows. For instance, the token was
    /// purged, uses a retired key, or is mistyped. The report changed nothing.
    NotOurs,
    /// This report revoked the token. Before the report, the token was live, or had ended without a
    /// revocation.
    Revoked(Box<TokenView>, IssuedTokens),
    /// The token was revoked before this report.
    RevokedBefore(Box<TokenView>, IssuedTokens),
}

impl LeakOutcome {
    /// Returns the reported token, with its owner and name. Returns `None` if the text is not a
    /// token that this service knows.
    pub fn token(&self) -> Option<&TokenView> {
        match self {
            Self::NotOurs => None,
            Self::Revoked(token, _) | Self::RevokedBefore(token, _) => Some(token),
        }
    }

    /// Returns the numbers of tokens that the reported token had issued and that were live before
    /// this call. The bound tokens are now revoked, and the independent tokens still work. Both
    /// numbers are zero for [`NotOurs`](Self::NotOurs).
    pub fn issued(&self) -> IssuedTokens {
        match self {
            Self::NotOurs => IssuedTokens::default(),
            Self::Revoked(_, issued) | Self::RevokedBefore(_, issued) => *issued,
        }
    }
}

impl<S: TokenStore> Tokens<S> {
    /// Revokes a token that was found in public. Returns whose token it was and whether this call
    /// revoked it. Returns [`NotOurs`](LeakOutcome::NotOurs) if the text is not a token that this
    /// service knows.
    ///
    /// The reason of the revocation is [`KeyCompromise`](RevocationReason::KeyCompromise). Besides
    /// the event of the revocation, the call emits [`Event::Leaked`]. It checks the secret of the
    /// token, so no one can revoke a token by its id alone. It also revokes an expired token,
    /// because the owner should know of the leak.
    ///
    /// **What to do with the outcome.** Notify the owner of the token, and say where the token was
    /// found. Do not show the outcome to the reporter, unless the reporter is trusted with it, for
    /// instance a secret scanner with a feedback API.
    ///
    /// **Tokens that the leaked token issued.** All tokens that are bound to it stop working, and
    /// are revoked too. The [independent](crate::Delegation::independent) tokens that it issued
    /// still work, and the outcome contains their number. An attacker may have created them. So
    /// list them with [`ListQuery::issuer`] and revoke the tokens that the owner does not know.
    ///
    /// **The successor of the leaked token.** If the token was rotated, its successor
    /// ([`rotated_to`](TokenView::rotated_to)) still works. An attacker may have rotated the token.
    /// If the owner did not rotate it, revoke the [`family`](TokenView::family) of the token with
    /// [`revoke_group`](Self::revoke_group). To be sure, revoke all tokens of the owner.
    ///
    /// **Text around the token.** The call ignores whitespace and quotes around the token, and the
    /// scheme of an `Authorization` header, as [`Credential`](crate::Credential) does. If both
    /// parts of a Basic credential are tokens, it revokes both, and returns the outcome of the
    /// first of them that was not revoked before. It does not search for a token within a longer
    /// text. To search, use a `Finder` as in the example. To read a list of reports, use
    /// `LeakReport::read_all`.
    ///
    /// **Repeats.** The call can be repeated with the same token. A repeated call returns
    /// [`RevokedBefore`](LeakOutcome::RevokedBefore). If the response to the first call was lost,
    /// only the repeated call returns the owner. So notify the owner after both outcomes, but only
    /// once for each token.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Unavailable`] or [`ErrorKind::Store`] if the store fails. The token may
    /// still work, so report it again.
    ///
    /// [`ListQuery::issuer`]: crate::store::ListQuery::issuer
    /// [`ErrorKind::Unavailable`]: crate::ErrorKind::Unavailable
    /// [`ErrorKind::Store`]: crate::ErrorKind::Store
    ///
    /// ```
    /// use keyfob::{Access, leak::Finder};
    /// # use keyfob::{Actor, Keyring, MemoryStore, Name, NewToken, OwnerId, Pepper, Prefix};
    /// # use keyfob::{ProjectId, Tokens};
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let keyring = Keyring::new(Prefix::new("acme_pat")?, Pepper::generate()?);
    /// # let tokens = Tokens::new(keyring, MemoryStore::new());
    /// # let (project, ada) = (ProjectId::new("145")?, OwnerId::new("ada")?);
    /// # let new = NewToken::new(project, ada.clone(), Name::new("CI")?);
    /// # let issued = tokens.issue(&Actor::from(&ada), new).await?;
    /// # let paste = format!("export TOKEN={}", issued.token.expose_secret());
    ///
    /// let finder = Finder::new(tokens.keyring().prefixes().to_vec());
    /// let scan = Actor::new("scan of pastes")?;
    /// for found in finder.find_in(paste.as_bytes()) {
    ///     let outcome = tokens.report_leak(&scan, &found.token).await?;
    ///     if let Some(token) = outcome.token() {
    ///         // Notify the owner once for each token: your service remembers which.
    ///         println!("{}: your token {} was found and revoked", token.owner, token.name);
    ///     }
    /// }
    /// let access = Access::to(&project, &[]);
    /// assert!(tokens.verify(issued.token.expose_secret(), &access).await.is_err());
    /// # Ok(())
    /// # }
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # runtime.block_on(example()).unwrap();
    /// ```
    pub async fn report_leak(&self, actor: &Actor, leaked: &LeakedToken) -> Result<LeakOutcome, Error> {
        let (records, found) = self.held_in(leaked.as_bytes()).await;
        let mut outcome = found.map(|()| LeakOutcome::NotOurs).map_err(Error::from);
        for record in records {
            // A failure must not keep the other token alive, so the loop continues after it.
            match (self.revoke_leaked(actor, &record).await, &outcome) {
                (Err(error), _) => outcome = Err(error),
                (next, Ok(LeakOutcome::NotOurs))
                | (next @ Ok(LeakOutcome::Revoked(..)), Ok(LeakOutcome::RevokedBefore(..))) => outcome = next,
                _ => {}
            }
        }
        outcome
    }

    async fn revoke_leaked(&self, actor: &Actor, record: &TokenRecord) -> Result<LeakOutcome, Error> {
        let (key, now) = (record.key(), self.clock.now());
        let revoked = if record.revoked.is_some() {
            // The call that revoked the token may have returned an error, because the revocation
            // could still be lost. Report the token as revoked only if the revocation is durable.
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
    use base64::Engine as _;

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
    fn a_reported_token_is_revoked_once_and_a_repeat_finds_it() {
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
    fn an_expired_token_is_revoked_too() {
        let world = World::new();
        let issued = world.issued("145");
        world.advance(31 * DAY);
        assert!(matches!(report(&world, issued.token.expose_secret()), Ok(LeakOutcome::Revoked(_, _))));
    }

    #[test]
    fn a_mistyped_text_revokes_no_token() {
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
    fn the_second_token_of_a_pair_is_revoked_if_the_store_fails_for_the_first() {
        let world = World::new();
        let [first, second] = [world.issued("145"), world.issued("145")];
        let pair = format!("{}:{}", first.token.expose_secret(), second.token.expose_secret());
        let shown = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
        world.fail(StoreErrorKind::Unavailable, 1);
        assert_eq!(report(&world, &shown).unwrap_err(), ErrorKind::Unavailable);
        assert_eq!(world.heard(), ["revoke_failed", "revoked", "leaked"]);
        // A repeat revokes the first token, and its outcome names this token.
        let repeated = report(&world, &shown).unwrap();
        assert!(matches!(&repeated, LeakOutcome::Revoked(view, _) if view.key() == first.record.key()));
        let again = report(&world, &shown).unwrap();
        assert!(matches!(&again, LeakOutcome::RevokedBefore(view, _) if view.key() == first.record.key()));
    }

    #[test]
    fn a_report_can_be_repeated_after_the_store_failed() {
        let world = World::new();
        let issued = world.issued("145");
        world.fail(StoreErrorKind::Unavailable, 1);
        assert_eq!(report(&world, issued.token.expose_secret()), Err(ErrorKind::Unavailable));
        assert_eq!(world.heard(), ["revoke_failed"]);
        world.take_down("145");
        assert_eq!(report(&world, issued.token.expose_secret()), Err(ErrorKind::Unavailable));
    }
}
