//! Counts tokens for the administrator's pages.
//!
//! Counting the tokens of a person is cheap, because the database has an index for it. Counting the
//! tokens of a project reads each of them. So a large count of a project is kept for a minute.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keyfob::{
    OwnerId, ProjectId, Timestamp, TokenStore,
    store::{CountQuery, ProjectsQuery, StatusFilter, StatusGroup, StoreMaintenance},
};

use crate::app::App;
use crate::tokens::own::Refused;

/// Returns the number of live tokens in a project. If `owner` is given, counts only the tokens of
/// this owner.
pub async fn live(app: &App, project: ProjectId, owner: Option<OwnerId>) -> Result<u64, Refused> {
    of_group(app, project, owner, Some(StatusGroup::Live)).await
}

/// Returns the number of tokens of a group in a project. `None` counts all tokens.
pub async fn of_group(
    app: &App,
    project: ProjectId,
    owner: Option<OwnerId>,
    group: Option<StatusGroup>,
) -> Result<u64, Refused> {
    let mut count = CountQuery::new(project);
    count.owner = owner;
    count.status = group.map(|group| StatusFilter { group, at: app.tokens.now() });
    app.tokens.store().count(&count).await.map_err(Refused::failed)
}

/// The time for which a large count of a project is kept.
const KEPT: Duration = Duration::from_secs(60);
/// The least count that is kept. Smaller counts are cheap, and always exact.
const LARGE: u64 = 20;

/// The counts of groups of tokens in projects, each with the time at which it was made.
type Counts = HashMap<(ProjectId, Option<StatusGroup>), (Timestamp, u64)>;

/// The latest large counts of projects.
#[derive(Default)]
pub struct ProjectCounts {
    last: Mutex<Counts>,
}

impl ProjectCounts {
    /// Forgets all counts. Call this function after an administrator has revoked tokens, so that
    /// the next page shows the result.
    pub fn forget(&self) {
        self.counts().clear();
    }

    // No code here panics while it holds the lock.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the number of tokens of a group in a project, for a page that may show a count from the
/// last minute. Counts below [`LARGE`] are exact.
pub async fn recent(app: &App, project: ProjectId, group: Option<StatusGroup>) -> Result<u64, Refused> {
    let now = app.tokens.now();
    let is_recent = |at: Timestamp| now >= at && now.saturating_since(at) < KEPT;
    let kept = app.project_counts.counts().get(&(project, group)).copied();
    if let Some((_, count)) = kept.filter(|(at, _)| is_recent(*at)) {
        return Ok(count);
    }
    let count = of_group(app, project, None, group).await?;
    if count >= LARGE {
        let mut counts = app.project_counts.counts();
        counts.retain(|_, (at, _)| is_recent(*at));
        counts.insert((project, group), (now, count));
    }
    Ok(count)
}

/// Returns the projects in which a person has or had tokens, in ascending order.
pub async fn projects(app: &App, owner: &OwnerId) -> Result<Vec<ProjectId>, Refused> {
    let mut query = ProjectsQuery { owner: Some(owner.clone()), ..ProjectsQuery::default() };
    let mut all = Vec::new();
    loop {
        let projects = app.tokens.store().projects(&query).await.map_err(Refused::failed)?;
        let Some(last) = projects.last() else { return Ok(all) };
        query.after = Some(*last);
        all.extend(projects);
    }
}

/// Returns the projects in which a person has live tokens, each with the number of live tokens.
pub async fn live_by_project(app: &App, owner: &OwnerId) -> Result<Vec<(ProjectId, u64)>, Refused> {
    let mut counts = Vec::new();
    for project in projects(app, owner).await? {
        match live(app, project, Some(owner.clone())).await? {
            0 => {}
            live => counts.push((project, live)),
        }
    }
    Ok(counts)
}
