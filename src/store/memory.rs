//! A store in memory. It is also a model for stores on other engines.
//!
//! Each call is one atomic operation, because it holds the lock from its first read to its last
//! write. In a database, a transaction does the same. Only the records of a chain are read one
//! after the other, because most of them come from the copies of a thread: they are read again
//! under the lock if a record has changed in between. The operations themselves are in
//! [`operations`].

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::contract::{ChainResult, TokenStore};
use super::group::{BatchResult, RevokeBatch};
use super::import::{ImportRowOutcome, ImportStore};
use super::last_use::LastUse;
use super::maintenance::{ProjectsQuery, StoreMaintenance};
use super::near::Changes;
use super::operations;
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
use crate::words::store_error::StoreError;
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;

/// A store that keeps its records in memory. When it is dropped, its tokens are lost. Use it in
/// tests, and in services whose tokens may end with the process.
///
/// Finding a record takes one hash look-up. Lists, counts and operations on groups read all records
/// of their project. Each thread keeps copies of the records that it verifies repeatedly, at most
/// 8,192 of all stores together, until they are replaced or the thread ends, even if the store is
/// dropped before. A copy is used only as long as its record has not changed.
pub struct MemoryStore {
    rows: RwLock<Rows>,
    changes: Arc<Changes>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        let changes = Arc::default();
        Self { rows: RwLock::new(Rows::counted(&changes)), changes }
    }
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

    /// Returns the record for a verification. If the calling thread reads the record often, the
    /// result is a copy of it, which no other thread uses.
    #[inline(always)]
    fn recent(&self, key: &TokenKey) -> Option<Arc<TokenRecord>> {
        let hash = self.changes.hash(&key.id);
        self.changes.kept(key, hash).or_else(|| self.read_recent(key, hash))
    }

    #[inline(never)]
    fn read_recent(&self, key: &TokenKey, hash: u64) -> Option<Arc<TokenRecord>> {
        let rows = self.read();
        let (record, change) = (Arc::clone(rows.get(key)?), self.changes.count(hash));
        drop(rows);
        Some(self.changes.keep(record, hash, change))
    }

    /// Returns a chain that the store had at one moment of this call.
    #[inline]
    fn held(&self, key: &TokenKey) -> ChainResult {
        ChainResult::now(self.chain_of(key, |key| self.recent(key)))
    }

    /// Returns a chain that the store had at one moment of this call, though `read` reads the
    /// records one after the other.
    #[inline]
    fn chain_of(&self, key: &TokenKey, read: impl FnMut(&TokenKey) -> Option<Arc<TokenRecord>>) -> Chain {
        let before = self.changes.total();
        let chain = read_chain(key, read);
        if chain.issuers().next().is_some() && self.changes.total() != before {
            let rows = self.read();
            return read_chain(key, |key| rows.get(key).cloned());
        }
        chain
    }

    fn write(&self) -> RwLockWriteGuard<'_, Rows> {
        self.rows.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the record of a token and those of its issuers.
#[inline]
fn read_chain(key: &TokenKey, mut read: impl FnMut(&TokenKey) -> Option<Arc<TokenRecord>>) -> Chain {
    let mut chain = Chain::from(read(key));
    while let Some(issuer) = chain.next_issuer().and_then(|key| read(&key)) {
        chain.add(issuer);
    }
    chain
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
        operations::insert(&mut self.write(), record, limit, issuer)
    }

    async fn find(&self, key: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        // Ended records are returned too: a store does not decide which tokens work.
        Ok(self.read().get(key).cloned())
    }

    // `find_recent` and `find_durable` keep their defaults: there is no cache, replica or disk.

    async fn find_recent_chain(&self, key: &TokenKey) -> Result<ChainResult, StoreError> {
        Ok(self.held(key))
    }

    #[inline]
    fn find_held(&self, key: &TokenKey) -> Option<ChainResult> {
        Some(self.held(key))
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Arc<TokenRecord>>, StoreError> {
        operations::list(&self.read(), query)
    }

    async fn count(&self, query: &CountQuery) -> Result<u64, StoreError> {
        Ok(operations::count(&self.read(), query))
    }

    async fn update(
        &self,
        key: &TokenKey,
        expected_version: u64,
        change: Change,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        operations::update(&mut self.write(), key, expected_version, change)
    }

    async fn revoke(&self, key: &TokenKey, revocation: &Revocation) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        Ok(operations::revoke(&mut self.write(), key, revocation))
    }

    async fn revoke_owner(
        &self,
        project: &ProjectId,
        owner: &OwnerId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        Ok(self.revoke_all(*project, |record| record.owner == *owner, revocation))
    }

    async fn revoke_family(
        &self,
        project: &ProjectId,
        family: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        Ok(self.revoke_all(*project, |record| record.family == *family, revocation))
    }

    async fn revoke_issued_by(
        &self,
        project: &ProjectId,
        issuer: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        Ok(self.revoke_all(*project, |record| record.is_bound_to(issuer), revocation))
    }

    async fn revoke_batch(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        batch: RevokeBatch,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        // Tokens that ended in another way, such as by expiry, are revoked too.
        let wanted = |record: &TokenRecord| batch.contains(record);
        Ok(operations::revoke_some(&mut self.write(), *project, wanted, revocation, most.get()))
    }

    async fn rotate(
        &self,
        key: &TokenKey,
        expected_version: u64,
        successor: TokenRecord,
        grace_until: Timestamp,
        issuer: Option<IssuerCondition>,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        operations::rotate(&mut self.write(), key, expected_version, successor, grace_until, issuer)
    }

    async fn touch_many(&self, touches: &[LastUse]) -> Result<u64, StoreError> {
        Ok(operations::touch(&mut self.write(), touches))
    }
}

