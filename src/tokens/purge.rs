//! The operation that deletes the records of tokens that ended long ago.

use core::time::Duration;

use super::service::Tokens;
use crate::rules::error::Error;
use crate::store::contract::TokenStore;
use crate::store::maintenance::{ProjectsWith, StoreMaintenance};
use crate::store::query::PageSize;
use crate::words::ids::ProjectId;
use crate::words::store_error::StoreError;
use crate::words::timestamp::Timestamp;

impl<S: TokenStore + StoreMaintenance> Tokens<S> {
    /// Deletes the records of tokens that ended longer ago than `kept`, in all projects. Returns
    /// the number of deleted records.
    ///
    /// While the record of an ended token exists, a verification reports that the token is revoked
    /// or expired. After the record is deleted, a verification reports an unknown token. Keep
    /// records for some months, and call this method regularly, for instance once a day.
    ///
    /// The records are deleted in batches. If the store fails in one project, the call still purges
    /// the other projects. Before the call deletes records, it revokes the orphans of all projects,
    /// as [`revoke_orphans`](Self::revoke_orphans) does.
    ///
    /// The call visits only the projects that have something to do. If the store cannot name them,
    /// the call visits all projects: see [`StoreMaintenance::projects`]. In a project without ended
    /// tokens, it only reads.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Partial`](crate::ErrorKind::Partial) if the store fails in any project
    /// or cannot list the projects. Call this method again to finish.
    pub async fn purge(&self, kept: Duration) -> Result<u64, Error> {
        let now = self.clock.now();
        let ended_before = now.saturating_sub(kept);
        // Lists then show the end of each orphan, even if its issuer is kept for a while.
        let mut walk = self.walk_with(ProjectsWith::EndedIssuers(now));
        while let Some(project) = walk.next().await {
            let revoked = self.revoke_orphans_in(&project).await;
            walk.note(project, revoked.map(|_| 0));
        }
        walk.restart(ProjectsWith::EndedBefore(ended_before));
        while let Some(project) = walk.next().await {
            let purged = async {
                // An issuer may have ended since the first walk. If the issuer were deleted first,
                // a token that is bound to it would look live, and the actor and reason of the
                // issuer's revocation would be unknown.
                self.revoke_orphans_in(&project).await?;
                self.purge_project(&project, ended_before).await
            };
            let purged = purged.await;
            walk.note(project, purged);
        }
        walk.end()
    }

    async fn purge_project(&self, project: &ProjectId, ended_before: Timestamp) -> Result<u64, StoreError> {
        let mut count = 0;
        loop {
            let batch = self.store.purge(project, ended_before, PageSize::MAX).await?;
            count += batch.count;
            if batch.done || batch.count == 0 {
                return Ok(count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::error_kind::ErrorKind;
    use crate::rules::record::RevocationReason;
    use crate::rules::sample::{DAY, MS, ada};
    use crate::store::ready::now;
    use crate::tokens::sample::{World, project};

    #[test]
    fn a_record_is_kept_for_the_given_time_after_its_end() {
        let world = World::new();
        let key = world.issued("145").record.key();
        let live = world.issued("145").record.key();
        now(world.tokens.revoke(&ada(), &key, RevocationReason::default())).unwrap();
        world.advance(DAY);
        assert_eq!(now(world.tokens.purge(DAY)).unwrap(), 0);
        world.advance(MS);
        assert_eq!(now(world.tokens.purge(DAY)).unwrap(), 1);
        assert_eq!(now(world.tokens.get(&key)).unwrap(), None);
        assert!(now(world.tokens.get(&live)).unwrap().is_some());
    }

    #[test]
    fn a_purge_continues_after_a_project_that_fails() {
        let world = World::new();
        for name in ["145", "146"] {
            world.issued(name);
        }
        world.advance(31 * DAY);
        world.take_down("145");
        let failed = now(world.tokens.purge(Duration::ZERO)).unwrap_err();
        let partial = failed.partial().unwrap();
        assert_eq!((failed.kind(), &partial.failed, partial.count), (ErrorKind::Partial, &vec![project("145")], 1));
    }

    #[test]
    fn a_purge_deletes_more_rows_than_one_batch() {
        let world = World::new();
        for _ in 0..=PageSize::MAX.get() {
            world.issued("145");
        }
        world.advance(31 * DAY);
        assert_eq!(now(world.tokens.purge(Duration::ZERO)).unwrap(), PageSize::MAX.get() as u64 + 1);
    }
}
