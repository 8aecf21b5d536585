//! The layer that turns a store with four operations into a complete one.

use std::collections::HashMap;
use std::sync::Arc;

use super::basic::{BasicStore, Write};
use super::contract::TokenStore;
use super::group::{BatchResult, RevokeBatch};
use super::last_use::LastUse;
use super::maintenance::{ProjectsQuery, StoreMaintenance};
use super::operations;
use super::query::{CountQuery, ListQuery, Page, PageSize};
use super::rows::Rows;
use super::turns::Turns;
use crate::rules::change::Change;
use crate::rules::notice_lead::NoticeLead;
use crate::rules::precondition::{IssuerCondition, LiveLimit};
use crate::rules::record::{Revocation, TokenRecord};
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;

/// A [`TokenStore`] with [`StoreMaintenance`] over a [`BasicStore`].
///
/// An operation scans a project, changes its records in memory, and commits the changed ones. If
/// another commit came first, it begins again, and waits for the other operations of this layer on
/// the project that had to begin again before it. After 100 attempts it returns
/// [`Unavailable`](crate::store::StoreErrorKind::Unavailable), because the project has too many
/// writers for this layer. An operation that changes nothing commits nothing.
///
/// If a commit takes fewer than 1,000 writes, a claim of notices may take several commits. If its
/// future is dropped between two of them, the claimed notices are claimed again after their lease.
///
/// Three limits follow:
/// - The layer has no deadline of its own. An operation takes as long as its calls of the basic
///   store, and waits for the operations before it. Only imports do not wait for other operations.
/// - A revocation of a group reads the whole project once for each
///   [`MOST_WRITES`](BasicStore::MOST_WRITES) tokens that it revokes.
/// - A flood of changes in a project can make a revocation in this project fail. The caller repeats
///   it. If members of a project could cause such a flood, limit the rate of their changes, or
///   implement `TokenStore` itself.
///
/// With a [`BasicImportStore`](crate::store::BasicImportStore), the layer supports imports: it is
/// an [`ImportStore`](crate::import::ImportStore). A commit then has the rows of one project, as
/// many as fit.
#[derive(Clone, Debug)]
pub struct Layered<S> {
    store: S,
    turns: Arc<Turns>,
}

/// The maximum number of times that an operation is tried.
pub(super) const ATTEMPTS: usize = 100;

/// Returns the error after the last attempt.
pub(super) fn too_many_writers() -> StoreError {
    let why = "the project has too many writers at the same time";
    StoreError::with_source(StoreErrorKind::Unavailable, why)
}

impl<S: BasicStore> Layered<S> {
    /// Fails the compilation if a commit takes fewer than 3 writes.
    ///
    /// ```compile_fail,E0080
    /// # use std::sync::Arc;
    /// # use keyfob::store::{BasicStore, Layered, StoreError, Write};
    /// # use keyfob::{ProjectId, TokenKey, TokenRecord};
    /// # type Found = Option<Arc<TokenRecord>>;
    /// # type Scanned = (Vec<Arc<TokenRecord>>, ());
    /// # type Result<T> = core::result::Result<T, StoreError>;
    /// struct Two;
    ///
    /// impl BasicStore for Two {
    ///     const MOST_WRITES: usize = 2;
    /// #   type Mark = ();
    /// #   async fn get(&self, _: &TokenKey) -> Result<Found> { todo!() }
    /// #   async fn scan(&self, _: &ProjectId) -> Result<Scanned> { todo!() }
    /// #   async fn commit(
    /// #       &self, _: &ProjectId, _: (), _: Vec<Write>,
    /// #   ) -> Result<bool> { todo!() }
    /// #   async fn projects(
    /// #       &self, _: Option<&ProjectId>, _: usize,
    /// #   ) -> Result<Vec<ProjectId>> { todo!() }
    /// }
    /// let store = Layered::new(Two);
    /// ```
    const ENOUGH_FOR_A_ROTATION: () = assert!(S::MOST_WRITES >= 3, "a rotation writes 3 records in one commit");

