//! The walk through the records of all projects of a store.

use std::sync::Arc;

use super::projects::Projects;
use super::service::Tokens;
use crate::rules::record::TokenRecord;
use crate::store::contract::TokenStore;
use crate::store::maintenance::{ProjectsQuery, StoreMaintenance};
use crate::store::query::{ListQuery, PageSize, StatusFilter};
use crate::words::ids::TokenKey;
use crate::words::store_error::StoreError;

/// The records of all projects of a store whose status passes a filter, one page at a time. The
/// records of a project follow each other.
pub(super) struct EveryRecord<'t, S> {
    store: &'t S,
    status: StatusFilter,
    source: Source<'t, S>,
}

/// The calls that return the records.
#[allow(clippy::large_enum_variant, reason = "a job has one value of this type")]
enum Source<'t, S> {
    /// `scan`, beginning after this key.
    Scan(Option<TokenKey>),
    /// `list`, for a store that does not support `scan`. The query is for the next page of the
    /// current project, if there is one.
    Lists(Projects<'t, S>, Option<ListQuery>),
}

impl<S: TokenStore + StoreMaintenance> Tokens<S> {
    /// Returns a walk through the records of all projects whose status passes this filter.
    pub(super) fn every_record(&self, status: StatusFilter) -> EveryRecord<'_, S> {
        EveryRecord { store: &self.store, status, source: Source::Scan(None) }
    }
}

impl<S: TokenStore + StoreMaintenance> EveryRecord<'_, S> {
    /// Returns the next records, or `None` after the last record. A page may be empty.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Arc<TokenRecord>>>, StoreError> {
        loop {
            match &mut self.source {
                Source::Scan(after) => match self.store.scan(*after, PageSize::MAX).await? {
                    Some(mut page) => {
                        let Some(last) = page.last() else { return Ok(None) };
                        *after = Some(last.key());
                        page.retain(|record| self.status.matches(record));
                        return Ok(Some(page));
                    }
                    None => {
                        let projects = Projects::new(self.store, ProjectsQuery::default());
                        self.source = Source::Lists(projects, None);
                    }
                },
                Source::Lists(projects, next) => {
                    let query = match next.take() {
                        Some(query) => query,
                        None => {
                            let Some(project) = projects.next().await? else { return Ok(None) };
                            ListQuery { status: Some(self.status), most: PageSize::MAX, ..ListQuery::new(project) }
                        }
                    };
                    let page = self.store.list(&query).await?;
                    *next = page.next.map(|after| ListQuery { after: Some(after), ..query });
                    return Ok(Some(page.items));
                }
            }
        }
    }
}
