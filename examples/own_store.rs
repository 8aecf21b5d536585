//! Implements a token store from scratch, and runs the conformance kit on this store.
//!
//! `cargo run --example own_store --features conformance`
//!
//! This store keeps its records in a `Vec` under a lock. A store for a database has the same
//! structure, but it begins a transaction instead of taking the lock, and it uses `WHERE` instead
//! of iterating over the records. The methods `apply`, `revoke`, `rotate_to` and `touch` of
//! `TokenRecord` define how an operation changes a record.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyfob::store::StoreErrorKind::{Conflict, IssuerChanged, Limit, Other};
use keyfob::{
    OwnerId, ProjectId, Timestamp, TokenId, TokenKey, TokenRecord, TokenStore, conformance,
    record::{Change, Revocation, RevocationReason},
    store::{
        BatchResult, CountQuery, Cursor, IssuerCondition, LastUse, ListQuery, LiveLimit, Page, PageSize, ReadResult,
        RevokeBatch, StoreError,
    },
};

#[tokio::main]
async fn main() -> ExitCode {
    let store = OwnStore::default();
    let reports = [conformance::token_store(&store).await, conformance::rules(&store).await];
    for report in &reports {
        println!("{report}");
    }
    if reports.iter().all(|report| report.failed.is_empty()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A store that keeps its records in memory, in no particular order.
#[derive(Default)]
struct OwnStore {
    rows: Mutex<Vec<TokenRecord>>,
}

impl OwnStore {
    /// Locks the records and returns access to them. Each method of the store holds the lock until
    /// the method returns, and does not await while it holds the lock. So each method is one atomic
    /// operation.
    fn rows(&self) -> MutexGuard<'_, Vec<TokenRecord>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the record with this key, if there is one.
fn row<'r>(rows: &'r mut [TokenRecord], key: &TokenKey) -> Option<&'r mut TokenRecord> {
    rows.iter_mut().find(|record| record.key() == *key)
}

/// Checks that the issuer of a new token meets a condition. If there is no condition, the check
/// succeeds. The store holds the lock, so the issuer cannot change before the new token is stored.
///
/// # Errors
/// Returns [`IssuerChanged`] if the issuer does not meet the condition.
fn check_issuer(
    rows: &mut [TokenRecord],
    new: &TokenRecord,
    issuer: Option<IssuerCondition>,
) -> Result<(), StoreError> {
    let Some(condition) = issuer else { return Ok(()) };
    let found = row(rows, &TokenKey { project: new.project, id: condition.id });
    if condition.holds(found.as_deref()) { Ok(()) } else { Err(IssuerChanged.into()) }
}

/// Revokes these records, and returns the number of records that were not revoked before.
fn revoke_all<'r>(rows: impl Iterator<Item = &'r mut TokenRecord>, revocation: &Revocation) -> u64 {
    rows.map(|record| u64::from(record.revoke(revocation))).sum()
}

/// Returns a copy of the record. Each method of the store that works on one record returns the
/// current state of the record in this way.
fn answer(record: &TokenRecord) -> Result<Option<Arc<TokenRecord>>, StoreError> {
    Ok(Some(Arc::new(record.clone())))
}

impl TokenStore for OwnStore {
    async fn insert(
        &self,
        record: TokenRecord,
        limit: Option<LiveLimit>,
        issuer: Option<IssuerCondition>,
    ) -> Result<Arc<TokenRecord>, StoreError> {
        let mut rows = self.rows();
        if row(&mut rows, &record.key()).is_some() {
            return Err(Conflict.into());
        }
        if limit.is_some_and(|limit| !limit.has_room_for(&record, &*rows)) {
            return Err(Limit.into());
        }
        check_issuer(&mut rows, &record, issuer)?;
        rows.push(record.clone());
        Ok(Arc::new(record))
    }

