//! Deleting what ended long ago.

use core::time::Duration;

use super::owners::Owners;
use super::query::PageSize;
use super::store::{ProjectsQuery, StoreMaintenance, TokenStore};
use super::store_error::StoreError;
use super::tokens::Tokens;
use crate::words::clock::Clock;

impl<S: TokenStore + StoreMaintenance, C: Clock, O: Owners> Tokens<S, C, O> {
    /// Deletes the records of tokens that ended more than `kept` ago, in all projects and in batches, and gives how many.
    /// Until then "expired" and "revoked" can be told from "unknown"; some months are a good time.
    ///
    /// # Errors
    /// [`StoreError`] where the store fails; it may be called again.
    pub async fn purge(&self, kept: Duration) -> Result<u64, StoreError> {
        let ended_before = self.clock.now().saturating_sub(kept);
        let mut projects = self.projects(ProjectsQuery::default());
        let mut count = 0;
        while let Some(project) = projects.next().await? {
            loop {
                let batch = self.store.purge(&project, ended_before, PageSize::MAX).await?;
                count += batch.count;
                if batch.done || batch.count == 0 {
                    break;
                }
            }
        }
        Ok(count)
    }
}
