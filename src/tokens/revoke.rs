//! Ending tokens for ever: one, one that is known by its secret, and groups.

use std::sync::Arc;

use super::events::Event;
use super::service::Tokens;
use crate::rules::error::{Error, ErrorKind};
use crate::rules::record::{Revocation, RevocationReason, TokenRecord};
use crate::rules::view::TokenView;
use crate::store::contract::TokenStore;
use crate::store::group::{BatchResult, RevokeBatch, RevokeGroup};
use crate::store::maintenance::{ProjectsQuery, StoreMaintenance};
use crate::store::query::{ListQuery, PageSize};
use crate::words::credential::Credential;
use crate::words::ids::{ProjectId, TokenKey};
use crate::words::store_error::StoreError;
use crate::words::text::Actor;

impl<S: TokenStore> Tokens<S> {
    /// Revokes a token for ever. `actor` is recorded; whether the actor may revoke the token is up to the host: see
    /// [`of`](Self::of) for the tokens of one owner.
    ///
    /// A second call changes nothing and returns what the first one did.
    ///
    /// # Errors
    /// Returns [`ErrorKind::NotFound`] if there is no such token, and [`ErrorKind::Unavailable`] if the store fails; the call may
    /// be repeated.
    pub async fn revoke(&self, actor: &Actor, key: &TokenKey, reason: RevocationReason) -> Result<TokenView, Error> {
        let revoked = self.revoke_first(actor, key, reason).await?;
        Ok(revoked.map(|(view, _)| view).ok_or(ErrorKind::NotFound)?)
    }

    /// The same, which also says whether this call did it.
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

    /// The same, at a time that is given.
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
        // Another's at the same moment, by the same actor and for the same reason, may be told twice.
        let is_first = record.revoked.as_ref() == Some(revocation);
        if is_first {
            self.tell(Event::Revoked { key: *key, actor: &revocation.by, reason: revocation.reason });
        }
        Ok(Some((record, is_first)))
    }

    /// Revokes tokens by their text, for clients that end their own (RFC 7009). The answer is the same for a known token, an unknown
    /// one, one that was revoked before and a text that is none (section 2.2 there), so it tells nobody what is a token; your
    /// sink hears which were revoked. It may be called again with the same texts.
    ///
    /// What a paste leaves around a text is dropped, and so is the scheme of a header, as [`Credential`] reads it.
    ///
    /// Where a token was found, [`report_leak`](Self::report_leak) also tells whose it was, and the sink of the leak.
    ///
    /// All are tried, also behind one for which the store failed.
    ///
    /// # Errors
    /// Returns the last [`Error`] if the store failed for any of them.
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
            match self.held(Credential::pasted(token.as_ref()).as_ref()).await {
                Ok(Some(record)) => {
                    // A token that was purged meanwhile needs no revocation.
                    if let Err(error) = self.revoke_first(actor, &record.key(), reason).await {
                        outcome = Err(error.into());
                    }
                }
                Ok(None) => {}
                Err(error) => outcome = Err(error.into()),
            }
        }
        outcome
    }

    /// Revokes all tokens of a group in one project, and returns how many this call revoked.
    ///
    /// Once it returns `Ok`, no token of the group that existed before the call works, however many there are. Nor does any of
    /// their successors, of an owner's or a family's tokens. If the group is all created before a time or all of a key, only
    /// the successors that are made during the call are revoked too: one that was made before it, and is not of the group
    /// itself, lives on. Tokens of an owner or a family that ended by themselves more than 24 hours ago may stay expired
    /// instead of revoked.
    ///
    /// # Errors
    /// Returns [`Error`] if the store fails. What was revoked before stays revoked; call it again until it returns `Ok`.
    pub async fn revoke_group(
        &self,
        actor: &Actor,
        project: &ProjectId,
        group: &RevokeGroup,
        reason: RevocationReason,
    ) -> Result<u64, Error> {
        Ok(self.revoke_in(actor, project, group, reason).await?)
    }

    async fn revoke_in(
        &self,
        actor: &Actor,
        project: &ProjectId,
        group: &RevokeGroup,
        reason: RevocationReason,
    ) -> Result<u64, StoreError> {
        let revocation = Revocation { at: self.clock.now(), by: actor.clone(), reason };
        let revoked = match group {
            RevokeGroup::Owner(owner) => self.store.revoke_owner(project, owner, &revocation).await,
            RevokeGroup::Family(family) => self.store.revoke_family(project, family, &revocation).await,
            RevokeGroup::CreatedBefore(time) => {
                self.revoke_batches(project, RevokeBatch::CreatedBefore(*time), &revocation).await
            }
            RevokeGroup::KeyNumber(number) => {
                self.revoke_batches(project, RevokeBatch::KeyNumber(*number), &revocation).await
            }
        };
        if revoked.is_err() {
            self.tell(Event::GroupRevokeFailed { project: *project, group, actor, reason });
        }
        let count = revoked?;
        if count > 0 {
            self.tell(Event::GroupRevoked { project: *project, group, count, actor, reason });
        }
        Ok(count)
    }

    async fn revoke_batches(
        &self,
        project: &ProjectId,
        batch: RevokeBatch,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        let mut count = 0;
        loop {
            let BatchResult { count: revoked, done } =
                self.store.revoke_batch(project, revocation, batch, PageSize::MAX).await?;
            count += revoked;
            // A batch that says it is the last, or that did nothing, ends it.
            if done || revoked == 0 {
                return Ok(count + self.revoke_new_successors(project, revocation).await?);
            }
        }
    }

    /// Revokes the successors that tokens of a batch got between two steps, and that are not of the batch themselves. The tokens
    /// before them are revoked by now, so that no other comes.
    async fn revoke_new_successors(&self, project: &ProjectId, revocation: &Revocation) -> Result<u64, StoreError> {
        let (mut query, mut count) = (ListQuery::new(*project), 0);
        query.most = PageSize::MAX;
        loop {
            let page = self.store.list(&query).await?;
            for record in &page.items {
                if record.created_at < revocation.at {
                    return Ok(count);
                }
                let Some(id) = record.rotated_from else { continue };
                let old = self.store.find(&TokenKey { project: *project, id }).await?;
                if old.is_some_and(|old| old.revoked.as_ref() == Some(revocation)) {
                    count += self.store.revoke_family(project, &record.family, revocation).await?;
                }
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(count),
            }
        }
    }
}

