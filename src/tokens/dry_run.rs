//! What a policy would do, before it does.

use std::collections::BTreeMap;

use super::owners::Owners;
use super::service::Tokens;
use crate::rules::policy::{Policy, PolicyBreach};
use crate::store::contract::{ProjectsQuery, StoreMaintenance, TokenStore};
use crate::store::query::{Life, ListQuery, PageSize, StatusFilter};
use crate::words::clock::Clock;
use crate::words::ids::ProjectId;
use crate::words::store_error::StoreError;
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;

/// Live tokens of one owner in one project that a policy would block.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub struct PolicyHit {
    /// From when on: now, or the start of the day (UTC) on which the first of them is.
    pub from: Timestamp,
    /// In which project.
    pub project: ProjectId,
    /// Whose.
    pub owner: OwnerId,
    /// By what.
    pub breach: PolicyBreach,
    /// How many.
    pub tokens: u64,
}

impl<S: TokenStore + StoreMaintenance, C: Clock, O: Owners> Tokens<S, C, O> {
    /// How many live tokens, of whom, another policy would block, and on which day, if nothing else happens: sorted by
    /// time. Tokens that end before it would hit them are left out. Nothing is changed.
    ///
    /// # Errors
    /// [`StoreError`] where the store fails.
    pub async fn dry_run(&self, policy: &Policy) -> Result<Vec<PolicyHit>, StoreError> {
        let now = self.clock.now();
        let mut hits = BTreeMap::new();
        let mut projects = self.projects(ProjectsQuery::default());
        while let Some(project) = projects.next().await? {
            let mut query = ListQuery::new(project);
            query.status = Some(StatusFilter { life: Life::Live, at: now });
            query.most = PageSize::MAX;
            loop {
                let page = self.store.list(&query).await?;
                for record in page.items {
                    let Some((from, breach)) = policy.outside_from(&record) else { continue };
                    if record.ends_at().is_none_or(|end| from < end) {
                        let day = if from <= now { now } else { from.start_of_day().max(now) };
                        *hits.entry((day, project, record.owner.clone(), breach)).or_default() += 1;
                    }
                }
                query.after = page.next;
                if query.after.is_none() {
                    break;
                }
            }
        }
        let hit = |((from, project, owner, breach), tokens)| PolicyHit { from, project, owner, breach, tokens };
        Ok(hits.into_iter().map(hit).collect())
    }
}
