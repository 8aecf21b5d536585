//! Walking through all projects of a store.

use super::owners::Owners;
use super::query::PageSize;
use super::store::{ProjectsQuery, StoreMaintenance, TokenStore};
use super::store_error::StoreError;
use super::tokens::Tokens;
use crate::words::clock::Clock;
use crate::words::ids::ProjectId;

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

impl<S: TokenStore + StoreMaintenance, C: Clock, O: Owners> Tokens<S, C, O> {
    /// The projects that a query names.
    pub(super) fn projects(&self, query: ProjectsQuery) -> Projects<'_, S> {
        let query = ProjectsQuery { most: PageSize::default(), ..query };
        Projects { store: &self.store, query, page: Vec::new().into_iter() }
    }
}
