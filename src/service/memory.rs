//! A store in memory, for tests and for services whose tokens may end with the process.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::query::{CountQuery, Cursor, Life, ListQuery, Page, PageSize, StatusFilter};
use super::store::{
    Batch, ImportKey, ImportStore, OwnerLimit, ProjectsQuery, RevokeMatching, StoreMaintenance, TokenStore, Touch,
};
use super::store_error::{StoreError, StoreErrorKind};
use crate::rules::change::Change;
use crate::rules::record::{Revocation, RevocationReason, TokenRecord};
use crate::rules::status::NoticeStage;
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::timestamp::Timestamp;

/// A store that forgets everything when it is dropped.
///
/// Finding is one look-up and one count of an `Arc`; lists and group calls walk through their project.
#[derive(Default)]
pub struct MemoryStore {
    rows: RwLock<Rows>,
}

#[derive(Default)]
struct Rows {
    by_key: HashMap<TokenKey, Arc<TokenRecord>>,
    by_project: BTreeMap<ProjectId, BTreeSet<TokenId>>,
    by_import_key: HashMap<ImportKey, TokenKey>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    // No code here panics while it holds the lock, so a poisoned one holds nothing half-done.
    fn read(&self) -> RwLockReadGuard<'_, Rows> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Rows> {
        self.rows.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("tokens", &self.read().by_key.len()).finish()
    }
}

impl Rows {
    fn insert(&mut self, record: TokenRecord) -> Result<Arc<TokenRecord>, StoreError> {
        let key = record.key();
        if self.by_key.contains_key(&key) {
            return Err(StoreErrorKind::Conflict.into());
        }
        let record = Arc::new(record);
        self.by_key.insert(key, Arc::clone(&record));
        self.by_project.entry(key.project).or_default().insert(key.id);
        Ok(record)
    }

    fn of_project(&self, project: ProjectId) -> impl Iterator<Item = &Arc<TokenRecord>> {
        let ids = self.by_project.get(&project).into_iter().flatten();
        ids.filter_map(move |id| self.by_key.get(&TokenKey { project, id: *id }))
    }

    /// Keys of the project's records for which `wanted` holds.
    fn keys(&self, project: ProjectId, wanted: impl Fn(&TokenRecord) -> bool) -> Vec<TokenKey> {
        self.of_project(project).filter(|record| wanted(record)).map(|record| record.key()).collect()
    }

    fn remove(&mut self, key: &TokenKey) {
        self.by_key.remove(key);
        self.by_import_key.retain(|_, imported| imported != key);
        if let Some(ids) = self.by_project.get_mut(&key.project) {
            ids.remove(&key.id);
            if ids.is_empty() {
                self.by_project.remove(&key.project);
            }
        }
    }
}

impl TokenStore for MemoryStore {
    async fn insert(&self, record: TokenRecord, limit: Option<OwnerLimit>) -> Result<Arc<TokenRecord>, StoreError> {
        let mut rows = self.write();
        if rows.by_key.contains_key(&record.key()) {
            return Err(StoreErrorKind::Conflict.into());
        }
        if let Some(OwnerLimit { most, now }) = limit {
            let live = StatusFilter { life: Life::Live, at: now };
            let count = rows
                .of_project(record.project)
                .filter(|other| other.owner == record.owner && live.matches(other))
                .count();
            if count as u64 >= most {
                return Err(StoreErrorKind::Limit.into());
            }
        }
        rows.insert(record)
    }

    async fn find(&self, key: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        Ok(self.read().by_key.get(key).cloned())
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Arc<TokenRecord>>, StoreError> {
        let after = query.checked_after().map_err(|error| StoreError::with_source(StoreErrorKind::Other, error))?;
        let in_order = |a: &Cursor, b: &Cursor| {
            let ascending = a.compare(b);
            if query.descending { ascending.reverse() } else { ascending }
        };
        let mut places: Vec<(Cursor, Arc<TokenRecord>)> = {
            let rows = self.read();
            let matching = rows.of_project(query.project).filter(|record| query.matches(record));
            matching.map(|record| (Cursor::of(record, query.order), Arc::clone(record))).collect()
        };
        places.retain(|(place, _)| after.is_none_or(|after| in_order(after, place).is_lt()));
        places.sort_by(|(a, _), (b, _)| in_order(a, b));
        let more = places.len() > query.most.get();
        places.truncate(query.most.get());
        let next = places.last().filter(|_| more).map(|(place, _)| place.clone());
        Ok(Page { items: places.into_iter().map(|(_, record)| record).collect(), next })
    }

    async fn count(&self, query: &CountQuery) -> Result<u64, StoreError> {
        let rows = self.read();
        Ok(rows.of_project(query.project).filter(|record| query.matches(record)).count() as u64)
    }

    async fn update(
        &self,
        key: &TokenKey,
        expected_version: u64,
        change: Change,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let mut rows = self.write();
        let Some(record) = rows.by_key.get_mut(key) else { return Ok(None) };
        if record.version != expected_version {
            return Err(StoreErrorKind::Conflict.into());
        }
        Arc::make_mut(record).apply(change);
        Ok(Some(Arc::clone(record)))
    }

    async fn revoke(&self, key: &TokenKey, revocation: &Revocation) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let mut rows = self.write();
        let Some(record) = rows.by_key.get_mut(key) else { return Ok(None) };
        if record.revoked.is_none() {
            Arc::make_mut(record).revoke(revocation);
        }
        Ok(Some(Arc::clone(record)))
    }

