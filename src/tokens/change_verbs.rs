//! Renaming, disabling and enabling, confirming, narrowing, ending a grace.

use super::events::{ChangeKind, Event};
use super::service::Tokens;
use crate::rules::change::Change;
use crate::rules::change_request::{ChangeRequest, Narrowing};
use crate::rules::error::Error;
use crate::rules::error_kind::ErrorKind;
use crate::rules::proof::prove;
use crate::rules::record::{Disabled, TokenRecord};
use crate::rules::view::TokenView;
use crate::store::contract::TokenStore;
use crate::words::ids::TokenKey;
use crate::words::presented::PresentedToken;
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::text::{Actor, Name};

/// How often a change is judged anew because somebody else changed the token meanwhile.
pub(super) const TRIES: usize = 16;

/// All of these record or emit `actor`; whether the actor may change the token is up to the host: see
/// [`of`](Tokens::of) for the tokens of one owner. If the token is as wished already, nothing is written. A change that meets a
/// concurrent one is judged again.
impl<S: TokenStore> Tokens<S> {
    /// Gives a token another name.
    ///
    /// # Errors
    /// Returns [`ErrorKind::NotFound`] if there is no such token, and [`ErrorKind::Ended`] if it has ended.
    pub async fn rename(&self, actor: &Actor, key: &TokenKey, name: Name) -> Result<TokenView, Error> {
        self.change(actor, key, ChangeRequest::Rename(name)).await
    }

    /// Stops a token until it is enabled. To stop it for ever, revoke it.
    ///
    /// A holder who may change the token, such as by renaming it, and does so all the time, can
    /// make this call fail with a [`Conflict`](StoreErrorKind::Conflict): beside 32 concurrent
    /// renames, 14 of 20 calls did on PostgreSQL. The same holds for [`narrow`](Self::narrow) and
    /// [`end_grace`](Self::end_grace). [`revoke`](Self::revoke) is not affected.
    ///
    /// # Errors
    /// Returns [`ErrorKind::NotFound`] if there is no such token, and [`ErrorKind::Ended`] if it has ended.
    pub async fn disable(&self, actor: &Actor, key: &TokenKey) -> Result<TokenView, Error> {
        self.change(actor, key, ChangeRequest::Disable).await
    }

    /// Lets a disabled token work again.
    ///
    /// # Errors
    /// Returns [`ErrorKind::NotFound`] if there is no such token, and [`ErrorKind::Ended`] if it has ended.
    pub async fn enable(&self, actor: &Actor, key: &TokenKey) -> Result<TokenView, Error> {
        self.change(actor, key, ChangeRequest::Enable).await
    }

    /// Lets a token that was issued as [pending](crate::NewToken::with_confirm_within) work.
    ///
    /// # Errors
    /// Returns [`ErrorKind::NotFound`] if there is no such token, and [`ErrorKind::Ended`] if it has ended, for instance because it
    /// was not confirmed in time.
    pub async fn confirm(&self, actor: &Actor, key: &TokenKey) -> Result<TokenView, Error> {
        self.change(actor, key, ChangeRequest::Confirm).await
    }

    /// The same by the token itself: whoever presents it has received it.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Rejected`] if a check up to the digest fails, and what [`confirm`](Self::confirm) returns.
    pub async fn confirm_presented<T>(&self, actor: &Actor, token: &T) -> Result<TokenView, Error>
    where
        T: AsRef<[u8]> + Sync + ?Sized,
    {
        let token = PresentedToken::parse(token, &self.keyring).map_err(ErrorKind::Rejected)?;
        let key = token.key();
        let record = self.store.find(&key).await?;
        let names = |record: &TokenRecord| token.text().names(record.prefix, &record.project, &record.id);
        prove(token.digest(), record.into(), names).map_err(ErrorKind::Rejected)?;
        self.confirm(actor, &key).await
    }

    /// Ends the grace of a rotated token now; its successor is the only one left.
    ///
    /// # Errors
    /// Returns [`ErrorKind::NotFound`] if there is no such token, [`ErrorKind::NotRotated`] if it has no successor, and
    /// [`ErrorKind::Ended`] if it has ended otherwise.
    pub async fn end_grace(&self, actor: &Actor, key: &TokenKey) -> Result<TokenView, Error> {
        self.change(actor, key, ChangeRequest::EndGrace).await
    }

    /// Takes from what a token may do. Nothing can be given: for that, issue another.
    ///
    /// # Errors
    /// Returns [`ErrorKind::NotFound`] if there is no such token, [`ErrorKind::Wider`] if it would be allowed more,
    /// [`ErrorKind::Policy`] if it would be outside the policy, and [`ErrorKind::Ended`] if it has ended or would by this.
    pub async fn narrow(&self, actor: &Actor, key: &TokenKey, narrowing: Narrowing) -> Result<TokenView, Error> {
        self.change(actor, key, ChangeRequest::Narrow(narrowing)).await
    }

    /// Disables a token as it was disabled elsewhere, unless it is disabled or has ended.
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
                // An earlier call may have made the change and been told that it may be lost.
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
    fn each_verb_makes_its_change_and_emits_it() {
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
    fn what_is_so_already_is_neither_written_nor_emitted() {
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
    fn a_change_that_meets_another_is_judged_again_a_number_of_times() {
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
    fn a_change_that_the_store_failed_may_have_been_made() {
        let world = World::new();
        let key = world.issued("145").record.key();
        world.fail(StoreErrorKind::Unavailable, 1);
        assert_eq!(kind(now(world.tokens.disable(&ada(), &key))), Some(ErrorKind::Unavailable));
        assert_eq!(world.heard(), ["change_failed"]);
    }

    #[test]
    fn a_token_is_confirmed_by_who_presents_it_in_time() {
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
    fn a_token_is_disabled_as_it_was_elsewhere() {
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
