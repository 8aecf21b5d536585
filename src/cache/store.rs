//! The implementation of the store traits by the cache. Each change goes to the store, and the
//! cache drops or replaces the old record.

use core::time::Duration;
use std::sync::Arc;

use super::cached::Cached;
use super::held::Held;
use super::shards::Found;
use super::writing::Writing;
use crate::rules::chain::Chain;
use crate::rules::change::Change;
use crate::rules::import_row::ImportRow;
use crate::rules::notice_lead::NoticeLead;
use crate::rules::precondition::{IssuerCondition, LiveLimit};
use crate::rules::record::{Revocation, TokenRecord};
use crate::store::contract::{ChainResult, ReadResult, TokenStore};
use crate::store::group::{BatchResult, RevokeBatch};
use crate::store::import::{ImportRowOutcome, ImportStore};
use crate::store::last_use::LastUse;
use crate::store::maintenance::{ProjectsQuery, StoreMaintenance};
use crate::store::query::{CountQuery, ListQuery, Page, PageSize};
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::import_key::ImportKey;
use crate::words::store_error::StoreError;
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;

impl<S: TokenStore> TokenStore for Cached<S> {
    async fn insert(
        &self,
        record: TokenRecord,
        limit: Option<LiveLimit>,
        issuer: Option<IssuerCondition>,
    ) -> Result<Arc<TokenRecord>, StoreError> {
        let keys = [record.key()];
        let _writing = self.writing(&keys);
        self.store.insert(record, limit, issuer).await
    }

    async fn find(&self, key: &TokenKey) -> Result<Found, StoreError> {
        self.as_told(key, self.store.find(key)).await
    }

    async fn find_durable(&self, key: &TokenKey) -> Result<Found, StoreError> {
        self.as_told(key, self.store.find_durable(key)).await
    }

    async fn find_recent(&self, key: &TokenKey) -> Result<ReadResult, StoreError> {
        self.recent(key).await
    }

    async fn find_recent_chain(&self, key: &TokenKey) -> Result<ChainResult, StoreError> {
        let ReadResult { record, age } = match self.look(key) {
            Ok(held) => held,
            Err(flight) => self.wait_for(key, flight).await?,
        };
        if record.as_ref().is_none_or(|record| record.bound_to().is_none()) {
            return Ok(ChainResult { chain: record.into(), age });
        }
        self.with_issuers(key, ReadResult { record, age }).await
    }

    #[inline]
    fn find_held(&self, key: &TokenKey) -> Option<ChainResult> {
        let ReadResult { record, age } = self.held(key)?;
        if record.as_ref().is_none_or(|record| record.bound_to().is_none()) {
            return Some(ChainResult { chain: record.into(), age });
        }
        self.held_with_issuers(ReadResult { record, age })
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Arc<TokenRecord>>, StoreError> {
        self.store.list(query).await
    }

    async fn count(&self, query: &CountQuery) -> Result<u64, StoreError> {
        self.store.count(query).await
    }

    async fn update(&self, key: &TokenKey, expected_version: u64, change: Change) -> Result<Found, StoreError> {
        let writing = self.writing(core::slice::from_ref(key));
        let found = self.store.update(key, expected_version, change).await?;
        if let Some(record) = &found {
            writing.gave(record);
        }
        Ok(found)
    }

    async fn revoke(&self, key: &TokenKey, revocation: &Revocation) -> Result<Found, StoreError> {
        let writing = self.writing(core::slice::from_ref(key));
        let found = self.store.revoke(key, revocation).await?;
        if let Some(record) = &found {
            writing.gave(record);
        }
        Ok(found)
    }

    async fn revoke_owner(
        &self,
        project: &ProjectId,
        owner: &OwnerId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        let _writing = self.writing_in(project);
        self.store.revoke_owner(project, owner, revocation).await
    }

    async fn revoke_family(
        &self,
        project: &ProjectId,
        family: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        let _writing = self.writing_in(project);
        self.store.revoke_family(project, family, revocation).await
    }

    async fn revoke_issued_by(
        &self,
        project: &ProjectId,
        issuer: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        // The cache may keep the old records of the revoked tokens. They pass no verification,
        // because their issuer has already ended.
        self.store.revoke_issued_by(project, issuer, revocation).await
    }

    async fn revoke_batch(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        batch: RevokeBatch,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        let _writing = self.writing_in(project);
        self.store.revoke_batch(project, revocation, batch, most).await
    }

    async fn rotate(
        &self,
        key: &TokenKey,
        expected_version: u64,
        successor: TokenRecord,
        grace_until: Timestamp,
        issuer: Option<IssuerCondition>,
    ) -> Result<Found, StoreError> {
        // The store may also revoke the successor that an earlier try created. Only the store knows
        // the id of that successor, so the cache drops all entries of the project.
        let _writing = self.writing_in(&key.project);
        self.store.rotate(key, expected_version, successor, grace_until, issuer).await
    }

    async fn touch_many(&self, touches: &[LastUse]) -> Result<u64, StoreError> {
        let keys: Vec<TokenKey> = touches.iter().map(|touch| touch.key).collect();
        let _writing = self.writing(&keys);
        self.store.touch_many(touches).await
    }
}

impl<S: StoreMaintenance> StoreMaintenance for Cached<S> {
    async fn projects(&self, query: &ProjectsQuery) -> Result<Vec<ProjectId>, StoreError> {
        self.store.projects(query).await
    }

