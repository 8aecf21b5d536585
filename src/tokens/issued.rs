//! What a token has issued: revoked once it has ended.

use super::events::Event;
use super::service::Tokens;
use crate::rules::error::Error;
use crate::rules::record::{Revocation, RevocationReason};
use crate::store::contract::TokenStore;
use crate::store::maintenance::{ProjectsQuery, StoreMaintenance};
use crate::store::query::{ListQuery, PageSize};
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::store_error::StoreError;
use crate::words::text::Actor;

/// What a token that has ended had issued.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct IssuedTokens {
    /// How many tokens were bound to it, or to one that was, and worked until it ended. They are revoked.
    pub bound_ended: u64,
    /// How many [independent](crate::Delegation::independent) ones it has issued that are live still. Nothing was done to them.
    pub independent_still_working: u64,
}

impl<S: TokenStore> Tokens<S> {
    /// Revokes what is bound to a token that has ended, and counts what it has issued beside that.
    pub(super) async fn end_issued(
        &self,
        actor: &Actor,
        key: &TokenKey,
        revocation: &Revocation,
    ) -> Result<IssuedTokens, Error> {
        let mut issued = IssuedTokens::default();
        let mut left = vec![key.id];
        while let Some(id) = left.pop() {
            let mut query = ListQuery { issuer: Some(id), most: PageSize::MAX, ..ListQuery::new(key.project) };
            loop {
                let page = self.store.list(&query).await?;
                for record in page.items {
                    if record.is_bound_to(&id) {
                        // Each is below the one before, and a chain is short: what no policy allowed ends here.
                        left.push(record.id);
                    } else if record.status(revocation.at).is_live() {
                        issued.independent_still_working += 1;
                    }
                }
                query.after = page.next;
                if query.after.is_none() {
                    break;
                }
            }
            issued.bound_ended += self.revoke_issued(actor, &key.project, &id, revocation).await?;
        }
        Ok(issued)
    }

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
    /// Revokes what is bound to tokens that have ended, in all projects, and returns how many that were. It is book-keeping: these
    /// tokens are refused from the moment on at which their issuer ends. [`purge`](Self::purge) does it first. No cache is told.
    ///
    /// The actor of each revocation is the one of its issuer's; where the issuer ended by time or is purged, the issuer.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Partial`](crate::ErrorKind::Partial) if the store fails in any project; it may be called again.
    pub async fn revoke_orphans(&self) -> Result<u64, Error> {
        let mut walk = self.walk(ProjectsQuery::default());
        while let Some(project) = walk.next().await {
            let count = self.revoke_orphans_in(&project).await;
            walk.note(project, count);
        }
        walk.end()
    }

    /// What is bound to a token that is revoked here is found by the next look.
    pub(super) async fn revoke_orphans_in(&self, project: &ProjectId) -> Result<u64, StoreError> {
        let mut count = 0;
        loop {
            let at = self.clock.now();
            let ended = self.store.ended_issuers(project, at, PageSize::MAX).await?;
            if ended.is_empty() {
                return Ok(count);
            }
            for id in ended {
                let issuer = self.store.find(&TokenKey { project: *project, id }).await?;
                let revoked = issuer.as_ref().and_then(|issuer| issuer.revoked.clone());
                let by_time = || Revocation {
                    at,
                    by: Actor::of_token(id.as_str()),
                    reason: RevocationReason::CessationOfOperation,
                };
                let revocation = Revocation { at, ..revoked.unwrap_or_else(by_time) };
                count += self.revoke_issued(&revocation.by, project, &id, &revocation).await?;
            }
        }
    }
}
