//! The operations that revoke all tokens of a group, in one project or in all projects.

use core::time::Duration;
use std::collections::HashSet;

use super::events::Event;
use super::service::Tokens;
use crate::rules::error::Error;
use crate::rules::record::{Revocation, RevocationReason};
use crate::store::contract::TokenStore;
use crate::store::group::{BatchResult, RevokeBatch, RevokeGroup};
use crate::store::maintenance::{ProjectsQuery, ProjectsWith, StoreMaintenance};
use crate::store::query::{ListQuery, PageSize};
use crate::words::ids::{ProjectId, TokenKey};
use crate::words::store_error::StoreError;
use crate::words::text::Actor;

/// The time within which a call can repeat a call that failed, so that it also revokes the
/// successors that were created during that call.
const REPEATS: Duration = Duration::from_secs(24 * 60 * 60);

impl<S: TokenStore> Tokens<S> {
    /// Revokes all tokens of a group in one project. Returns the number of tokens that this call
    /// revoked.
    ///
    /// After the call returns `Ok`, no token that was in the group before the call works any more.
    /// The group may have any number of tokens. The effect on the successors of these tokens
    /// depends on the kind of the group:
    ///
    /// - If an owner or a family defines the group, no successor works either.
    /// - If a creation time or a key defines the group, the successors that were created during the
    ///   call are revoked too. If the call repeats a call with the same actor and reason that
    ///   failed within the last 24 hours, this includes the successors of the tokens that the
    ///   failed call revoked, if they were created during the failed call. All other successors
    ///   that were created earlier stay live, unless they are themselves in the group.
    ///
    /// If a token of an owner or a family ended by itself more than 24 hours ago, its status may
    /// stay "expired" instead of "revoked".
    ///
    /// **Cost.** The store revokes an owner or a family in one call. For a creation time or a key,
    /// it revokes up to 1,000 tokens in each call. Then the service lists the tokens that were
    /// created in the last 24 hours, and reads the predecessor of each of them that replaced
    /// another token, with one store call for each. If your service drops the call because of a
    /// time limit, the repeat does this search again from the start.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Unavailable`] or [`ErrorKind::Store`] if the store fails. Some tokens
    /// may already be revoked, and stay revoked. Repeat the call with the same actor and reason,
    /// within 24 hours, until it returns `Ok`.
    ///
    /// [`ErrorKind::Unavailable`]: crate::ErrorKind::Unavailable
    /// [`ErrorKind::Store`]: crate::ErrorKind::Store
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