    async fn find(&self, key: &TokenKey) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        match row(&mut self.rows(), key) {
            Some(record) => answer(record),
            None => Ok(None),
        }
    }

    async fn find_recent(&self, key: &TokenKey) -> Result<ReadResult, StoreError> {
        self.find(key).await.map(ReadResult::now)
    }

    async fn list(&self, query: &ListQuery) -> Result<Page<Arc<TokenRecord>>, StoreError> {
        let after = query.checked_after().map_err(|error| StoreError::with_source(Other, error))?;
        let mut found: Vec<(Cursor, TokenRecord)> = {
            let rows = self.rows();
            let matching = rows.iter().filter(|record| query.matches(record));
            matching.map(|record| (Cursor::of(record, query.order), record.clone())).collect()
        };
        found.sort_by(|(a, _), (b, _)| a.compare(b));
        if query.descending {
            found.reverse();
        }
        if let Some(after) = after {
            found.retain(|(place, _)| {
                let ascending = place.compare(after);
                if query.descending { ascending.is_lt() } else { ascending.is_gt() }
            });
        }
        let more = found.len() > query.most.get();
        found.truncate(query.most.get());
        let next = found.last().filter(|_| more).map(|(place, _)| place.clone());
        Ok(Page { items: found.into_iter().map(|(_, record)| Arc::new(record)).collect(), next })
    }

    async fn count(&self, query: &CountQuery) -> Result<u64, StoreError> {
        Ok(self.rows().iter().filter(|record| query.matches(record)).count() as u64)
    }

    async fn update(
        &self,
        key: &TokenKey,
        expected_version: u64,
        change: Change,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let mut rows = self.rows();
        let Some(record) = row(&mut rows, key) else { return Ok(None) };
        if record.version != expected_version {
            return Err(Conflict.into());
        }
        record.apply(change);
        answer(record)
    }

    async fn revoke(&self, key: &TokenKey, revocation: &Revocation) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let mut rows = self.rows();
        let Some(record) = row(&mut rows, key) else { return Ok(None) };
        record.revoke(revocation); // does nothing if the token is revoked already
        answer(record)
    }

    async fn revoke_owner(
        &self,
        project: &ProjectId,
        owner: &OwnerId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        let mut rows = self.rows();
        let of_owner = rows.iter_mut().filter(|record| record.project == *project && record.owner == *owner);
        Ok(revoke_all(of_owner.filter(|record| record.can_still_work(revocation.at)), revocation))
    }

    async fn revoke_family(
        &self,
        project: &ProjectId,
        family: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        let mut rows = self.rows();
        let of_family = rows.iter_mut().filter(|record| record.project == *project && record.family == *family);
        Ok(revoke_all(of_family.filter(|record| record.can_still_work(revocation.at)), revocation))
    }

    async fn revoke_issued_by(
        &self,
        project: &ProjectId,
        issuer: &TokenId,
        revocation: &Revocation,
    ) -> Result<u64, StoreError> {
        let mut rows = self.rows();
        let bound_to = Some(TokenKey { project: *project, id: *issuer });
        let bound = rows.iter_mut().filter(|record| record.bound_to() == bound_to);
        Ok(revoke_all(bound.filter(|record| record.can_still_work(revocation.at)), revocation))
    }

    async fn revoke_batch(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        batch: RevokeBatch,
        most: PageSize,
    ) -> Result<BatchResult, StoreError> {
        let mut rows = self.rows();
        let member = |record: &TokenRecord| record.project == *project && batch.contains(record);
        let mut left = rows.iter_mut().filter(|record| record.revoked.is_none() && member(record));
        let count = revoke_all(left.by_ref().take(most.get()), revocation);
        Ok(BatchResult { count, done: left.next().is_none() })
    }

    async fn rotate(
        &self,
        key: &TokenKey,
        expected_version: u64,
        successor: TokenRecord,
        grace_until: Timestamp,
        issuer: Option<IssuerCondition>,
    ) -> Result<Option<Arc<TokenRecord>>, StoreError> {
        let mut rows = self.rows();
        // All checks are made before the first change, so that a refused rotation changes nothing.
        let Some(old) = row(&mut rows, key).cloned() else { return Ok(None) };
        let mut near = |id: Option<TokenId>| row(&mut rows, &TokenKey { project: key.project, id: id? }).cloned();
        let (predecessor, earlier) = (near(old.rotated_from), near(old.rotated_to));
        let may = old.may_rotate(expected_version, &successor, predecessor.as_ref(), earlier.as_ref());
        if !may || row(&mut rows, &successor.key()).is_some() {
            return Err(Conflict.into());
        }
        check_issuer(&mut rows, &successor, issuer)?;
        if let Some(earlier) = earlier.and_then(|earlier| row(&mut rows, &earlier.key())) {
            earlier.revoke(&Revocation {
                at: successor.created_at,
                by: successor.created_by.clone(),
                reason: RevocationReason::Superseded,
            });
        }
        let id = successor.id;
        rows.push(successor);
        let old = row(&mut rows, key).ok_or(Other)?;
        old.rotate_to(id, grace_until);
        answer(old)
    }

    async fn touch_many(&self, touches: &[LastUse]) -> Result<u64, StoreError> {
        let mut rows = self.rows();
        let mut moved = 0;
        for LastUse { key, used_at, from } in touches {
            if let Some(record) = row(&mut rows, key) {
                moved += u64::from(record.touch(*used_at, from.as_ref()));
            }
        }
        Ok(moved)
    }
}
