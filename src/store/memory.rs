//! A store in memory. It is also a model for stores on other engines.
//!
//! Each call is one atomic operation, because it holds the lock from its first read to its last
//! write. In a database, a transaction does the same. This file contains no rules: a function of
//! [`TokenRecord`], [`LiveLimit`] or [`IssuerCondition`] makes every decision.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::contract::{ChainResult, TokenStore};
use super::cursor::Cursor;
use super::group::{BatchResult, RevokeBatch};
use super::import::{ImportRowOutcome, ImportStore};
use super::last_use::LastUse;
use super::maintenance::{ProjectsQuery, StoreMaintenance};
use super::query::{CountQuery, ListQuery, Page, PageSize};
use super::rows::Rows;
use crate::rules::chain::Chain;
use crate::rules::change::Change;
use crate::rules::import_row::ImportRow;
use crate::rules::notice_lead::NoticeLead;
use crate::rules::precondition::{IssuerCondition, LiveLimit};
use crate::rules::record::{Revocation, TokenRecord};
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::import_key::ImportKey;
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;

/// A store that keeps its records in memory and loses them when it is dropped. Use it in tests, and
/// in services whose tokens may end with the process.
///
/// Finding a record takes one hash look-up. Lists, counts and operations on groups read all records
/// of their project.
#[derive(Default)]
pub struct MemoryStore {
    rows: RwLock<Rows>,
}

impl MemoryStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    // No code here panics while it holds the lock, so even a poisoned lock guards consistent rows.
    fn read(&self) -> RwLockReadGuard<'_, Rows> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Rows> {
        self.rows.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl MemoryStore {
    /// Puts `record` in the place of the row with the same key. Tests forge rows in this way.
    pub(crate) fn replace(&self, record: TokenRecord) {
        self.write().change(&record.key(), |row| *row = record.clone());
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("tokens", &self.read().len()).finish()
    }
}

impl TokenStore for MemoryStore {
    async fn insert(
        &self,
        record: TokenRecord,
        limit: Option<LiveLimit>,
        issuer: Option<IssuerCondition>,
    ) -> Result<Arc<TokenRecord>, StoreError> {
        let mut rows = self.write();
        // The records of ended tokens keep their keys too. This check comes before the other
        // conditions.
        if rows.get(&record.key()).is_some() {
            return Err(StoreErrorKind::Conflict.into());
        }
        // The lock is held until the insert, so two calls cannot both use up the limit.
        let others = rows.of_project(record.project).map(Arc::as_ref);
        if limit.is_some_and(|limit| !limit.has_room_for(&record, others)) {
            return Err(StoreErrorKind::Limit.into());
        }
        // This check fails after the revocation of the issuer is acknowledged.
        if !holds(&rows, record.project, issuer) {
            return Err(StoreErrorKind::IssuerChanged.into());
        }
        Ok(rows.insert(record))
    }

    async fn find(&self, key: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        // Ended records are returned too: a store does not decide which tokens work.
        Ok(self.read().get(key).cloned())
    }

    // `find_recent` and `find_durable` keep their defaults: there is no cache, replica or disk.

