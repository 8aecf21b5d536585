//! Walking through all projects of a store.

use core::error::Error;
use core::fmt;

use super::owners::Owners;
use super::service::Tokens;
use crate::store::contract::{ProjectsQuery, StoreMaintenance, TokenStore};
use crate::store::query::PageSize;
use crate::words::clock::Clock;
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
    /// Returns [`Interrupted`] if the store failed in any project, or could not list them all.
    pub(super) fn end(self) -> Result<u64, Interrupted> {
        match self.error {
            None => Ok(self.count),
            Some(error) => {
                let after = self.projects.query.after;
                Err(Interrupted { failed: self.failed, after, count: self.count, error })
            }
        }
    }
}

impl<S: TokenStore + StoreMaintenance, C: Clock, O: Owners> Tokens<S, C, O> {
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

/// An operation in all projects that the store failed in some of.
///
/// Every project that the store could list was tried. To finish it, repeat the call, which goes
/// through all projects again; or, after a revocation, call [`revoke_group`](Tokens::revoke_group)
/// for each of `failed`, and [`revoke_everywhere`](Tokens::revoke_everywhere) from `after` on.
#[derive(Debug)]
pub struct Interrupted {
    /// The projects in which the store failed, in order. Some of their tokens may have been
    /// reached.
    pub failed: Vec<ProjectId>,
    /// The last project that was tried. More follow only if the store failed to list them.
    pub after: Option<ProjectId>,
    /// How many tokens were revoked, or deleted, in the other projects.
    pub count: u64,
    /// What failed first.
    pub error: StoreError,
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { failed, after, count, error } = self;
        match (failed.as_slice(), after) {
            ([], None) => f.write_str("cannot list the projects")?,
            ([], Some(after)) => write!(f, "cannot list the projects after {after}")?,
            ([project], _) => write!(f, "failed in project {project}")?,
            ([first, ..], _) => write!(f, "failed in {} projects, of which {first} is the first", failed.len())?,
        }
        write!(f, ": {error} ({count} tokens were reached elsewhere; repeat the call)")
    }
}

impl Error for Interrupted {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}