impl<S: TokenStore + StoreMaintenance> Tokens<S> {
    /// Revokes all tokens of a group in all projects: all of an owner, created before a time, or on a key. Gives how many
    /// were not revoked before.
    ///
    /// It goes through the projects in order, each as [`revoke_group`](Self::revoke_group) does,
    /// from behind `after` on if it is given. If the store fails in a project, the others are tried
    /// all the same. A token that is issued meanwhile may stay: suspend an owner first, see
    /// [`Owners`].
    ///
    /// # Errors
    /// Returns [`ErrorKind::Partial`] if the store fails in any project or cannot list them all:
    /// [`Error::partial`] names the projects. What was revoked stays revoked; call it again until it returns `Ok`.
    pub async fn revoke_everywhere(
        &self,
        actor: &Actor,
        group: &RevokeGroup,
        reason: RevocationReason,
        after: Option<ProjectId>,
    ) -> Result<u64, Error> {
        let owner = match group {
            RevokeGroup::Owner(owner) => Some(owner.clone()),
            _ => None,
        };
        let mut walk = self.walk(ProjectsQuery { owner, after, ..ProjectsQuery::default() });
        while let Some(project) = walk.next().await {
            let revoked = self.revoke_in(actor, &project, group, reason).await;
            walk.note(project, revoked);
        }
        walk.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::new_token::NewToken;
    use crate::rules::rotation::Rotation;
    use crate::rules::sample::{DAY, MS, ada, id};
    use crate::rules::status::Status;
    use crate::store::ready::now;
    use crate::tokens::sample::{World, forged, project};
    use crate::words::ids::KeyNumber;
    use crate::words::store_error::StoreErrorKind;

    const REASON: RevocationReason = RevocationReason::CessationOfOperation;

    #[test]
    fn the_first_revocation_is_emitted_and_answers_the_second() {
        let world = World::new();
        let key = world.issued("145").record.key();
        let first = now(world.tokens.revoke(&ada(), &key, REASON)).unwrap();
        assert_eq!((first.status, world.heard()), (Status::Revoked, vec!["revoked"]));
        world.advance(MS);
        let second = now(world.tokens.revoke(&"bob".parse().unwrap(), &key, RevocationReason::default())).unwrap();
        assert_eq!((second, world.heard()), (first, vec![]));
    }

    #[test]
    fn a_revocation_that_the_store_failed_may_have_been_done() {
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
    fn presented_tokens_are_revoked_and_other_texts_are_none() {
        let world = World::new();
        let issued = [world.issued("145"), world.issued("145"), world.issued("145")];
        let text = |at: usize| issued[at].token.expose_secret().to_owned();
        let forged = forged(&text(2));
        let texts = [text(0), "nothing".to_owned(), format!("Bearer {}", text(1)), forged];
        now(world.tokens.revoke_presented(&ada(), &texts, REASON)).unwrap();
        assert_eq!(world.heard(), ["revoked", "revoked"]);
        let revoked = issued.each_ref().map(|issued| world.stored(&issued.record.key()).revoked.is_some());
        assert_eq!(revoked, [true, true, false]);
    }

    #[test]
    fn presented_tokens_after_a_failed_one_are_revoked_too() {
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

    #[test]
    fn a_group_of_each_kind_is_revoked_in_its_project() {
        for kind in 0..4 {
            let world = World::new();
            let record = world.issued("145").record;
            let other = world.issued("146").record;
            let before = record.created_at.saturating_add(MS);
            let group = [
                RevokeGroup::Owner("ada".parse().unwrap()),
                RevokeGroup::Family(record.family),
                RevokeGroup::CreatedBefore(before),
                RevokeGroup::KeyNumber(KeyNumber::FIRST),
            ][kind]
                .clone();
            let revoke = || now(world.tokens.revoke_group(&ada(), &project("145"), &group, REASON)).unwrap();
            assert_eq!((revoke(), world.heard()), (1, vec!["group_revoked"]), "{group:?}");
            assert_eq!((revoke(), world.heard()), (0, vec![]), "{group:?}");
            assert!(world.stored(&other.key()).revoked.is_none());
            world.take_down("145");
            let failed = now(world.tokens.revoke_group(&ada(), &project("145"), &group, REASON)).unwrap_err();
            assert_eq!((failed.kind(), world.heard()), (ErrorKind::Unavailable, vec!["group_revoke_failed"]));
        }
    }

    #[test]
    fn a_batch_takes_along_the_successors_that_are_made_meanwhile() {
        for (later, count) in [(MS, 1), (core::time::Duration::ZERO, 2)] {
            let world = World::new();
            let old = world.issued("145").record;
            world.advance(DAY);
            let rotated = now(world.tokens.rotate(&ada(), &old.key(), Rotation::with_grace(DAY))).unwrap();
            // The call begins after the rotation, or in its very millisecond.
            world.advance(later);
            let group = RevokeGroup::CreatedBefore(old.created_at.saturating_add(MS));
            assert_eq!(now(world.tokens.revoke_group(&ada(), &project("145"), &group, REASON)).unwrap(), count);
            let revoked = world.stored(&rotated.issued.record.key()).revoked.is_some();
            assert_eq!(revoked, count == 2);
        }
    }

    #[test]
    fn a_batch_takes_along_no_successor_of_a_token_that_was_revoked_before() {
        let world = World::new();
        let old = world.issued("145").record;
        world.advance(DAY);
        let rotated = now(world.tokens.rotate(&ada(), &old.key(), Rotation::with_grace(DAY))).unwrap();
        now(world.tokens.revoke(&ada(), &old.key(), RevocationReason::default())).unwrap();
        let group = RevokeGroup::CreatedBefore(old.created_at.saturating_add(MS));
        assert_eq!(now(world.tokens.revoke_group(&ada(), &project("145"), &group, REASON)).unwrap(), 0);
        assert!(world.stored(&rotated.issued.record.key()).revoked.is_none());
    }

    #[test]
    fn a_group_is_revoked_in_every_project_but_those_that_fail() {
        let world = World::new();
        for name in ["145", "146", "147"] {
            world.issued(name);
            world.issued_as(NewToken::new(project(name), "bob".parse().unwrap(), "CI".parse().unwrap()));
        }
        let group = RevokeGroup::Owner("ada".parse().unwrap());
        let everywhere =
            |after: Option<&str>| now(world.tokens.revoke_everywhere(&ada(), &group, REASON, after.map(project)));
        assert_eq!(everywhere(Some("146")).unwrap(), 1, "those behind it only");
        world.take_down("145");
        let failed = everywhere(None).unwrap_err();
        let partial = failed.partial().unwrap();
        assert_eq!((failed.kind(), &partial.failed), (ErrorKind::Partial, &vec![project("145")]));
        assert_eq!((partial.count, partial.after), (1, Some(project("147"))));
        world.store.down.lock().unwrap().clear();
        assert_eq!(everywhere(None).unwrap(), 1);
        assert_eq!(everywhere(None).unwrap(), 0);
    }
}