    async fn find_recent_chain(&self, key: &TokenKey) -> Result<ChainResult, StoreError> {
        let rows = self.read();
        let mut chain = Chain::from(rows.get(key).cloned());
        while let Some(issuer) = chain.next_issuer().and_then(|key| rows.get(&key)) {
            chain.add(Arc::clone(issuer));
        }
        Ok(ChainResult::now(chain))
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Arc<TokenRecord>>, StoreError> {
        // A cursor of another order is an error.
        let after = query.checked_after().map_err(|error| StoreError::with_source(StoreErrorKind::Other, error))?;
        let compare = |a: &Cursor, b: &Cursor| if query.descending { b.compare(a) } else { a.compare(b) };
        let mut found: Vec<(Cursor, Arc<TokenRecord>)> = {
            let rows = self.read();
            let matching = rows.of_project(query.project).filter(|record| query.matches(record));
            matching.map(|record| (Cursor::of(record, query.order), Arc::clone(record))).collect()
        };
        // The cursor is a position in the order. The record from which it was created may be
        // deleted.
        found.retain(|(place, _)| after.is_none_or(|after| compare(after, place).is_lt()));
        found.sort_by(|(a, _), (b, _)| compare(a, b));
        // `next` is set exactly if more records follow.
        let more = found.len() > query.most.get();
        found.truncate(query.most.get());
        let next = found.last().filter(|_| more).map(|(place, _)| place.clone());
        Ok(Page { items: found.into_iter().map(|(_, record)| record).collect(), next })
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
        // The lock is held until the write, so only one of two racing updates of a version
        // succeeds.
        if rows.get(key).is_some_and(|record| record.version != expected_version) {
            return Err(StoreErrorKind::Conflict.into());
        }
        Ok(rows.change(key, |record| record.apply(change)))
    }

    async fn revoke(&self, key: &TokenKey, revocation: &Revocation) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        // A revoked record keeps its first revocation, and the call returns the record unchanged.
        Ok(self.write().change(key, |record| record.revoke(revocation)))
    }

    async fn revoke_owner(
        &self,
        project: &ProjectId,
        owner: &OwnerId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        let mut rows = self.write();
        // One step revokes every token that can still work. Other stores may need several.
        let keys = rows.keys(*project, |record| record.owner == *owner && record.can_still_work(revocation.at));
        Ok(revoke_all(&mut rows, &keys, revocation))
    }

    async fn revoke_family(
        &self,
        project: &ProjectId,
        family: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        let mut rows = self.write();
        let keys = rows.keys(*project, |record| record.family == *family && record.can_still_work(revocation.at));
        Ok(revoke_all(&mut rows, &keys, revocation))
    }

    async fn revoke_issued_by(
        &self,
        project: &ProjectId,
        issuer: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        let mut rows = self.write();
        let keys = rows.keys(*project, |record| record.is_bound_to(issuer) && record.can_still_work(revocation.at));
        Ok(revoke_all(&mut rows, &keys, revocation))
    }

    async fn revoke_batch(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        batch: RevokeBatch,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        let mut rows = self.write();
        // Tokens that ended in another way, such as by expiry, are revoked too.
        let keys = rows.keys(*project, |record| record.revoked.is_none() && batch.contains(record));
        let most = most.get().min(keys.len());
        let count = revoke_all(&mut rows, &keys[..most], revocation);
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
        let Some(old) = rows.get(key) else { return Ok(None) };
        // The rule considers the version, the predecessor and an earlier successor. The lock is
        // held until the write.
        let neighbour = |id: Option<TokenId>| rows.get(&TokenKey { project: key.project, id: id? }).map(Arc::as_ref);
        let (predecessor, earlier) = (neighbour(old.rotated_from), neighbour(old.rotated_to));
        let may_rotate = old.may_rotate(expected_version, &successor, predecessor, earlier);
        if !may_rotate || rows.get(&successor.key()).is_some() {
            return Err(StoreErrorKind::Conflict.into());
        }
        if !holds(&rows, key.project, issuer) {
            return Err(StoreErrorKind::IssuerChanged.into());
        }
        // Nothing below can fail, so all three writes take effect or none.
        if let Some(earlier) = earlier.map(TokenRecord::key) {
            rows.change(&earlier, |earlier| earlier.revoke(&Revocation::superseded_by(&successor)));
        }
        let id = rows.insert(successor).id;
        Ok(rows.change(key, |old| old.rotate_to(id, grace_until)))
    }

    async fn touch_many(&self, touches: &[LastUse]) -> Result<u64, StoreError> {
        let mut rows = self.write();
        let mut moved = 0;
        for touch in touches {
            // A touch never moves a last use backwards and keeps the version. It ignores unknown
            // keys.
            rows.change(&touch.key, |record| moved += u64::from(record.touch(touch.used_at, touch.from.as_ref())));
        }
        Ok(moved)
    }
}

