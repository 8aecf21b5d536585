//! The test cases for `StoreMaintenance::projects`.

use super::sample::{owner, project, put, record, sibling};
use super::verdict::{Broken, Verdict, ensure};
use crate::rules::record::TokenRecord;
use crate::store::contract::TokenStore;
use crate::store::maintenance::{ProjectsQuery, StoreMaintenance};
use crate::store::query::PageSize;
use crate::words::ids::ProjectId;
use crate::words::text::OwnerId;

/// Inserts tokens of one owner into three projects whose ids differ only in the last character.
/// Returns the projects in ascending order, and the owner.
async fn three<S: TokenStore>(store: &S) -> Result<(Vec<ProjectId>, OwnerId), Broken> {
    let first = project()?;
    let owner = owner(first, "ada")?;
    let projects = ['7', 'b', 'z'].into_iter().map(|last| sibling(first, last)).collect::<Result<Vec<_>, _>>()?;
    // The store receives the projects in no particular order, and one of them twice.
    for at in [1, 2, 0, 1] {
        put(store, &TokenRecord { owner: owner.clone(), ..record(projects[at])? }).await?;
    }
    Ok((projects, owner))
}

/// Calls `projects` repeatedly, until a result is empty, or contains `last` or a later project.
/// Returns the projects of all results.
pub(super) async fn walk<S: StoreMaintenance>(
    store: &S,
    mut query: ProjectsQuery,
    last: ProjectId,
) -> Result<Vec<ProjectId>, Broken> {
    const FAR: usize = 1000;
    let mut seen = Vec::new();
    for _ in 0..FAR {
        let named = store.projects(&query).await?;
        let Some(end) = named.last().copied() else { return Ok(seen) };
        seen.extend(named);
        if end >= last {
            return Ok(seen);
        }
        query.after = Some(end);
    }
    Err(Broken::new(format!("projects: no end after {FAR} calls")))
}

pub(super) async fn projects_names_all_that_have_tokens<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let (projects, _) = three(store).await?;
    // A shared database may contain projects of other tests between these three.
    let after = Some(sibling(projects[0], '6')?);
    for most in [1, 2, 100] {
        let query = ProjectsQuery { after, most: PageSize::clamped(most), ..ProjectsQuery::default() };
        let named = walk(store, query, projects[2]).await?;
        ensure!(projects.iter().all(|project| named.contains(project)), "projects, {most} at a time: some are missing");
    }
    Ok(())
}

pub(super) async fn projects_names_all_of_an_owner<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let (projects, owner) = three(store).await?;
    for most in [1, 2, 100] {
        let query =
            ProjectsQuery { owner: Some(owner.clone()), most: PageSize::clamped(most), ..ProjectsQuery::default() };
        let named = walk(store, query, projects[2]).await?;
        let all = projects.iter().all(|project| named.contains(project));
        ensure!(all, "projects of an owner, {most} at a time: some are missing");
    }
    Ok(())
}

pub(super) async fn projects_ascend<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let (projects, owner) = three(store).await?;
    for owner in [None, Some(owner)] {
        let named = store.projects(&ProjectsQuery { owner, most: PageSize::MAX, ..ProjectsQuery::default() }).await?;
        ensure!(named.is_sorted_by(|a, b| a < b), "projects: not ascending, or one twice");
    }
    let after = Some(sibling(projects[0], '6')?);
    let named = store.projects(&ProjectsQuery { after, most: PageSize::MAX, ..ProjectsQuery::default() }).await?;
    ensure!(named.is_sorted_by(|a, b| a < b), "projects after one: not ascending, or one twice");
    Ok(())
}

pub(super) async fn projects_start_behind_the_one_named<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let (projects, owner) = three(store).await?;
    for owner in [None, Some(owner)] {
        let query = ProjectsQuery { owner, after: Some(projects[1]), most: PageSize::MAX, with: None };
        let named = store.projects(&query).await?;
        ensure!(
            named.iter().all(|named| *named > projects[1]),
            "projects after one: it is among them, or one before it"
        );
    }
    Ok(())
}

pub(super) async fn projects_are_no_more_than_asked<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    three(store).await?;
    for most in [1, 2] {
        let named =
            store.projects(&ProjectsQuery { most: PageSize::clamped(most), ..ProjectsQuery::default() }).await?;
        ensure!(named.len() <= most, "projects: {} returned, at most {most} requested", named.len());
    }
    Ok(())
}
