//! A store in memory, for tests and for services whose tokens may end with the process.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::contract::{LastUse, OwnerLimit, ReadResult, TokenStore};
use super::cursor::Cursor;
use super::group::{BatchResult, RevokeBatch};
use super::import::{ImportKey, ImportRow, ImportRowOutcome, ImportStore};
use super::maintenance::{ProjectsQuery, StoreMaintenance};
use super::query::{CountQuery, ListQuery, Page, PageSize, StatusFilter, StatusGroup};
use crate::rules::change::Change;
use crate::rules::notice_stage::NoticeStage;
use crate::rules::precondition::IssuerCondition;
use crate::rules::record::{Revocation, RevocationReason, TokenRecord};
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::text::OwnerId;
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
    by_key: HashSet<Row>,
    by_project: BTreeMap<ProjectId, BTreeSet<TokenId>>,
    by_import_key: HashMap<ImportKey, TokenKey>,
    /// The other way round, for a purge.
    import_keys: HashMap<TokenKey, ImportKey>,
}

/// A record that is found by the key it holds. A map with keys beside the records takes eight times the room, and a
/// look-up among a million twice the time.
struct Row(Arc<TokenRecord>);

/// What a row and a key have in common.
trait Keyed {
    fn id(&self) -> &TokenId;
    fn project(&self) -> &ProjectId;
}

impl Keyed for Row {
    fn id(&self) -> &TokenId {
        &self.0.id
    }

    fn project(&self) -> &ProjectId {
        &self.0.project
    }
}

impl Keyed for TokenKey {
    fn id(&self) -> &TokenId {
        &self.id
    }

    fn project(&self) -> &ProjectId {
        &self.project
    }
}

impl<'k> Borrow<dyn Keyed + 'k> for Row {
    fn borrow(&self) -> &(dyn Keyed + 'k) {
        self
    }
}

impl Hash for dyn Keyed + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The id alone: it is random, and in practice unlike in all projects.
        state.write(self.id().as_bytes());
    }
}

impl PartialEq for dyn Keyed + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id() && self.project() == other.project()
    }
}

impl Eq for dyn Keyed + '_ {}

impl Hash for Row {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self as &dyn Keyed).hash(state);
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.0.key() == other.0.key()
    }
}

impl Eq for Row {}

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
    fn get(&self, key: &TokenKey) -> Option<&Arc<TokenRecord>> {
        self.by_key.get(key as &dyn Keyed).map(|row| &row.0)
    }

    fn insert(&mut self, record: TokenRecord) -> Result<Arc<TokenRecord>, StoreError> {
        let key = record.key();
        if self.get(&key).is_some() {
            return Err(StoreErrorKind::Conflict.into());
        }
        let record = Arc::new(record);
        self.by_key.insert(Row(Arc::clone(&record)));
        self.by_project.entry(key.project).or_default().insert(key.id);
        Ok(record)
    }

    fn import(&mut self, row: ImportRow) -> ImportRowOutcome {
        if let Some(existing) = row.keys().find_map(|key| self.by_import_key.get(key)) {
            return ImportRowOutcome::Exists(*existing);
        }
        let ImportRow { record, import_key, .. } = row;
        let key = record.key();
        if self.insert(record).is_err() {
            return ImportRowOutcome::Exists(key);
        }
        self.by_import_key.insert(import_key, key);
        self.import_keys.insert(key, import_key);
        ImportRowOutcome::Inserted
    }

    /// Changes a record, not its key. Whoever was given it before keeps it as it was.
    fn change(&mut self, key: &TokenKey, change: impl FnOnce(&mut TokenRecord)) -> Option<Arc<TokenRecord>> {
        let Row(mut record) = self.by_key.take(key as &dyn Keyed)?;
        change(Arc::make_mut(&mut record));
        self.by_key.insert(Row(Arc::clone(&record)));
        Some(record)
    }

    fn remove(&mut self, key: &TokenKey) {
        self.by_key.remove(key as &dyn Keyed);
        if let Some(import_key) = self.import_keys.remove(key) {
            self.by_import_key.remove(&import_key);
        }
        if let Some(ids) = self.by_project.get_mut(&key.project) {
            ids.remove(&key.id);
            if ids.is_empty() {
                self.by_project.remove(&key.project);
            }
        }
    }

    fn of_project(&self, project: ProjectId) -> impl Iterator<Item = &Arc<TokenRecord>> {
        let ids = self.by_project.get(&project).into_iter().flatten();
        ids.filter_map(move |id| self.get(&TokenKey { project, id: *id }))
    }

    fn check_issuer(&self, project: ProjectId, issuer: Option<IssuerCondition>) -> Result<(), StoreError> {
        let Some(condition) = issuer else { return Ok(()) };
        let found = self.get(&TokenKey { project, id: condition.id });
        if condition.holds(found.map(Arc::as_ref)) { Ok(()) } else { Err(StoreErrorKind::IssuerChanged.into()) }
    }

    /// Revokes those of these that are not revoked, and says how many.
    fn revoke_all(&mut self, keys: &[TokenKey], revocation: &Revocation) -> u64 {
        for key in keys {
            self.change(key, |record| {
                record.revoke(revocation);
            });
        }
        keys.len() as u64
    }

    /// Keys of the project's records for which `wanted` holds.
    fn keys(&self, project: ProjectId, wanted: impl Fn(&TokenRecord) -> bool) -> Vec<TokenKey> {
        self.of_project(project).filter(|record| wanted(record)).map(|record| record.key()).collect()
    }
}

