//! Deleting what ended long ago.

use core::time::Duration;

use super::service::Tokens;
use crate::rules::error::Error;
use crate::store::contract::TokenStore;
use crate::store::maintenance::{ProjectsQuery, StoreMaintenance};
use crate::store::query::PageSize;
use crate::words::ids::ProjectId;
use crate::words::store_error::StoreError;
use crate::words::timestamp::Timestamp;

impl<S: TokenStore + StoreMaintenance> Tokens<S> {
    /// Deletes the records of tokens that ended more than `kept` ago, in all projects and in
    /// batches, and gives how many. Until then "expired" and "revoked" can be told from "unknown";
    /// some months are a good time. If the store fails in a project, the others are purged all the
    /// same.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Partial`](crate::ErrorKind::Partial) if the store fails in any project or cannot list them all; it may be
    /// called again.
    pub async fn purge(&self, kept: Duration) -> Result<u64, Error> {
        let ended_before = self.clock.now().saturating_sub(kept);
        let mut walk = self.walk(ProjectsQuery::default());
        while let Some(project) = walk.next().await {
            let purged = self.purge_project(&project, ended_before).await;
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