    /// Creates a complete store from a basic one.
    pub fn new(store: S) -> Self {
        // A store with a smaller limit does not compile.
        let () = Self::ENOUGH_FOR_A_ROTATION;
        Self { store, turns: Arc::default() }
    }

    /// Returns the basic store.
    pub fn basic(&self) -> &S {
        &self.store
    }

    /// Returns the records of a project as rows.
    async fn rows(&self, project: ProjectId) -> Result<Rows, StoreError> {
        let (records, _) = self.store.scan(&project).await?;
        Ok(Rows::of(&records))
    }

    /// Runs an operation on a project, and commits what it changed.
    async fn change<T>(
        &self,
        project: ProjectId,
        operation: impl Fn(&mut Rows) -> Result<T, StoreError> + Send,
    ) -> Result<T, StoreError>
    where
        T: Send,
    {
        let mut _turn = None;
        for attempt in 0..ATTEMPTS {
            // The first attempt waits for no other operation. Without turns, most of many attempts
            // at the same time would be in vain.
            if attempt == 1 {
                _turn = Some(self.turns.take(project).await);
            }
            let (before, mark) = self.store.scan(&project).await?;
            let mut rows = Rows::of(&before);
            let result = operation(&mut rows)?;
            let writes = writes(&before, &rows, project);
            if writes.is_empty() || self.store.commit(&project, mark, writes).await? {
                return Ok(result);
            }
        }
        Err(too_many_writers())
    }

    /// Revokes, step by step, those tokens of a group that can still work. Each step selects among
    /// all tokens of the group again, so it also finds the successors that were inserted meanwhile.
    async fn revoke_all(
        &self,
        project: ProjectId,
        group: impl Fn(&TokenRecord) -> bool + Send + Sync,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        let wanted = |record: &TokenRecord| group(record) && record.can_still_work(revocation.at);
        let mut count = 0;
        loop {
            let step = self.revoke_some(project, wanted, revocation, S::MOST_WRITES).await?;
            count += step.count;
            if step.done {
                return Ok(count);
            }
        }
    }

    async fn revoke_some(
        &self,
        project: ProjectId,
        wanted: impl Fn(&TokenRecord) -> bool + Send + Sync,
        revocation: &Revocation,
        most: usize,
    ) -> Result<BatchResult, StoreError> {
        let most = most.min(S::MOST_WRITES);
        self.change(project, |rows| Ok(operations::revoke_some(rows, project, &wanted, revocation, most))).await
    }
}

/// Returns the writes that turn the records from before an operation into the rows after it.
fn writes(before: &[Arc<TokenRecord>], rows: &Rows, project: ProjectId) -> Vec<Write> {
    let old: HashMap<TokenId, &Arc<TokenRecord>> = before.iter().map(|record| (record.id, record)).collect();
    // An operation replaces the `Arc` of each record that it changes.
    let is_same = |new: &Arc<TokenRecord>, old: &Arc<TokenRecord>| Arc::ptr_eq(new, old) || new == old;
    let is_written = |new: &&Arc<TokenRecord>| old.get(&new.id).is_none_or(|old| !is_same(new, old));
    let written = rows.of_project(project).filter(is_written).cloned().map(Write::Put);
    let deleted = before.iter().filter(|record| rows.get(&record.key()).is_none());
    written.chain(deleted.map(|record| Write::Delete(record.id))).collect()
}

impl<S: BasicStore> TokenStore for Layered<S> {
    async fn insert(
        &self,
        record: TokenRecord,
        limit: Option<LiveLimit>,
        issuer: Option<IssuerCondition>,
    ) -> Result<Arc<TokenRecord>, StoreError> {
        self.change(record.project, |rows| operations::insert(rows, record.clone(), limit, issuer)).await
    }

