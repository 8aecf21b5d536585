//! The walk through all projects of a store.

use super::service::Tokens;
use crate::rules::error::Error;
use crate::rules::partial_failure::PartialFailure;
use crate::store::contract::TokenStore;
use crate::store::maintenance::{ProjectsQuery, ProjectsWith, StoreMaintenance};
use crate::store::query::PageSize;
use crate::words::ids::ProjectId;
use crate::words::store_error::StoreError;

/// The projects of a store, read one page at a time.
pub(super) struct Projects<'t, S> {
    store: &'t S,
    query: ProjectsQuery,
    page: std::vec::IntoIter<ProjectId>,
}

impl<'t, S: StoreMaintenance> Projects<'t, S> {
    pub(super) fn new(store: &'t S, query: ProjectsQuery) -> Self {
        let query = ProjectsQuery { most: PageSize::MAX, ..query };
        Self { store, query, page: Vec::new().into_iter() }
    }

    /// Returns the next project, or `None` after the last project.
    pub(super) async fn next(&mut self) -> Result<Option<ProjectId>, StoreError> {
        if self.page.len() == 0 {
            self.page = self.store.projects(&self.query).await?.into_iter();
        }
        let next = self.page.next();
        self.query.after = next.or(self.query.after);
        Ok(next)
    }
}

/// A walk through the projects of a store, for an operation that runs in one project after another.
///
/// If the operation fails in a project, the walk continues. So one project that is overloaded,
/// blocked or corrupt does not stop the operation in the other projects.
pub(super) struct Walk<'t, S> {
    projects: Projects<'t, S>,
    failed: Vec<ProjectId>,
    count: u64,
    error: Option<StoreError>,
}

impl<S: StoreMaintenance> Walk<'_, S> {
    /// Returns the next project. Returns `None` after the last project, or if the store fails to
    /// list more projects.
    pub(super) async fn next(&mut self) -> Option<ProjectId> {
        match self.projects.next().await {
            Ok(next) => next,
            Err(error) => {
                self.error.get_or_insert(error);
                None
            }
        }
    }

    /// Starts again with the projects that have this work, and keeps the recorded outcomes.
    pub(super) fn restart(&mut self, work: ProjectsWith) {
        self.projects = Projects::new(self.projects.store, ProjectsQuery { with: Some(work), ..Default::default() });
    }

    /// Records the outcome of the operation in one project: the number of changed tokens, or an
    /// error.
    pub(super) fn note(&mut self, project: ProjectId, outcome: Result<u64, StoreError>) {
        match outcome {
            Ok(count) => self.count += count,
            Err(error) => {
                // After a restart, a project may fail again.
                if !self.failed.contains(&project) {
                    self.failed.push(project);
                }
                self.error.get_or_insert(error);
            }
        }
    }

    /// Ends the walk. Returns the number of tokens that the operation changed in all projects.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Partial`](crate::ErrorKind::Partial) if the store failed in any project
    /// or could not list all projects.
    pub(super) fn end(self) -> Result<u64, Error> {
        match self.error {
            None => Ok(self.count),
            Some(error) => {
                let after = self.projects.query.after;
                Err(Error::partly(PartialFailure { failed: self.failed, after, count: self.count }, error))
            }
        }
    }
}

impl<S: TokenStore + StoreMaintenance> Tokens<S> {
    /// Returns the projects that match a query.
    pub(super) fn projects(&self, query: ProjectsQuery) -> Projects<'_, S> {
        Projects::new(&self.store, query)
    }

    /// Starts a walk through the projects that have this work. A store may add other projects.
    pub(super) fn walk_with(&self, work: ProjectsWith) -> Walk<'_, S> {
        self.walk(ProjectsQuery { with: Some(work), ..ProjectsQuery::default() })
    }

    /// Starts a walk through the projects that match a query.
    pub(super) fn walk(&self, query: ProjectsQuery) -> Walk<'_, S> {
        Walk { projects: self.projects(query), failed: Vec::new(), count: 0, error: None }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::rules::error_kind::ErrorKind;
    use crate::store::ready::now;
    use crate::tokens::sample::{World, project};
    use crate::words::store_error::StoreErrorKind;

    #[test]
    fn projects_are_listed_over_several_pages() {
        let world = World::new();
        let names: Vec<ProjectId> = (1000..=PageSize::MAX.get() + 1001).map(|n| project(&n.to_string())).collect();
        for name in &names {
            world.issued(name.as_str());
        }
        let mut projects = world.tokens.projects(ProjectsQuery { most: PageSize::clamped(1), ..Default::default() });
        let mut found = Vec::new();
        while let Some(next) = now(projects.next()).unwrap() {
            found.push(next);
        }
        assert_eq!(found, names);
        assert_eq!(now(projects.next()).unwrap(), None, "the end stays the end");
    }

    #[test]
    fn a_walk_returns_the_sum_and_the_projects_that_failed() {
        let world = World::new();
        for name in ["145", "146", "147"] {
            world.issued(name);
        }
        let mut walk = world.tokens.walk(ProjectsQuery::default());
        let mut outcomes = [Ok(2), Err(StoreErrorKind::Corrupt.into()), Ok(3)].into_iter();
        while let Some(next) = now(walk.next()) {
            walk.note(next, outcomes.next().unwrap());
        }
        let failed = walk.end().unwrap_err();
        let expected = PartialFailure { failed: vec![project("146")], after: Some(project("147")), count: 5 };
        assert_eq!((failed.kind(), failed.partial()), (ErrorKind::Partial, Some(&expected)));
        assert_eq!(failed.store().map(StoreError::kind), Some(StoreErrorKind::Corrupt));
    }

    #[test]
    fn a_walk_without_a_failure_returns_the_sum() {
        let world = World::new();
        let mut walk = world.tokens.walk(ProjectsQuery::default());
        walk.note(project("145"), Ok(2));
        walk.note(project("146"), Ok(3));
        assert_eq!(walk.end().unwrap(), 5);
    }

    #[test]
    fn a_walk_ends_if_the_projects_cannot_be_listed() {
        let world = World::new();
        world.issued("145");
        world.store.unlisted.store(true, Ordering::SeqCst);
        let mut walk = world.tokens.walk(ProjectsQuery::default());
        assert_eq!(now(walk.next()), None);
        let failed = walk.end().unwrap_err();
        assert_eq!(failed.partial(), Some(&PartialFailure { failed: vec![], after: None, count: 0 }));
    }
}
