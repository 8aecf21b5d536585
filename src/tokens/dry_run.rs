//! What a policy would do, before it does.

use std::collections::BTreeMap;

use super::service::Tokens;
use crate::rules::breach::PolicyBreach;
use crate::rules::error::Error;
use crate::rules::policy::Policy;
use crate::store::contract::TokenStore;
use crate::store::maintenance::{ProjectsQuery, StoreMaintenance};
use crate::store::query::{ListQuery, PageSize, StatusFilter, StatusGroup};
use crate::words::ids::ProjectId;
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

impl<S: TokenStore + StoreMaintenance> Tokens<S> {
    /// How many live tokens, of whom, another policy would block, and on which day, if nothing else happens: sorted by
    /// time. Tokens that end before it would hit them are left out. Nothing is changed.
    ///
    /// # Errors
    /// Returns [`Error`] if the store fails.
    pub async fn dry_run(&self, policy: &Policy) -> Result<Vec<PolicyHit>, Error> {
        let now = self.clock.now();
        let mut hits = BTreeMap::new();
        let mut projects = self.projects(ProjectsQuery::default());
        while let Some(project) = projects.next().await? {
            let mut query = ListQuery::new(project);
            query.status = Some(StatusFilter { life: StatusGroup::Live, at: now });
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