    async fn find(&self, key: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.store.get(key).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Arc<TokenRecord>>, StoreError> {
        operations::list(&self.rows(query.project).await?, query)
    }

    async fn count(&self, query: &CountQuery) -> Result<u64, StoreError> {
        Ok(operations::count(&self.rows(query.project).await?, query))
    }

    async fn update(
        &self,
        key: &TokenKey,
        expected_version: u64,
        change: Change,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.change(key.project, |rows| operations::update(rows, key, expected_version, change.clone())).await
    }

    async fn revoke(&self, key: &TokenKey, revocation: &Revocation) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.change(key.project, |rows| Ok(operations::revoke(rows, key, revocation))).await
    }

    async fn revoke_owner(
        &self,
        project: &ProjectId,
        owner: &OwnerId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        self.revoke_all(*project, |record| record.owner == *owner, revocation).await
    }

    async fn revoke_family(
        &self,
        project: &ProjectId,
        family: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        self.revoke_all(*project, |record| record.family == *family, revocation).await
    }

    async fn revoke_issued_by(
        &self,
        project: &ProjectId,
        issuer: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        self.revoke_all(*project, |record| record.is_bound_to(issuer), revocation).await
    }

    async fn revoke_batch(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        batch: RevokeBatch,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        self.revoke_some(*project, |record| batch.contains(record), revocation, most.get()).await
    }

    async fn rotate(
        &self,
        key: &TokenKey,
        expected_version: u64,
        successor: TokenRecord,
        grace_until: Timestamp,
        issuer: Option<IssuerCondition>,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let rotate =
            |rows: &mut Rows| operations::rotate(rows, key, expected_version, successor.clone(), grace_until, issuer);
        self.change(key.project, rotate).await
    }

    async fn touch_many(&self, touches: &[LastUse]) -> Result<u64, StoreError> {
        let mut sorted = touches.to_vec();
        sorted.sort_by_key(|touch| touch.key.project);
        let mut moved = 0;
        for of_project in sorted.chunk_by(|a, b| a.key.project == b.key.project) {
            for some in of_project.chunks(S::MOST_WRITES) {
                let project = some[0].key.project;
                moved += self.change(project, |rows| Ok(operations::touch(rows, some))).await?;
            }
        }
        Ok(moved)
    }
}

impl<S: BasicStore> StoreMaintenance for Layered<S> {
    async fn projects(&self, query: &ProjectsQuery) -> Result<Vec<ProjectId>, StoreError> {
        // The contract allows projects in which the owner has no tokens, or that have no work.
        self.store.projects(query.after.as_ref(), query.most.get()).await
    }

    async fn purge(
        &self,
        project: &ProjectId,
        ended_before: Timestamp,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        let most = most.get().min(S::MOST_WRITES);
        self.change(*project, |rows| Ok(operations::purge(rows, *project, ended_before, most))).await
    }

    async fn ended_issuers(
        &self,
        project: &ProjectId,
        now: Timestamp,
        most: PageSize,
    ) -> Result<Vec<TokenId>, StoreError> {
        Ok(operations::ended_issuers(&self.rows(*project).await?, *project, now, most.get()))
    }

    async fn claim_notices(
        &self,
        project: &ProjectId,
        leads: &[NoticeLead],
        now: Timestamp,
        lease_until: Timestamp,
        most: PageSize,
    ) -> Result<Vec<Arc<TokenRecord>>, StoreError> {
        let mut claimed = Vec::new();
        while claimed.len() < most.get() {
            let most = S::MOST_WRITES.min(most.get() - claimed.len());
            let claim = |rows: &mut Rows| Ok(operations::claim_notices(rows, *project, leads, now, lease_until, most));
            let step = self.change(*project, claim).await?;
            let is_last = step.len() < most;
            claimed.extend(step);
            if is_last {
                break;
            }
        }
        Ok(claimed)
    }

    async fn acknowledge_notice(
        &self,
        key: &TokenKey,
        lead: NoticeLead,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        self.change(key.project, |rows| Ok(operations::acknowledge_notice(rows, key, lead))).await
    }
}
