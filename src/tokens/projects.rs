//! Walking through all projects of a store.

use super::service::Tokens;
use crate::rules::error::Error;
use crate::rules::partial_failure::PartialFailure;
use crate::store::contract::TokenStore;
use crate::store::maintenance::{ProjectsQuery, StoreMaintenance};
use crate::store::query::PageSize;
use crate::words::ids::ProjectId;
use crate::words::store_error::StoreError;

/// The projects of a store, a page at a time.
pub(super) struct Projects<'t, S> {
    store: &'t S,
    query: ProjectsQuery,
    page: std::vec::IntoIter<ProjectId>,
}

impl<S: StoreMaintenance> Projects<'_, S> {
    /// The next one; `None` behind the last.
    pub(super) async fn next(&mut self) -> Result<Option<ProjectId>, StoreError> {
        if self.page.len() == 0 {
            self.page = self.store.projects(&self.query).await?.into_iter();
        }
        let next = self.page.next();
        self.query.after = next.or(self.query.after);
        Ok(next)
    }
}

/// An operation in one project after the other. Those after a failed one are tried too: one project
/// that is flooded, held or corrupt must not keep an operation from all that come after it.
pub(super) struct Walk<'t, S> {
    projects: Projects<'t, S>,
    failed: Vec<ProjectId>,
    count: u64,
    error: Option<StoreError>,
}

impl<S: StoreMaintenance> Walk<'_, S> {
    /// Returns the next project, and `None` after the last or if the store cannot list more.
    pub(super) async fn next(&mut self) -> Option<ProjectId> {
        match self.projects.next().await {
            Ok(next) => next,
            Err(error) => {
                self.error.get_or_insert(error);
                None
            }
        }
    }

    /// Takes down how the operation went in a project: on how many tokens.
    pub(super) fn note(&mut self, project: ProjectId, outcome: Result<u64, StoreError>) {
        match outcome {
            Ok(count) => self.count += count,
            Err(error) => {
                self.failed.push(project);
                self.error.get_or_insert(error);
            }
        }
    }

    /// Returns how many tokens the operation changed.
    ///
    /// # Errors
    /// Returns [`ErrorKind::Partial`](crate::ErrorKind::Partial) if the store failed in any project, or could not list them all.
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
    /// The projects that a query names.
    pub(super) fn projects(&self, query: ProjectsQuery) -> Projects<'_, S> {
        let query = ProjectsQuery { most: PageSize::default(), ..query };
        Projects { store: &self.store, query, page: Vec::new().into_iter() }
    }

    /// A walk through the projects that a query names.
    pub(super) fn walk(&self, query: ProjectsQuery) -> Walk<'_, S> {
        Walk { projects: self.projects(query), failed: Vec::new(), count: 0, error: None }
    }
}