    async fn revoke_matching(&self, matching: &RevokeMatching, revocation: &Revocation) -> Result<Batch, StoreError> {
        let RevokeMatching { project, group, most } = matching;
        let mut rows = self.write();
        let keys = rows.keys(*project, |record| record.revoked.is_none() && group.contains(record));
        let most = if group.is_one_act() { keys.len() } else { most.get().min(keys.len()) };
        for key in &keys[..most] {
            if let Some(record) = rows.by_key.get_mut(key) {
                Arc::make_mut(record).revoke(revocation);
            }
        }
        Ok(Batch { count: most as u64, done: most == keys.len() })
    }

    async fn rotate(
        &self,
        key: &TokenKey,
        expected_version: u64,
        successor: TokenRecord,
        grace_until: Timestamp,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let mut rows = self.write();
        let Some(record) = rows.by_key.get(key) else { return Ok(None) };
        if record.version != expected_version || record.revoked.is_some() {
            return Err(StoreErrorKind::Conflict.into());
        }
        let earlier = record.rotated_to.map(|id| TokenKey { project: key.project, id });
        if let Some(earlier) = earlier.and_then(|earlier| rows.by_key.get(&earlier)) {
            let waits = earlier.confirm_by.is_some() && earlier.revoked.is_none();
            if !waits || earlier.request_id.is_none() || earlier.request_id != successor.request_id {
                return Err(StoreErrorKind::Conflict.into());
            }
        } else if earlier.is_some() {
            return Err(StoreErrorKind::Conflict.into());
        }
        let (id, at, by) = (successor.id, successor.created_at, successor.created_by.clone());
        rows.insert(successor)?;
        if let Some(earlier) = earlier.and_then(|earlier| rows.by_key.get_mut(&earlier)) {
            let superseded = Revocation { at, by, reason: RevocationReason::Superseded };
            Arc::make_mut(earlier).revoke(&superseded);
        }
        let Some(record) = rows.by_key.get_mut(key) else { return Ok(None) };
        Arc::make_mut(record).rotate_to(id, grace_until);
        Ok(Some(Arc::clone(record)))
    }

    async fn touch_many(&self, touches: &[Touch]) -> Result<u64, StoreError> {
        let mut rows = self.write();
        let mut moved = 0;
        for touch in touches {
            if let Some(record) = rows.by_key.get_mut(&touch.key) {
                moved += u64::from(Arc::make_mut(record).touch(touch.used_at));
            }
        }
        Ok(moved)
    }
}

impl StoreMaintenance for MemoryStore {
    async fn projects(&self, query: &ProjectsQuery) -> Result<Vec<ProjectId>, StoreError> {
        let ProjectsQuery { owner, after, most } = query;
        let rows = self.read();
        let behind = (after.as_ref().map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let projects = rows.by_project.range::<ProjectId, _>(behind).map(|(project, _)| *project);
        let has_owner = |project: &ProjectId| {
            owner.as_ref().is_none_or(|owner| rows.of_project(*project).any(|record| record.owner == *owner))
        };
        Ok(projects.filter(has_owner).take(most.get()).collect())
    }

    async fn purge(&self, project: &ProjectId, ended_before: Timestamp, most: PageSize) -> Result<Batch, StoreError> {
        let mut rows = self.write();
        let keys = rows.keys(*project, |record| record.ends_at().is_some_and(|end| end < ended_before));
        let count = most.get().min(keys.len());
        for key in &keys[..count] {
            rows.remove(key);
        }
        Ok(Batch { count: count as u64, done: count == keys.len() })
    }

    async fn claim_notices(
        &self,
        project: &ProjectId,
        now: Timestamp,
        lease_until: Timestamp,
        most: PageSize,
    ) -> Result<Vec<Arc<TokenRecord>>, StoreError> {
        let mut rows = self.write();
        let free = |record: &TokenRecord| record.notice_lease_until.is_none_or(|lease| lease <= now);
        let mut due: Vec<_> = {
            let due = rows.of_project(*project).filter(|record| record.due_notice(now).is_some() && free(record));
            due.map(|record| (record.expires_at, record.key())).collect()
        };
        due.sort();
        due.truncate(most.get());
        let mut claimed = Vec::with_capacity(due.len());
        for (_, key) in due {
            if let Some(record) = rows.by_key.get_mut(&key) {
                Arc::make_mut(record).claim_notice(lease_until);
                claimed.push(Arc::clone(record));
            }
        }
        Ok(claimed)
    }

    async fn acknowledge_notice(
        &self,
        key: &TokenKey,
        stage: NoticeStage,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let mut rows = self.write();
        let Some(record) = rows.by_key.get_mut(key) else { return Ok(None) };
        Arc::make_mut(record).acknowledge_notice(stage);
        Ok(Some(Arc::clone(record)))
    }
}

impl ImportStore for MemoryStore {
    async fn import(&self, record: TokenRecord, import_key: ImportKey) -> Result<Arc<TokenRecord>, StoreError> {
        let mut rows = self.write();
        if rows.by_import_key.contains_key(&import_key) {
            return Err(StoreErrorKind::Conflict.into());
        }
        let record = rows.insert(record)?;
        rows.by_import_key.insert(import_key, record.key());
        Ok(record)
    }

    async fn find_imported(&self, import_key: &ImportKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let rows = self.read();
        Ok(rows.by_import_key.get(import_key).and_then(|key| rows.by_key.get(key)).cloned())
    }
}
