//! The operations that change a token: rename, disable, enable, confirm or narrow the token, or end
//! its grace period.

use super::events::{ChangeKind, Event};
use super::service::Tokens;
use crate::rules::change::Change;
use crate::rules::change_request::{ChangeRequest, Narrowing};
use crate::rules::error::Error;
use crate::rules::error_kind::ErrorKind;
use crate::rules::proof::prove_token;
use crate::rules::record::Disabled;
use crate::rules::view::TokenView;
use crate::store::contract::TokenStore;
use crate::words::ids::TokenKey;
use crate::words::presented::PresentedToken;
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::text::{Actor, Name};

/// The maximum number of times that an operation is tried if concurrent changes interfere with it.
pub(super) const TRIES: usize = 16;

/// The operations that change a token. They have these rules in common:
///
/// - `actor` is the user or service that asks for the change. Take it from your own session, never
///   from the request. The event of the change names the actor. Your service decides whether the
///   actor may change the token. For users who manage their own tokens, use [`of`](Tokens::of).
/// - If the token is already as requested, the call succeeds and writes nothing.
/// - If another change of the token is written concurrently, the call reads the token again and
///   repeats the change. After 16 tries it returns [`ErrorKind::Conflict`].
/// - If the store fails, the call returns [`ErrorKind::Unavailable`] or [`ErrorKind::Store`]. The
///   change may or may not have taken effect. The caller can repeat the call.
impl<S: TokenStore> Tokens<S> {
    /// Renames a token.
    ///
    /// # Errors
    /// Returns [`ErrorKind::NotFound`] if there is no such token, and [`ErrorKind::Ended`] if the
    /// token has ended.
    pub async fn rename(&self, actor: &Actor, key: &TokenKey, name: Name) -> Result<TokenView, Error> {
        self.change(actor, key, ChangeRequest::Rename(name)).await
    }

    /// Disables a token. The token does not work until it is [enabled](Self::enable). To end the
    /// token permanently, [revoke](Self::revoke) it.
    ///
    /// This call can fail with [`ErrorKind::Conflict`] if a user who may change the token changes
    /// it continuously. In a test on PostgreSQL with 32 concurrent renames, 14 of 20 calls of
    /// `disable` failed. The calls [`narrow`](Self::narrow) and [`end_grace`](Self::end_grace) can
    /// fail in the same way. The call [`revoke`](Self::revoke) cannot.
    ///
    /// # Errors
    /// Returns [`ErrorKind::NotFound`] if there is no such token, and [`ErrorKind::Ended`] if the
    /// token has ended.
    pub async fn disable(&self, actor: &Actor, key: &TokenKey) -> Result<TokenView, Error> {
        self.change(actor, key, ChangeRequest::Disable).await
    }

    /// Enables a disabled token.
    ///
    /// # Errors
    /// Returns [`ErrorKind::NotFound`] if there is no such token, and [`ErrorKind::Ended`] if the
    /// token has ended.
    pub async fn enable(&self, actor: &Actor, key: &TokenKey) -> Result<TokenView, Error> {
        self.change(actor, key, ChangeRequest::Enable).await
    }

    /// Confirms a token that was issued as [pending](crate::NewToken::with_confirm_within), so that
    /// it can be used.
    ///
    /// # Errors
    /// Returns [`ErrorKind::NotFound`] if there is no such token. Returns [`ErrorKind::Ended`] if
    /// the token has ended, for instance because it was not confirmed in time.
    pub async fn confirm(&self, actor: &Actor, key: &TokenKey) -> Result<TokenView, Error> {
        self.change(actor, key, ChangeRequest::Confirm).await
    }

    /// Confirms a pending token by its text. The text proves that the caller has received the
    /// token.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Rejected`] if the text is not a token of this service, or any error of
    /// [`confirm`](Self::confirm).
    pub async fn confirm_presented<T>(&self, actor: &Actor, token: &T) -> Result<TokenView, Error>
    where
        T: AsRef<[u8]> + Sync + ?Sized,
    {
        let token = PresentedToken::parse(token, &self.keyring).map_err(ErrorKind::Rejected)?;
        let key = token.key();
        let record = self.store.find(&key).await?;
        prove_token(&token, record.into()).map_err(ErrorKind::Rejected)?;
        self.confirm(actor, &key).await
    }

    /// Ends the grace period of a rotated token now. After this call, the token is rejected, and
    /// only its successor works.
    ///
    /// # Errors
    /// - Returns [`ErrorKind::NotFound`] if there is no such token.
    /// - Returns [`ErrorKind::NotRotated`] if the token was not rotated.
    /// - Returns [`ErrorKind::Ended`] if the token has ended for another reason than the end of its
    ///   grace period.
    pub async fn end_grace(&self, actor: &Actor, key: &TokenKey) -> Result<TokenView, Error> {
        self.change(actor, key, ChangeRequest::EndGrace).await
    }