impl TokenStore for MemoryStore {
    async fn insert(
        &self,
        record: TokenRecord,
        limit: Option<OwnerLimit>,
        issuer: Option<IssuerCondition>,
    ) -> Result<Arc<TokenRecord>, StoreError> {
        let mut rows = self.write();
        if rows.get(&record.key()).is_some() {
            return Err(StoreErrorKind::Conflict.into());
        }
        if let Some(OwnerLimit { most, now }) = limit {
            let live = StatusFilter { life: StatusGroup::Live, at: now };
            let count = rows
                .of_project(record.project)
                .filter(|other| other.owner == record.owner && live.matches(other))
                .count();
            if count as u64 >= most {
                return Err(StoreErrorKind::Limit.into());
            }
        }
        rows.check_issuer(record.project, issuer)?;
        rows.insert(record)
    }

    async fn find(&self, key: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        Ok(self.read().get(key).cloned())
    }

    async fn find_recent(&self, key: &TokenKey) -> Result<ReadResult, StoreError> {
        self.find(key).await.map(ReadResult::now)
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
        if rows.get(key).is_some_and(|record| record.version != expected_version) {
            return Err(StoreErrorKind::Conflict.into());
        }
        Ok(rows.change(key, |record| record.apply(change)))
    }

    async fn revoke(&self, key: &TokenKey, revocation: &Revocation) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let mut rows = self.write();
        Ok(rows.change(key, |record| {
            record.revoke(revocation);
        }))
    }

    async fn revoke_owner(
        &self,
        project: &ProjectId,
        owner: &OwnerId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        let mut rows = self.write();
        let keys = rows.keys(*project, |record| record.owner == *owner && record.can_still_work(revocation.at));
        Ok(rows.revoke_all(&keys, revocation))
    }

    async fn revoke_family(
        &self,
        project: &ProjectId,
        family: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        let mut rows = self.write();
        let keys = rows.keys(*project, |record| record.family == *family && record.can_still_work(revocation.at));
        Ok(rows.revoke_all(&keys, revocation))
    }

    async fn revoke_batch(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        batch: RevokeBatch,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        let mut rows = self.write();
        let keys = rows.keys(*project, |record| record.revoked.is_none() && batch.contains(record));
        let most = most.get().min(keys.len());
        let count = rows.revoke_all(&keys[..most], revocation);
        Ok(BatchResult { count, done: most == keys.len() })
    }

    async fn rotate(
        &self,
        key: &TokenKey,
        expected_version: u64,
        successor: TokenRecord,
        grace_until: Timestamp,
        issuer: Option<IssuerCondition>,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let mut rows = self.write();
        let Some(record) = rows.get(key) else { return Ok(None) };
        let near = |id: Option<TokenId>| id.map(|id| TokenKey { project: key.project, id });
        let earlier = near(record.rotated_to);
        let find = |key: Option<TokenKey>| key.and_then(|key| rows.get(&key)).map(Arc::as_ref);
        let may = record.may_rotate(expected_version, &successor, find(near(record.rotated_from)), find(earlier));
        if !may || rows.get(&successor.key()).is_some() {
            return Err(StoreErrorKind::Conflict.into());
        }
        rows.check_issuer(key.project, issuer)?;
        let (id, at, by) = (successor.id, successor.created_at, successor.created_by.clone());
        rows.insert(successor)?;
        if let Some(earlier) = earlier {
            let superseded = Revocation { at, by, reason: RevocationReason::Superseded };
            rows.change(&earlier, |record| {
                record.revoke(&superseded);
            });
        }
        Ok(rows.change(key, |record| record.rotate_to(id, grace_until)))
    }

    async fn touch_many(&self, touches: &[LastUse]) -> Result<u64, StoreError> {
        let mut rows = self.write();
        let mut moved = 0;
        for touch in touches {
            rows.change(&touch.key, |record| moved += u64::from(record.touch(touch.used_at)));
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

    async fn purge(
        &self,
        project: &ProjectId,
        ended_before: Timestamp,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        let mut rows = self.write();
        let keys = rows.keys(*project, |record| record.ends_at().is_some_and(|end| end < ended_before));
        let count = most.get().min(keys.len());
        for key in &keys[..count] {
            rows.remove(key);
        }
        Ok(BatchResult { count: count as u64, done: count == keys.len() })
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
            claimed.extend(rows.change(&key, |record| record.claim_notice(lease_until)));
        }
        Ok(claimed)
    }

    async fn acknowledge_notice(
        &self,
        key: &TokenKey,
        stage: NoticeStage,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let mut rows = self.write();
        Ok(rows.change(key, |record| record.acknowledge_notice(stage)))
    }
}

impl ImportStore for MemoryStore {
    async fn import(&self, batch: Vec<ImportRow>) -> Result<Vec<ImportRowOutcome>, StoreError> {
        let mut rows = self.write();
        Ok(batch.into_iter().map(|row| rows.import(row)).collect())
    }

    async fn find_imported(&self, import_key: &ImportKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let rows = self.read();
        Ok(rows.by_import_key.get(import_key).and_then(|key| rows.get(key)).cloned())
    }
}
