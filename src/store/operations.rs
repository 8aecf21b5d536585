//! The operations of a store on rows in memory. Each function is one atomic operation, if no other
//! changes the rows meanwhile.
//!
//! `MemoryStore` runs them on all of its rows under a lock. `Layered` runs them on the rows of one
//! project that it has read from a `BasicStore`. This file contains no rules for tokens: a function
//! of [`TokenRecord`], [`LiveLimit`] or [`IssuerCondition`] makes every decision.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::cursor::Cursor;
use super::group::BatchResult;
use super::last_use::LastUse;
use super::maintenance::ProjectsWith;
use super::query::{CountQuery, ListQuery, Page};
use super::rows::Rows;
use crate::rules::change::Change;
use crate::rules::notice_lead::NoticeLead;
use crate::rules::precondition::{IssuerCondition, LiveLimit};
use crate::rules::record::{Revocation, TokenRecord};
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::store_error::{StoreError, StoreErrorKind};
use crate::words::timestamp::Timestamp;

type Found = Option<Arc<TokenRecord>>;

pub(super) fn insert(
    rows: &mut Rows,
    record: TokenRecord,
    limit: Option<LiveLimit>,
    issuer: Option<IssuerCondition>,
) -> Result<Arc<TokenRecord>, StoreError> {
    // The records of ended tokens keep their keys too. This check comes before the other
    // conditions.
    if rows.get(&record.key()).is_some() {
        return Err(StoreErrorKind::Conflict.into());
    }
    let others = rows.of_project(record.project).map(Arc::as_ref);
    if limit.is_some_and(|limit| !limit.has_room_for(&record, others)) {
        return Err(StoreErrorKind::Limit.into());
    }
    // This check fails after the revocation of the issuer is acknowledged.
    if !holds(rows, record.project, issuer) {
        return Err(StoreErrorKind::IssuerChanged.into());
    }
    Ok(rows.insert(record))
}

/// Returns true if there is no condition on the issuer, or if the issuer fulfils it.
fn holds(rows: &Rows, project: ProjectId, issuer: Option<IssuerCondition>) -> bool {
    issuer.is_none_or(|issuer| issuer.holds(rows.get(&TokenKey { project, id: issuer.id }).map(Arc::as_ref)))
}

pub(super) fn list(rows: &Rows, query: &ListQuery) -> Result<Page<Arc<TokenRecord>>, StoreError> {
    // A cursor of another order is an error.
    let after = query.checked_after().map_err(|error| StoreError::with_source(StoreErrorKind::Other, error))?;
    let compare = |a: &Cursor, b: &Cursor| if query.descending { b.compare(a) } else { a.compare(b) };
    let matching = rows.of_project(query.project).filter(|record| query.matches(record));
    let mut found: Vec<(Cursor, Arc<TokenRecord>)> =
        matching.map(|record| (Cursor::of(record, query.order), Arc::clone(record))).collect();
    // The cursor is a position in the order. The record from which it was created may be deleted.
    found.retain(|(place, _)| after.is_none_or(|after| compare(after, place).is_lt()));
    found.sort_by(|(a, _), (b, _)| compare(a, b));
    // `next` is set exactly if more records follow.
    let more = found.len() > query.most.get();
    found.truncate(query.most.get());
    let next = found.last().filter(|_| more).map(|(place, _)| place.clone());
    Ok(Page { items: found.into_iter().map(|(_, record)| record).collect(), next })
}

pub(super) fn count(rows: &Rows, query: &CountQuery) -> u64 {
    rows.of_project(query.project).filter(|record| query.matches(record)).count() as u64
}

pub(super) fn update(
    rows: &mut Rows,
    key: &TokenKey,
    expected_version: u64,
    change: Change,
) -> Result<Found, StoreError> {
    if rows.get(key).is_some_and(|record| record.version != expected_version) {
        return Err(StoreErrorKind::Conflict.into());
    }
    Ok(rows.change(key, |record| record.apply(change)))
}

/// Revokes one token. A revoked record keeps its first revocation, and is returned unchanged.
pub(super) fn revoke(rows: &mut Rows, key: &TokenKey, revocation: &Revocation) -> Found {
    rows.change(key, |record| record.revoke(revocation))
}

/// Revokes at most `most` of the wanted rows of a project.
pub(super) fn revoke_some(
    rows: &mut Rows,
    project: ProjectId,
    wanted: impl Fn(&TokenRecord) -> bool,
    revocation: &Revocation,
    most: usize,
) -> BatchResult {
    let keys = rows.keys(project, |record| record.revoked.is_none() && wanted(record));
    let most = most.min(keys.len());
    for key in &keys[..most] {
        rows.change(key, |record| record.revoke(revocation));
    }
    BatchResult { count: most as u64, done: most == keys.len() }
}