/// Returns true if there is no condition on the issuer, or if the issuer fulfils it.
fn holds(rows: &Rows, project: ProjectId, issuer: Option<IssuerCondition>) -> bool {
    issuer.is_none_or(|issuer| issuer.holds(rows.get(&TokenKey { project, id: issuer.id }).map(Arc::as_ref)))
}

/// Revokes these rows, none of which may be revoked yet, and returns their number.
fn revoke_all(rows: &mut Rows, keys: &[TokenKey], revocation: &Revocation) -> u64 {
    for key in keys {
        rows.change(key, |record| record.revoke(revocation));
    }
    keys.len() as u64
}

impl StoreMaintenance for MemoryStore {
    async fn projects(&self, query: &ProjectsQuery) -> Result<Vec<ProjectId>, StoreError> {
        let ProjectsQuery { owner, after, most } = query;
        let rows = self.read();
        let has_owner = |project: &ProjectId| {
            owner.as_ref().is_none_or(|owner| rows.of_project(*project).any(|record| record.owner == *owner))
        };
        Ok(rows.projects(after.as_ref()).filter(has_owner).take(most.get()).collect())
    }

    async fn purge(
        &self,
        project: &ProjectId,
        ended_before: Timestamp,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        let mut rows = self.write();
        // A row that ended exactly at `ended_before` stays.
        let keys = rows.keys(*project, |record| record.ends_at().is_some_and(|end| end < ended_before));
        let most = most.get().min(keys.len());
        for key in &keys[..most] {
            rows.remove(key);
        }
        Ok(BatchResult { count: most as u64, done: most == keys.len() })
    }

    async fn ended_issuers(
        &self,
        project: &ProjectId,
        now: Timestamp,
        most: PageSize,
    ) -> Result<Vec<TokenId>, StoreError> {
        let rows = self.read();
        let has_ended = |key: &TokenKey| rows.get(key).is_none_or(|issuer| !issuer.status(now).is_live());
        let bound = rows.of_project(*project).filter(|record| record.can_still_work(now));
        let ended: BTreeSet<_> = bound.filter_map(|record| record.bound_to()).filter(has_ended).collect();
        Ok(ended.into_iter().take(most.get()).map(|key| key.id).collect())
    }

    async fn claim_notices(
        &self,
        project: &ProjectId,
        leads: &[NoticeLead],
        now: Timestamp,
        lease_until: Timestamp,
        most: PageSize,
    ) -> Result<Vec<Arc<TokenRecord>>, StoreError> {
        let mut rows = self.write();
        // A lease that ends at `now` has ended. Tokens that expire sooner come first.
        let is_free = |record: &TokenRecord| record.notice_lease_until.is_none_or(|lease| lease <= now);
        let due = rows.of_project(*project).filter(|record| record.due_notice(leads, now).is_some() && is_free(record));
        let mut due: Vec<_> = due.map(|record| (record.expires_at, record.key())).collect();
        due.sort();
        due.truncate(most.get());
        Ok(due.iter().filter_map(|(_, key)| rows.change(key, |record| record.claim_notice(lease_until))).collect())
    }

    async fn acknowledge_notice(
        &self,
        key: &TokenKey,
        lead: NoticeLead,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        Ok(self.write().change(key, |record| record.acknowledge_notice(lead)))
    }
}

impl ImportStore for MemoryStore {
    async fn import(&self, batch: Vec<ImportRow>) -> Result<Vec<ImportRowOutcome>, StoreError> {
        ImportRow::ensure_unbound(&batch)?;
        // The store holds one lock for the whole batch, so all rows take effect or none.
        let mut rows = self.write();
        Ok(batch.into_iter().map(|row| rows.import(row)).collect())
    }

    async fn find_imported(&self, import_key: &ImportKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        Ok(self.read().imported(import_key).cloned())
    }
}