    /// Revokes the tokens of a group in batches. If a token of the group is rotated between two
    /// batches, its successor may be missing from the group. So the function revokes all such
    /// successors after the last batch.
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
            // Stop after the last batch, or after a batch that revoked nothing.
            if done || revoked == 0 {
                return Ok(count + self.revoke_new_successors(project, batch, revocation).await?);
            }
        }
    }

    /// Revokes the new successors of the tokens in a group. A new successor was created between two
    /// batches, and is not in the group itself. The batches may be those of an earlier call that
    /// failed, and that this call repeats. The caller must first revoke all tokens of the group,
    /// because then they can get no more successors.
    async fn revoke_new_successors(
        &self,
        project: &ProjectId,
        batch: RevokeBatch,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        let earliest = revocation.at.saturating_sub(REPEATS);
        let (mut query, mut count, mut families) = (ListQuery::new(*project), 0, HashSet::new());
        query.most = PageSize::MAX;
        loop {
            let page = self.store.list(&query).await?;
            for record in &page.items {
                if record.created_at < earliest {
                    return Ok(count);
                }
                let Some(id) = record.rotated_from else { continue };
                if matches!(batch, RevokeBatch::KeyNumber(number) if id.key_number() != number) {
                    continue;
                }
                let old = self.store.find(&TokenKey { project: *project, id }).await?;
                // A revoked token cannot be rotated. So a token whose successor was created after
                // the time of its revocation was rotated during the call that revoked it.
                let meanwhile = |old: &Revocation| {
                    let same = old.by == revocation.by && old.reason == revocation.reason;
                    same && old.at <= record.created_at
                };
                let is_new = old.is_some_and(|old| batch.contains(&old) && old.revoked.as_ref().is_some_and(meanwhile));
                if is_new && families.insert(record.family) {
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
    /// Revokes all tokens of a group in all projects. Returns the number of tokens that this call
    /// revoked.
    ///
    /// The call visits the projects in order, and revokes the group in each project, as
    /// [`revoke_group`](Self::revoke_group) does. If `after` is set, the call begins with the
    /// project that follows `after`. If the store fails in one project, the call continues with the
    /// next project.
    ///
    /// A token that is issued during the call may stay live. So before you revoke the tokens of an
    /// owner, suspend the owner: see [`Owners`](crate::owners::Owners).
    ///
    /// # Errors
    /// Returns [`ErrorKind::Partial`](crate::ErrorKind::Partial) if the store fails in any project
    /// or cannot list the projects. [`Error::partial`] names the projects that failed. Tokens that
    /// were already revoked stay revoked. Repeat the call until it returns `Ok`.
    pub async fn revoke_everywhere(
        &self,
        actor: &Actor,
        group: &RevokeGroup,
        reason: RevocationReason,
        after: Option<ProjectId>,
    ) -> Result<u64, Error> {
        let (owner, with) = match group {
            RevokeGroup::Owner(owner) => (Some(owner.clone()), None),
            RevokeGroup::KeyNumber(number) => (None, Some(ProjectsWith::KeyNumber(*number))),
            RevokeGroup::Family(_) | RevokeGroup::CreatedBefore(_) => (None, None),
        };
        let mut walk = self.walk(ProjectsQuery { owner, with, after, ..ProjectsQuery::default() });
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
    use crate::rules::error_kind::ErrorKind;
    use crate::rules::new_token::NewToken;
    use crate::rules::rotation::Rotation;
    use crate::rules::sample::{DAY, MS, ada};
    use crate::store::ready::now;
    use crate::tokens::sample::{World, project, ring};
    use crate::words::clock::Clock as _;
    use crate::words::ids::KeyNumber;

    const REASON: RevocationReason = RevocationReason::CessationOfOperation;

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
    fn a_batch_revokes_successors_that_are_created_meanwhile() {
        for (later, count) in [(MS, 1), (core::time::Duration::ZERO, 2)] {
            let world = World::new();
            let old = world.issued("145").record;
            world.advance(DAY);
            let rotated = now(world.tokens.rotate(&ada(), &old.key(), Rotation::with_grace(DAY))).unwrap();
            // The call begins after the rotation, or in the same millisecond.
            world.advance(later);
            let group = RevokeGroup::CreatedBefore(old.created_at.saturating_add(MS));
            assert_eq!(now(world.tokens.revoke_group(&ada(), &project("145"), &group, REASON)).unwrap(), count);
            let revoked = world.stored(&rotated.issued.record.key()).revoked.is_some();
            assert_eq!(revoked, count == 2);
        }
    }

    #[test]
    fn a_batch_keeps_the_successor_of_a_token_that_was_revoked_before() {
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
    fn a_repeat_revokes_successors_that_are_created_during_the_failed_call() {
        for kind in 0..2 {
            let world = World::over(std::sync::Arc::default(), ring(&[1]));
            let old = world.issued("145").record;
            let world = World::over(world.store, ring(&[1, 2]));
            world.advance(DAY);
            let batch = [RevokeBatch::CreatedBefore(world.clock.now()), RevokeBatch::KeyNumber(KeyNumber::FIRST)][kind];
            // The first call begins. The token is rotated. The call fails after its first batch.
            let revocation = Revocation { at: world.clock.now(), by: ada(), reason: REASON };
            world.advance(MS);
            let rotated = now(world.tokens.rotate(&ada(), &old.key(), Rotation::with_grace(DAY))).unwrap();
            let first = now(world.store.revoke_batch(&project("145"), &revocation, batch, PageSize::MAX)).unwrap();
            assert_eq!(first.count, 1);
            world.advance(MS);
            let revoke = || now(world.tokens.revoke_group(&ada(), &project("145"), &batch.into(), REASON)).unwrap();
            assert_eq!((revoke(), revoke()), (1, 0), "{batch:?}");
            assert!(world.stored(&rotated.issued.record.key()).revoked.is_some());
        }
    }

    #[test]
    fn a_revocation_by_another_call_makes_no_successor_a_new_one() {
        // The clock of the process that revoked the token was behind.
        let (bob, other) = (Actor::new("bob").unwrap(), RevocationReason::KeyCompromise);
        for (by, reason, within, revoked) in [
            (ada(), REASON, true, true),
            (bob, REASON, true, false),
            (ada(), other, true, false),
            (ada(), REASON, false, false),
        ] {
            let world = World::new();
            let old = world.issued("145").record;
            world.advance(DAY);
            let at = world.clock.now().saturating_sub(MS);
            let rotated = now(world.tokens.rotate(&ada(), &old.key(), Rotation::with_grace(DAY))).unwrap();
            now(world.store.revoke(&old.key(), &Revocation { at, by, reason })).unwrap();
            world.advance(if within { REPEATS } else { REPEATS + MS });
            let group = RevokeGroup::CreatedBefore(old.created_at.saturating_add(MS));
            let count = now(world.tokens.revoke_group(&ada(), &project("145"), &group, REASON)).unwrap();
            assert_eq!(count, u64::from(revoked));
            assert_eq!(world.stored(&rotated.issued.record.key()).revoked.is_some(), revoked);
        }
    }

    #[test]
    fn a_group_is_revoked_in_all_projects_except_failing_ones() {
        let world = World::new();
        for name in ["145", "146", "147"] {
            world.issued(name);
            world.issued_as(NewToken::new(project(name), "bob".parse().unwrap(), "CI".parse().unwrap()));
        }
        let group = RevokeGroup::Owner("ada".parse().unwrap());
        let everywhere =
            |after: Option<&str>| now(world.tokens.revoke_everywhere(&ada(), &group, REASON, after.map(project)));
        assert_eq!(everywhere(Some("146")).unwrap(), 1, "only the projects after it");
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
