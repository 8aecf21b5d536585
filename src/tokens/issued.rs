//! The revocation of the tokens that an ended token has issued.

use std::collections::BTreeSet;

use super::events::Event;
use super::service::Tokens;
use crate::rules::error::Error;
use crate::rules::record::{Revocation, RevocationReason};
use crate::store::contract::TokenStore;
use crate::store::maintenance::{ProjectsWith, StoreMaintenance};
use crate::store::query::{ListQuery, PageSize, StatusFilter, StatusGroup};
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::store_error::StoreError;
use crate::words::text::Actor;

/// Two counts of the tokens that a token had issued before it ended. Only tokens that were still
/// live are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct IssuedTokens {
    /// The number of live tokens that were bound to the ended token, directly or through other
    /// tokens. They are now revoked.
    pub bound_ended: u64,
    /// The number of live [independent](crate::Delegation::independent) tokens that the ended token
    /// issued directly. These tokens still work, and so do the tokens that they have issued.
    pub independent_still_working: u64,
}

impl<S: TokenStore> Tokens<S> {
    /// Revokes the tokens that are bound to an ended token, directly or through other tokens.
    /// Returns how many of them were live, and how many live independent tokens the ended token had
    /// issued. Independent tokens still work.
    pub(super) async fn end_issued(
        &self,
        actor: &Actor,
        key: &TokenKey,
        revocation: &Revocation,
    ) -> Result<IssuedTokens, Error> {
        let mut issued = IssuedTokens::default();
        let (mut left, mut seen) = (vec![(key.id, 0)], BTreeSet::from([key.id]));
        while let Some((id, depth)) = left.pop() {
            // Only live tokens are followed. If another token below has ended, verification already
            // rejects the tokens that are bound to it, and `revoke_orphans` revokes them.
            let status = Some(StatusFilter { group: StatusGroup::Live, at: revocation.at });
            let mut query = ListQuery { issuer: Some(id), status, most: PageSize::MAX, ..ListQuery::new(key.project) };
            loop {
                let page = self.store.list(&query).await?;
                for record in page.items {
                    if record.is_bound_to(&id) {
                        // Count each token once. In forged rows, a token may be its own issuer.
                        if seen.insert(record.id) {
                            issued.bound_ended += 1;
                            // Below the maximum depth, the policy already rejects all tokens, and
                            // `revoke_orphans` revokes them.
                            if depth + 1 < self.policy().max_depth() {
                                left.push((record.id, depth + 1));
                            }
                        }
                    } else {
                        issued.independent_still_working += 1;
                    }
                }
                query.after = page.next;
                if query.after.is_none() {
                    break;
                }
            }
            self.revoke_issued(actor, &key.project, &id, revocation).await?;
        }
        Ok(issued)
    }

    /// Revokes the tokens that are bound directly to an issuer, and returns their number. Emits an
    /// event if there are such tokens.
    async fn revoke_issued(
        &self,
        actor: &Actor,
        project: &ProjectId,
        issuer: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        let count = self.store.revoke_issued_by(project, issuer, revocation).await?;
        if count > 0 {
            let (project, issuer, reason) = (*project, *issuer, revocation.reason);
            self.tell(Event::IssuedRevoked { project, issuer, count, actor, reason });
        }
        Ok(count)
    }
}

impl<S: TokenStore + StoreMaintenance> Tokens<S> {
    /// Revokes the orphans of all projects, and returns how many tokens it revoked. An orphan is a
    /// live token that is bound to an ended token.
    ///
    /// The call only updates the records of the orphans. Verification already rejects a token from
    /// the moment its issuer ends, so the call does not notify caches. [`purge`](Self::purge)
    /// revokes the orphans before it deletes records.
    ///
    /// Each revocation has the actor and reason of the issuer's revocation. If the issuer was not
    /// revoked, or was purged, the revocation has the issuer as its actor, and
    /// [`CessationOfOperation`](RevocationReason::CessationOfOperation) as its reason.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Partial`](crate::ErrorKind::Partial) if the store fails in any project
    /// or cannot list the projects. The orphans of all other projects are revoked. Call this method
    /// again to finish.
    pub async fn revoke_orphans(&self) -> Result<u64, Error> {
        let mut walk = self.walk_with(ProjectsWith::EndedIssuers(self.clock.now()));
        while let Some(project) = walk.next().await {
            let count = self.revoke_orphans_in(&project).await;
            walk.note(project, count);
        }
        walk.end()
    }

