//! Counts live tokens for the administrator's pages.

use keyfob::{
    OwnerId, ProjectId, TokenStore,
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