    /// Narrows a token: removes scopes or addresses from it, or makes it expire sooner. No change
    /// can give a token more rights. If the holder needs more rights, issue another token.
    ///
    /// # Errors
    /// - Returns [`ErrorKind::NotFound`] if there is no such token.
    /// - Returns [`ErrorKind::Wider`] if the token would get more rights, or a later expiry.
    /// - Returns [`ErrorKind::Policy`] if the policy does not allow the changed token.
    /// - Returns [`ErrorKind::Ended`] if the token has ended, or would expire by this change.
    pub async fn narrow(&self, actor: &Actor, key: &TokenKey, narrowing: Narrowing) -> Result<TokenView, Error> {
        self.change(actor, key, ChangeRequest::Narrow(narrowing)).await
    }

    /// Disables an imported token. `disabled` contains the time and actor that the earlier system
    /// recorded. Does nothing if the token does not exist, is already disabled, or has ended.
    pub(super) async fn disable_as(&self, key: &TokenKey, disabled: Disabled) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            let Some(record) = self.store.find(key).await? else { return Ok(()) };
            if record.disabled.is_some() || !record.status(self.clock.now()).is_live() {
                return Ok(());
            }
            match self.store.update(key, record.version, Change::Disable(disabled.clone())).await {
                Err(error) if error.kind() == StoreErrorKind::Conflict => {}
                outcome => {
                    if outcome?.is_some() {
                        self.tell(Event::Changed { key: *key, how: ChangeKind::Disabled, actor: &disabled.by });
                    }
                    return Ok(());
                }
            }
        }
        Err(StoreErrorKind::Conflict.into())
    }

    async fn change(&self, actor: &Actor, key: &TokenKey, wish: ChangeRequest) -> Result<TokenView, Error> {
        for _ in 0..TRIES {
            let record = self.store.find(key).await?.ok_or(ErrorKind::NotFound)?;
            let now = self.clock.now();
            let Some(change) = record.judge(wish.clone(), self.policy(), actor, now)? else {
                // An earlier call may have made this change and returned `Unavailable`, because the
                // change could still be lost. Report success only if the change is durable.
                match self.store.find_durable(key).await? {
                    Some(durable) if durable.version == record.version => return self.view_of(durable, now).await,
                    _ => continue,
                }
            };
            let how = ChangeKind::by(&change);
            match self.store.update(key, record.version, change).await {
                Err(error) if error.kind() == StoreErrorKind::Conflict => {}
                Err(error) => {
                    self.tell(Event::ChangeFailed { key: *key, how, actor });
                    return Err(error.into());
                }
                Ok(None) => return Err(ErrorKind::NotFound.into()),
                Ok(Some(record)) => {
                    self.tell(Event::Changed { key: *key, how, actor });
                    return self.view_of(record, now).await;
                }
            }
        }
        Err(StoreError::new(StoreErrorKind::Conflict).into())
    }
}