pub(super) fn rotate(
    rows: &mut Rows,
    key: &TokenKey,
    expected_version: u64,
    successor: TokenRecord,
    grace_until: Timestamp,
    issuer: Option<IssuerCondition>,
) -> Result<Found, StoreError> {
    let Some(old) = rows.get(key) else { return Ok(None) };
    // The rule considers the version, the predecessor and an earlier successor.
    let neighbour = |id: Option<TokenId>| rows.get(&TokenKey { project: key.project, id: id? }).map(Arc::as_ref);
    let (predecessor, earlier) = (neighbour(old.rotated_from), neighbour(old.rotated_to));
    let may_rotate = old.may_rotate(expected_version, &successor, predecessor, earlier);
    if !may_rotate || rows.get(&successor.key()).is_some() {
        return Err(StoreErrorKind::Conflict.into());
    }
    if !holds(rows, key.project, issuer) {
        return Err(StoreErrorKind::IssuerChanged.into());
    }
    // Nothing below can fail, so all three writes take effect or none.
    if let Some(earlier) = earlier.map(TokenRecord::key) {
        rows.change(&earlier, |earlier| earlier.revoke(&Revocation::superseded_by(&successor)));
    }
    let id = rows.insert(successor).id;
    Ok(rows.change(key, |old| old.rotate_to(id, grace_until)))
}

/// Records last uses. Never moves a last use backwards, keeps versions and ignores unknown keys.
pub(super) fn touch(rows: &mut Rows, touches: &[LastUse]) -> u64 {
    let mut moved = 0;
    for touch in touches {
        rows.change(&touch.key, |record| moved += u64::from(record.touch(touch.used_at, touch.from.as_ref())));
    }
    moved
}

/// Deletes at most `most` rows of a project that ended strictly before a time.
pub(super) fn purge(rows: &mut Rows, project: ProjectId, ended_before: Timestamp, most: usize) -> BatchResult {
    let keys = rows.keys(project, |record| has_ended_before(record, ended_before));
    let most = most.min(keys.len());
    for key in &keys[..most] {
        rows.remove(key);
    }
    BatchResult { count: most as u64, done: most == keys.len() }
}

/// Returns whether a token ended strictly before a time. A row that ended exactly at the time of a
/// purge stays.
fn has_ended_before(record: &TokenRecord, time: Timestamp) -> bool {
    record.ends_at().is_some_and(|end| end < time)
}

pub(super) fn ended_issuers(rows: &Rows, project: ProjectId, now: Timestamp, most: usize) -> Vec<TokenId> {
    let has_ended = |key: &TokenKey| rows.get(key).is_none_or(|issuer| !issuer.status(now).is_live());
    let bound = rows.of_project(project).filter(|record| record.can_still_work(now));
    let ended: BTreeSet<_> = bound.filter_map(|record| record.bound_to()).filter(has_ended).collect();
    ended.into_iter().take(most).map(|key| key.id).collect()
}

pub(super) fn claim_notices(
    rows: &mut Rows,
    project: ProjectId,
    leads: &[NoticeLead],
    now: Timestamp,
    lease_until: Timestamp,
    most: usize,
) -> Vec<Arc<TokenRecord>> {
    // Tokens that expire sooner come first.
    let due = rows.of_project(project).filter(|record| can_be_claimed(record, leads, now));
    let mut due: Vec<_> = due.map(|record| (record.expires_at, record.key())).collect();
    due.sort();
    due.truncate(most);
    due.iter().filter_map(|(_, key)| rows.change(key, |record| record.claim_notice(lease_until))).collect()
}

/// Returns whether a notice of the token is due at `now`, and no sender holds a lease on it. A
/// lease that ends at `now` has ended.
fn can_be_claimed(record: &TokenRecord, leads: &[NoticeLead], now: Timestamp) -> bool {
    record.due_notice(leads, now).is_some() && record.notice_lease_until.is_none_or(|lease| lease <= now)
}

/// Returns whether a project has this work.
pub(super) fn has_work(rows: &Rows, project: ProjectId, work: &ProjectsWith) -> bool {
    let any = |wanted: &dyn Fn(&TokenRecord) -> bool| rows.of_project(project).any(|record| wanted(record));
    match work {
        ProjectsWith::EndedBefore(time) => any(&|record| has_ended_before(record, *time)),
        ProjectsWith::DueNotices { leads, now } => any(&|record| can_be_claimed(record, leads, *now)),
        ProjectsWith::EndedIssuers(now) => !ended_issuers(rows, project, *now, 1).is_empty(),
        ProjectsWith::KeyNumber(number) => any(&|record| record.id.key_number() == *number),
    }
}

/// Returns up to `most` rows of all projects, beginning with the first row after this key.
pub(super) fn scan(rows: &Rows, after: Option<TokenKey>, most: usize) -> Vec<Arc<TokenRecord>> {
    let rest =
        after.into_iter().flat_map(|after| rows.of_project(after.project).filter(move |record| record.id > after.id));
    let others = rows.projects(after.as_ref().map(|after| &after.project));
    rest.chain(others.flat_map(|project| rows.of_project(project))).take(most).cloned().collect()
}

pub(super) fn acknowledge_notice(rows: &mut Rows, key: &TokenKey, lead: NoticeLead) -> Found {
    rows.change(key, |record| record.acknowledge_notice(lead))
}