    /// Revokes the live tokens of one project that are bound to an ended token. Then searches for
    /// such live tokens again, because live tokens may be bound to the tokens that were just
    /// revoked. Stops when a search finds none.
    pub(super) async fn revoke_orphans_in(&self, project: &ProjectId) -> Result<u64, StoreError> {
        let (mut count, mut before) = (0, Vec::new());
        loop {
            let at = self.clock.now();
            let ended = self.store.ended_issuers(project, at, PageSize::MAX).await?;
            // Stop if no ended issuer is left. Stop also if the store returns the same issuers
            // again although their tokens are now revoked.
            if ended.is_empty() || ended == before {
                return Ok(count);
            }
            for id in ended.iter().copied() {
                let issuer = self.store.find(&TokenKey { project: *project, id }).await?;
                let revoked = issuer.as_ref().and_then(|issuer| issuer.revoked.clone());
                let public_part = issuer.as_ref().map_or_else(|| id.to_string(), |issuer| issuer.public_part());
                let by_time = || Revocation {
                    at,
                    by: Actor::of_token(&public_part),
                    reason: RevocationReason::CessationOfOperation,
                };
                let revocation = Revocation { at, ..revoked.unwrap_or_else(by_time) };
                count += self.revoke_issued(&revocation.by, project, &id, &revocation).await?;
            }
            before = ended;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::access::Access;
    use crate::rules::error_kind::ErrorKind;
    use crate::rules::issuer::Issuer;
    use crate::rules::record::TokenRecord;
    use crate::rules::sample::{DAY, ada};
    use crate::rules::scope::{Scope, ScopeSet};
    use crate::store::ready::now;
    use crate::tokens::report_leak::LeakOutcome;
    use crate::tokens::sample::{World, project, ring};
    use crate::words::ids::KeyNumber;
    use crate::words::leaked::LeakedToken;

    /// Issues a token that may issue other tokens. Returns its text and key.
    fn issuer(world: &World) -> (String, TokenKey) {
        let new = crate::NewToken::new(project("145"), "ada".parse().unwrap(), "CI".parse().unwrap());
        let issued = world.issued_as(new.with_scopes(ScopeSet::new("user tokens:manage").unwrap()));
        (issued.token.expose_secret().to_owned(), issued.record.key())
    }

    /// Issues a token, with the given token as its issuer. The new token is bound to the issuer if
    /// `bound` is true, otherwise it is independent. Returns the text and key of the new token.
    fn issued(world: &World, (text, _): &(String, TokenKey), bound: bool) -> (String, TokenKey) {
        let project = project("145");
        let verified = now(world.tokens.verify(text, &Access::to(&project, &[]))).unwrap();
        let by = verified.delegate(&Scope::new("tokens:manage").unwrap()).unwrap().allow_manage();
        let by = if bound { by } else { by.independent() };
        let new = crate::NewToken::new(project, "ada".parse().unwrap(), "agent".parse().unwrap());
        let new = new.with_scopes(ScopeSet::new("tokens:manage").unwrap()).within(&by);
        let issued = world.issued_as(new);
        (issued.token.expose_secret().to_owned(), issued.record.key())
    }

    fn deep() -> World {
        World::new().with(|tokens| tokens.with_policy(crate::Policy::default().with_max_depth(3)))
    }

    fn report(world: &World, (text, _): &(String, TokenKey)) -> LeakOutcome {
        now(world.tokens.report_leak(&ada(), &LeakedToken::new(text.as_str()).unwrap())).unwrap()
    }

    #[test]
    fn a_report_revokes_the_whole_tree_and_counts_independent_tokens() {
        let world = deep();
        let root = issuer(&world);
        let (child, _) = (issued(&world, &root, true), issued(&world, &root, true));
        issued(&world, &issued(&world, &child, true), true);
        issued(&world, &root, false);
        let all = IssuedTokens { bound_ended: 4, independent_still_working: 1 };
        assert_eq!(report(&world, &root).issued(), all);
        assert_eq!(world.heard(), ["revoked", "leaked", "issued_revoked", "issued_revoked", "issued_revoked"]);
        let again = IssuedTokens { bound_ended: 0, independent_still_working: 1 };
        assert_eq!(report(&world, &root).issued(), again);
        assert_eq!(report(&world, &child).issued(), IssuedTokens::default());
        assert_eq!(world.stored(&child.1).revoked.clone().unwrap().reason, RevocationReason::KeyCompromise);
    }

    #[test]
    fn a_forged_cycle_of_issuers_ends_the_walk() {
        let world = deep();
        let root = issuer(&world);
        let child = issued(&world, &root, true);
        let below = |key: TokenKey, id: TokenId| {
            let issuer = Some(Issuer { id, bound: true });
            let record = TokenRecord { issuer, ..TokenRecord::clone(&world.stored(&key)) };
            world.store.rows.replace(record);
        };
        below(root.1, child.1.id);
        assert_eq!(report(&world, &root).issued().bound_ended, 1, "the token itself is not counted");
        below(child.1, child.1.id);
        assert_eq!(now(world.tokens.revoke_orphans()).unwrap(), 0);
    }

    #[test]
    fn orphans_are_revoked_level_by_level() {
        let world = deep();
        let root = issuer(&world);
        let child = issued(&world, &root, true);
        let grandchild = issued(&world, &child, true);
        let independent = issued(&world, &root, false);
        assert_eq!(now(world.tokens.revoke_orphans()).unwrap(), 0);
        now(world.tokens.disable(&ada(), &root.1)).unwrap();
        assert_eq!(now(world.tokens.revoke_orphans()).unwrap(), 0, "it may be enabled again");
        now(world.tokens.revoke(&"bob".parse().unwrap(), &root.1, RevocationReason::Superseded)).unwrap();
        world.heard();
        let revoke = || now(world.tokens.revoke_orphans()).map_err(|error| error.kind());
        world.take_down("145");
        assert_eq!(revoke(), Err(ErrorKind::Partial));
        world.store.down.lock().unwrap().clear();
        assert_eq!(revoke(), Ok(2));
        assert_eq!(world.heard(), ["issued_revoked", "issued_revoked"]);
        let revoked = world.stored(&grandchild.1).revoked.clone().unwrap();
        assert_eq!((revoked.by.as_str(), revoked.reason), ("bob", RevocationReason::Superseded));
        assert_eq!(world.stored(&independent.1).revoked, None);
        world.take_down("145");
        assert_eq!(revoke(), Ok(0), "a project without orphans is not visited");
    }

    #[test]
    fn orphans_of_an_issuer_that_ended_by_time_name_it_as_the_actor() {
        let world = World::new();
        let root = issuer(&world);
        let child = issued(&world, &root, true);
        let grace = crate::rotation::Rotation::with_grace(core::time::Duration::from_secs(60));
        now(world.tokens.rotate(&ada(), &root.1, grace)).unwrap();
        world.advance(core::time::Duration::from_secs(60));
        assert_eq!(now(world.tokens.purge(DAY)).unwrap(), 0, "no record is deleted yet");
        let revoked = world.stored(&child.1).revoked.clone().unwrap();
        assert_eq!(revoked.by.as_str(), format!("token acme_pat_145_{}", root.1.id));
        assert_eq!(revoked.reason, RevocationReason::CessationOfOperation);
    }

    #[test]
    fn tokens_that_ended_with_their_issuer_do_not_keep_a_key_in_use() {
        let number = KeyNumber::new(1).unwrap();
        let old = World::over(std::sync::Arc::default(), ring(&[1]));
        let root = issuer(&old);
        issued(&old, &root, true);
        let world = World::over(old.store, ring(&[1, 2]));
        now(world.tokens.disable(&ada(), &root.1)).unwrap();
        assert_eq!(now(world.tokens.key_use(number)).unwrap().live, 2);
        now(world.tokens.revoke(&ada(), &root.1, RevocationReason::default())).unwrap();
        assert!(now(world.tokens.retire_key(number)).is_ok());
        assert_eq!(now(world.tokens.key_use(number)).unwrap().live, 0);
    }
}