    async fn purge(
        &self,
        project: &ProjectId,
        ended_before: Timestamp,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        let writing = self.writing_in(project);
        let batch = self.store.purge(project, ended_before, most).await?;
        if batch.count == 0 {
            writing.changed_only([]);
        }
        Ok(batch)
    }

    async fn ended_issuers(
        &self,
        project: &ProjectId,
        now: Timestamp,
        most: PageSize,
    ) -> Result<Vec<TokenId>, StoreError> {
        self.store.ended_issuers(project, now, most).await
    }

    async fn claim_notices(
        &self,
        project: &ProjectId,
        leads: &[NoticeLead],
        now: Timestamp,
        lease_until: Timestamp,
        most: PageSize,
    ) -> Result<Vec<Arc<TokenRecord>>, StoreError> {
        let writing = self.writing_in(project);
        let claimed = self.store.claim_notices(project, leads, now, lease_until, most).await?;
        writing.changed_only(claimed.iter().map(|record| record.key()));
        Ok(claimed)
    }

    async fn acknowledge_notice(&self, key: &TokenKey, lead: NoticeLead) -> Result<Found, StoreError> {
        let writing = self.writing(core::slice::from_ref(key));
        let found = self.store.acknowledge_notice(key, lead).await?;
        if let Some(record) = &found {
            writing.gave(record);
        }
        Ok(found)
    }

    async fn scan(&self, after: Option<TokenKey>, most: PageSize) -> Result<Option<Vec<Arc<TokenRecord>>>, StoreError> {
        self.store.scan(after, most).await
    }
}

impl<S: ImportStore> ImportStore for Cached<S> {
    async fn import(&self, batch: Vec<ImportRow>) -> Result<Vec<ImportRowOutcome>, StoreError> {
        let keys: Vec<TokenKey> = batch.iter().map(|row| row.record.key()).collect();
        let _writing = self.writing(&keys);
        self.store.import(batch).await
    }

    async fn find_imported(&self, import_key: &ImportKey) -> Result<Found, StoreError> {
        self.store.find_imported(import_key).await
    }
}

impl<S> Cached<S> {
    /// Returns the guard for a change of the tokens with these keys. The caller must call this
    /// method before the store call that makes the change.
    fn writing<'c>(&'c self, keys: &'c [TokenKey]) -> Writing<'c> {
        let since = keys.first().map(|key| self.cache.since(&key.project));
        Writing { cache: &self.cache, keys, project: None, since }
    }

    /// Begins a change that may affect any token of a project.
    fn writing_in<'c>(&'c self, project: &'c ProjectId) -> Writing<'c> {
        Writing { cache: &self.cache, keys: &[], project: Some(project), since: None }
    }
}

impl<S: TokenStore> Cached<S> {
    /// Returns the chain of a token: its record and the records of its issuers. Each issuer is read
    /// from its own cache entry, or from the store.
    ///
    /// The age of the chain is the age of its oldest record. If one record becomes too old while
    /// another is read, the whole chain is read again by one call to the store.
    async fn with_issuers(&self, key: &TokenKey, first: ReadResult) -> Result<ChainResult, StoreError> {
        let mut reading = Reading::begun(&self.cache, first);
        while let Some(issuer) = reading.chain.next_issuer() {
            if !reading.add(self.recent(&issuer).await?) {
                break;
            }
        }
        // With a bound of zero, nothing is cached: each record was read during this call.
        if self.cache.bound.is_zero() {
            return Ok(ChainResult::now(reading.chain));
        }
        match reading.fresh() {
            Some(chain) => Ok(chain),
            None => self.ask_for_chain(key).await,
        }
    }

    /// Returns the chain of a token, as [`with_issuers`](Self::with_issuers) does, if the cache has
    /// all records and none has become too old meanwhile.
    fn held_with_issuers(&self, first: ReadResult) -> Option<ChainResult> {
        let mut reading = Reading::begun(&self.cache, first);
        while let Some(issuer) = reading.chain.next_issuer() {
            if !reading.add(self.held(&issuer)?) {
                break;
            }
        }
        reading.fresh()
    }

    /// Reads a record from the store, and replaces an older cache entry with this record. A caller
    /// that has read the new record must not get an older record from the cache later.
    async fn as_told(
        &self,
        key: &TokenKey,
        find: impl Future<Output = Result<Found, StoreError>>,
    ) -> Result<Found, StoreError> {
        let writing = self.writing(core::slice::from_ref(key));
        let found = find.await?;
        if let Some(record) = &found {
            writing.gave(record);
        }
        Ok(found)
    }
}

/// A chain of records that are read one after the other.
struct Reading<'c> {
    cache: &'c Held,
    chain: Chain,
    /// When the oldest record was current.
    oldest: Duration,
}

impl<'c> Reading<'c> {
    fn begun(cache: &'c Held, first: ReadResult) -> Self {
        Self { cache, oldest: cache.now().saturating_sub(first.age), chain: first.record.into() }
    }

    /// Adds the next issuer. Returns false if its record does not exist.
    fn add(&mut self, read: ReadResult) -> bool {
        self.oldest = self.oldest.min(self.cache.now().saturating_sub(read.age));
        read.record.map(|issuer| self.chain.add(issuer)).is_some()
    }

    /// Returns the chain, unless its oldest record is too old for the cache.
    fn fresh(self) -> Option<ChainResult> {
        let age = self.cache.now().saturating_sub(self.oldest);
        (age <= self.cache.bound).then_some(ChainResult { chain: self.chain, age })
    }
}