impl ChangeKind {
    fn by(change: &Change) -> Self {
        match change {
            Change::Rename(_) => Self::Renamed,
            Change::Disable(_) => Self::Disabled,
            Change::Enable => Self::Enabled,
            Change::Confirm => Self::Confirmed,
            Change::EndGrace(_) => Self::GraceEnded,
            Change::Narrow { .. } => Self::Narrowed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::new_token::NewToken;
    use crate::rules::rotation::Rotation;
    use crate::rules::sample::{DAY, MS, ada, at, id};
    use crate::rules::scope::ScopeSet;
    use crate::rules::status::Status;
    use crate::store::ready::now;
    use crate::tokens::sample::{World, project};
    use crate::words::rejection::Rejection;

    fn kind<T>(outcome: Result<T, Error>) -> Option<ErrorKind> {
        outcome.err().map(|error| error.kind())
    }

    #[test]
    fn each_change_is_written_and_emitted() {
        let world = World::new();
        let (tokens, by) = (&world.tokens, ada());
        let new = NewToken::new(project("145"), "ada".parse().unwrap(), "CI".parse().unwrap());
        let new = new.with_scopes(ScopeSet::new("repo user").unwrap()).with_confirm_within(DAY);
        let key = world.issued_as(new).record.key();
        assert_eq!(now(tokens.confirm(&by, &key)).unwrap().status, Status::Active);
        assert_eq!(now(tokens.rename(&by, &key, "other".parse().unwrap())).unwrap().name.as_str(), "other");
        assert_eq!(now(tokens.disable(&by, &key)).unwrap().status, Status::Disabled);
        assert_eq!(now(tokens.enable(&by, &key)).unwrap().status, Status::Active);
        let narrowing = Narrowing { scopes: Some(ScopeSet::new("user").unwrap()), ..Narrowing::default() };
        assert_eq!(now(tokens.narrow(&by, &key, narrowing)).unwrap().scopes.as_str(), "user");
        now(tokens.rotate(&by, &key, Rotation::with_grace(DAY))).unwrap();
        assert_eq!(now(tokens.end_grace(&by, &key)).unwrap().status, Status::Rotated);
        let heard = ["confirmed", "renamed", "disabled", "enabled", "narrowed", "rotated", "grace_ended"];
        assert_eq!(world.heard(), heard);
    }

    #[test]
    fn a_change_without_effect_is_neither_written_nor_emitted() {
        let world = World::new();
        let key = world.issued("145").record.key();
        assert_eq!(now(world.tokens.enable(&ada(), &key)).unwrap().version, 1);
        assert_eq!(world.heard(), [""; 0]);
        assert_eq!(world.stored(&key).version, 1);
    }

    #[test]
    fn an_unknown_token_is_not_found() {
        let world = World::new();
        let key = TokenKey { project: project("145"), id: id('1') };
        assert_eq!(kind(now(world.tokens.disable(&ada(), &key))), Some(ErrorKind::NotFound));
        assert_eq!(world.heard(), [""; 0]);
    }

    #[test]
    fn a_change_is_retried_after_conflicts_up_to_the_limit() {
        let world = World::new();
        let key = world.issued("145").record.key();
        world.fail(StoreErrorKind::Conflict, TRIES - 1);
        assert!(now(world.tokens.disable(&ada(), &key)).is_ok());
        world.fail(StoreErrorKind::Conflict, TRIES);
        assert_eq!(kind(now(world.tokens.enable(&ada(), &key))), Some(ErrorKind::Conflict));
        assert!(world.stored(&key).disabled.is_some());
        assert_eq!(world.heard(), ["disabled"]);
    }

    #[test]
    fn a_change_during_which_the_store_fails_emits_change_failed() {
        let world = World::new();
        let key = world.issued("145").record.key();
        world.fail(StoreErrorKind::Unavailable, 1);
        assert_eq!(kind(now(world.tokens.disable(&ada(), &key))), Some(ErrorKind::Unavailable));
        assert_eq!(world.heard(), ["change_failed"]);
    }

    #[test]
    fn a_pending_token_is_confirmed_by_its_text_in_time() {
        let world = World::new();
        let new = || {
            let new = NewToken::new(project("145"), "ada".parse().unwrap(), "CI".parse().unwrap());
            new.with_confirm_within(DAY)
        };
        let (in_time, late) = (world.issued_as(new()), world.issued_as(new()));
        let confirm = |text: &str| now(world.tokens.confirm_presented(&ada(), text));
        world.advance(DAY - MS);
        assert_eq!(confirm(in_time.token.expose_secret()).unwrap().status, Status::Active);
        world.advance(MS);
        assert_eq!(kind(confirm(late.token.expose_secret())), Some(ErrorKind::Ended(Status::Lapsed)));
        assert_eq!(kind(confirm("acme")), Some(ErrorKind::Rejected(Rejection::Length)));
        let elsewhere = World::new();
        let unknown = now(elsewhere.tokens.confirm_presented(&ada(), in_time.token.expose_secret()));
        assert_eq!(kind(unknown), Some(ErrorKind::Rejected(Rejection::Unknown)));
    }

    #[test]
    fn a_token_is_disabled_with_the_time_and_actor_of_the_earlier_system() {
        let world = World::new();
        let key = world.issued("145").record.key();
        let disabled = |millis| Disabled { at: at(millis), by: "root".parse().unwrap() };
        now(world.tokens.disable_as(&key, disabled(-5))).unwrap();
        assert_eq!(world.stored(&key).disabled, Some(disabled(-5)));
        now(world.tokens.disable_as(&key, disabled(-4))).unwrap();
        assert_eq!(world.stored(&key).disabled, Some(disabled(-5)), "the first one stays");
        now(world.tokens.disable_as(&TokenKey { id: id('1'), ..key }, disabled(-5))).unwrap();
        assert_eq!(world.heard(), ["disabled"]);
        let other = world.issued("145").record.key();
        world.fail(StoreErrorKind::Conflict, TRIES - 1);
        now(world.tokens.disable_as(&other, disabled(-5))).unwrap();
        let third = world.issued("145").record.key();
        world.fail(StoreErrorKind::Conflict, TRIES);
        let refused = now(world.tokens.disable_as(&third, disabled(-5))).unwrap_err();
        assert_eq!(refused.kind(), StoreErrorKind::Conflict);
        world.advance(30 * DAY);
        now(world.tokens.disable_as(&third, disabled(-5))).unwrap();
        assert_eq!(world.stored(&third).disabled, None, "it has expired");
    }
}