impl MemoryStore {
    /// Revokes, in one step, those tokens of a group that can still work.
    fn revoke_all(&self, project: ProjectId, group: impl Fn(&TokenRecord) -> bool, revocation: &Revocation) -> u64 {
        let wanted = |record: &TokenRecord| group(record) && record.can_still_work(revocation.at);
        operations::revoke_some(&mut self.write(), project, wanted, revocation, usize::MAX).count
    }
}

impl StoreMaintenance for MemoryStore {
    async fn projects(&self, query: &ProjectsQuery) -> Result<Vec<ProjectId>, StoreError> {
        let ProjectsQuery { owner, with, after, most } = query;
        let rows = self.read();
        let has_owner = |project: &ProjectId| {
            owner.as_ref().is_none_or(|owner| rows.of_project(*project).any(|record| record.owner == *owner))
        };
        let has_work =
            |project: &ProjectId| with.as_ref().is_none_or(|work| operations::has_work(&rows, *project, work));
        let projects = rows.projects(after.as_ref()).filter(|project| has_owner(project) && has_work(project));
        Ok(projects.take(most.get()).collect())
    }

    async fn purge(
        &self,
        project: &ProjectId,
        ended_before: Timestamp,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        Ok(operations::purge(&mut self.write(), *project, ended_before, most.get()))
    }

    async fn ended_issuers(
        &self,
        project: &ProjectId,
        now: Timestamp,
        most: PageSize,
    ) -> Result<Vec<TokenId>, StoreError> {
        Ok(operations::ended_issuers(&self.read(), *project, now, most.get()))
    }

    async fn claim_notices(
        &self,
        project: &ProjectId,
        leads: &[NoticeLead],
        now: Timestamp,
        lease_until: Timestamp,
        most: PageSize,
    ) -> Result<Vec<Arc<TokenRecord>>, StoreError> {
        Ok(operations::claim_notices(&mut self.write(), *project, leads, now, lease_until, most.get()))
    }

    async fn acknowledge_notice(
        &self,
        key: &TokenKey,
        lead: NoticeLead,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        Ok(operations::acknowledge_notice(&mut self.write(), key, lead))
    }

    async fn scan(&self, after: Option<TokenKey>, most: PageSize) -> Result<Option<Vec<Arc<TokenRecord>>>, StoreError> {
        Ok(Some(operations::scan(&self.read(), after, most.get())))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::issuer::Issuer;
    use crate::rules::sample::{disabled, id, record};
    use crate::store::ready::now;

    #[test]
    fn a_chain_was_in_the_store_at_one_moment() {
        let store = MemoryStore::new();
        let issuer = TokenRecord { id: id('2'), disabled: disabled(), ..record() };
        let token = TokenRecord { issuer: Some(Issuer { id: issuer.id, bound: true }), ..record() };
        for record in [&issuer, &token] {
            now(store.insert(record.clone(), None, None)).unwrap();
        }
        let mut has_read = false;
        let chain = store.chain_of(&token.key(), |key| {
            let record = store.recent(key);
            if !has_read {
                has_read = true;
                store.replace(TokenRecord { disabled: disabled(), ..token.clone() });
                store.replace(TokenRecord { disabled: None, ..issuer.clone() });
            }
            record
        });
        let works = |record: &Arc<TokenRecord>| record.disabled.is_none();
        let works = (works(chain.record().unwrap()), chain.issuers().map(works).collect::<Vec<_>>());
        assert_eq!(works, (false, vec![true]), "at no moment did both work");
    }
}
