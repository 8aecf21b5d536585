//! A store in a `Vec` that can have one fault. Without a fault, it keeps every law of the store
//! contract.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyfob::store::StoreErrorKind::{Conflict, IssuerChanged, Limit, Other};
use keyfob::{
    Actor, Name, OwnerId, ProjectId, Status, Timestamp, TokenId, TokenKey, TokenRecord, TokenStore,
    import::{ImportKey, ImportRow, ImportRowOutcome, ImportStore},
    notices::NoticeLead,
    record::{Chain, Change, Issuer, Metadata, Revocation, RevocationReason},
    store::{
        BatchResult, ChainResult, CountQuery, Cursor, Expiry, FoldedName, IssuerCondition, LastUse, ListQuery,
        LiveLimit, Page, PageSize, ProjectsQuery, ProjectsWith, ReadResult, RevokeBatch, RevokeGroup, SortKey,
        StatusFilter, StatusGroup, StoreError, StoreMaintenance,
    },
};
use tokio::sync::MutexGuard;
use tokio::task::yield_now;

use crate::broken_stores::faults::Fault::{self, *};

use crate::support::changed;

type Answer<T> = Result<T, StoreError>;
type Row = Arc<TokenRecord>;

pub struct BrokenStore {
    fault: Option<Fault>,
    /// A mutex of tokio, whose guard may be part of a future that is sent. One task at a time uses
    /// the store, and no call holds the guard while it waits.
    rows: tokio::sync::Mutex<Rows>,
    /// The cached results of `find_recent` and `find_durable`. Only faults read this cache.
    known: Mutex<HashMap<TokenKey, Option<Row>>>,
    chains: Mutex<HashMap<TokenKey, ChainResult>>,
    /// For each project, the number of tokens that the next revocation of an owner's tokens skips.
    /// An earlier call has counted these tokens as revoked, but may have been dropped before it
    /// revoked them. Only the fault `GroupKeepsACursor` uses this field.
    cursor: Mutex<HashMap<ProjectId, usize>>,
    /// What reads show of some tokens instead of their rows, while a call runs: another record, or
    /// none. Only faults that show half of a call use this field.
    masks: Mutex<HashMap<TokenKey, Option<TokenRecord>>>,
    /// The turn of the calls that write. Only the fault `RotateInTwoTransactions` uses this field.
    turn: tokio::sync::Mutex<()>,
}

/// A mask that a call has put over a row. Dropping this value removes it.
struct Masked<'s> {
    store: &'s BrokenStore,
    key: TokenKey,
}

impl Drop for Masked<'_> {
    fn drop(&mut self) {
        self.store.masks.lock().unwrap().remove(&self.key);
    }
}

/// The second transaction of a rotation, which runs even if the call is dropped.
struct Link<'s> {
    store: &'s BrokenStore,
    old: TokenKey,
    new: TokenId,
    grace_until: Timestamp,
}

impl Drop for Link<'_> {
    fn drop(&mut self) {
        self.store.rows().get(&self.old).unwrap().rotate_to(self.new, self.grace_until);
    }
}

#[derive(Default)]
struct Rows {
    records: Vec<TokenRecord>,
    /// For each key, the index of its record in `records`. If a fault has inserted a key twice,
    /// this is the index of the last record with the key.
    places: HashMap<TokenKey, usize>,
    imported: Vec<(ImportKey, TokenRecord)>,
}

/// Returns the time of a broken store's own clock. It is one millisecond after the time that the
/// conformance kit uses. A correct store needs no clock, so only faults call this function.
fn clock() -> Timestamp {
    "2026-11-23T12:00:00.001Z".parse().unwrap()
}

fn later(time: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(time.as_unix_millis() + millis).unwrap()
}

/// Returns a project id without its last character.
fn cut(project: &ProjectId) -> &str {
    &project.as_str()[..project.as_str().len() - 1]
}

fn trimmed(metadata: &Metadata) -> Metadata {
    Metadata::new(metadata.as_str().trim()).unwrap()
}

impl Rows {
    fn find(&self, key: &TokenKey) -> Option<&TokenRecord> {
        self.places.get(key).map(|place| &self.records[*place])
    }

    fn get(&mut self, key: &TokenKey) -> Option<&mut TokenRecord> {
        self.places.get(key).map(|place| &mut self.records[*place])
    }

    fn remove(&mut self, key: &TokenKey) {
        if let Some(place) = self.places.remove(key) {
            self.records.remove(place);
            let places = self.records.iter().enumerate().map(|(place, record)| (record.key(), place));
            self.places = places.collect();
        }
    }

    fn push(&mut self, record: TokenRecord) {
        self.places.insert(record.key(), self.records.len());
        self.records.push(record);
    }
}

impl BrokenStore {
    pub fn without_fault() -> Self {
        Self {
            fault: None,
            rows: tokio::sync::Mutex::default(),
            known: Mutex::default(),
            chains: Mutex::default(),
            cursor: Mutex::default(),
            masks: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    pub fn new(fault: Fault) -> Self {
        Self { fault: Some(fault), ..Self::without_fault() }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.try_lock().expect("no other call holds the rows")
    }

    /// Yields if the store has this fault, so that other calls can run between a read and a write.
    async fn pause(&self, fault: Fault) {
        if self.is(fault) {
            yield_now().await;
        }
    }

    /// Lets other calls run while reads show this record instead of the row, if the store has this
    /// fault.
    async fn show(&self, fault: Fault, key: TokenKey, shown: Option<TokenRecord>) {
        if self.is(fault) {
            self.masks.lock().unwrap().insert(key, shown);
            let _masked = Masked { store: self, key };
            yield_now().await;
        }
    }

    /// Returns the record that a read shows instead of the row, if a mask covers the row.
    fn mask(&self, key: &TokenKey) -> Option<Option<TokenRecord>> {
        self.masks.lock().unwrap().get(key).cloned()
    }

    /// Takes the turn of the calls that write, if the store has this fault.
    async fn turn(&self, fault: Fault) -> Option<MutexGuard<'_, ()>> {
        if self.is(fault) { Some(self.turn.lock().await) } else { None }
    }

    /// Removes a changed token from the cache, unless a fault keeps it there.
    fn forget(&self, key: &TokenKey) {
        if !matches!(self.fault, Some(RecentKeepsRows | HeldKeepsRows | DurableKeepsRows)) {
            self.known.lock().unwrap().remove(key);
        }
    }

    fn forget_absence(&self, key: &TokenKey) {
        if !self.is(RecentKeepsAbsence) {
            self.known.lock().unwrap().remove(key);
        }
    }

    fn same_project(&self, fault: Fault, a: &ProjectId, b: &ProjectId) -> bool {
        // Texts are compared much faster than ids, and each call reads the rows of all projects.
        if self.is(fault) { cut(a) == cut(b) } else { a.as_str() == b.as_str() }
    }

    fn same_text(&self, fault: Fault, a: &str, b: &str) -> bool {
        if self.is(fault) { a.to_lowercase() == b.to_lowercase() } else { a == b }
    }

    fn skips_expired(&self, fault: Fault, record: &TokenRecord) -> bool {
        self.is(fault) && record.status(clock()) == Status::Expired
    }

    fn same_key(&self, a: TokenKey, b: TokenKey) -> bool {
        a == b
            || self.is(IdsIgnoreCase)
                && a.project == b.project
                && self.same_text(IdsIgnoreCase, a.id.as_str(), b.id.as_str())
    }

    /// Returns whether an insert of `record` conflicts with an existing record.
    fn meets(&self, rows: &Rows, record: &TokenRecord, limit: Option<LiveLimit>) -> bool {
        let replaced = |other: &TokenRecord| {
            let expired = other.expires_at.is_some_and(|end| end < clock());
            match self.fault {
                Some(InsertReplacesUnderALimit) => limit.is_some() && !expired && other.revoked.is_none(),
                Some(InsertReplacesRevoked) => other.revoked.is_some(),
                Some(InsertReplacesExpired) => expired,
                _ => false,
            }
        };
        let faults = [
            IdsAreOfTheService,
            IdsIgnoreCase,
            InsertReplacesExpired,
            InsertReplacesRevoked,
            InsertReplacesUnderALimit,
        ];
        if self.fault.is_none_or(|fault| !faults.contains(&fault)) {
            return rows.find(&record.key()).is_some();
        }
        rows.records.iter().any(|other| {
            self.same_key(other.key(), record.key()) && !replaced(other)
                || self.is(IdsAreOfTheService) && other.id == record.id
        })
    }

    fn is_full(&self, rows: &Rows, record: &TokenRecord, limit: Option<LiveLimit>) -> bool {
        let Some(LiveLimit { most, now }) = limit else { return false };
        let counted = |other: &&TokenRecord| {
            let status = other.status(now);
            let live = match self.fault {
                Some(LimitCountsOnlyActive) => status == Status::Active,
                Some(LimitIgnoresGrace) => status.is_live() && other.rotated_to.is_none(),
                Some(LimitCountsDead) => true,
                Some(LimitCountsTheExpiredJustThen) => status.is_live() || other.expires_at == Some(now),
                _ => status.is_live(),
            };
            let bound_to = record.bound_to().filter(|_| !self.is(LimitOfBoundTokensIsOfTheOwner));
            let same_owner = self.is(LimitCountsAllOwners) || other.owner == record.owner;
            let counts = match bound_to {
                Some(issuer) => other.issuer.is_some_and(|other| {
                    other.id == issuer.id && (other.bound || self.is(LimitOfBoundTokensCountsTheIndependent))
                }),
                None => same_owner && (other.bound_to().is_none() || self.is(LimitOfAnOwnerCountsTheBound)),
            };
            live && counts && (self.is(LimitCountsAllProjects) || other.project == record.project)
        };
        rows.records.iter().filter(counted).count() as u64 >= most
    }
}

// Conditions on issuers, and revocations of groups.
impl BrokenStore {
    /// Returns whether the token's issuer meets the condition of a rotation. If there is no
    /// condition, returns `true`.
    fn still_holds(&self, rows: &Rows, project: ProjectId, issuer: Option<IssuerCondition>) -> bool {
        let Some(condition) = issuer else { return true };
        let found = rows.find(&TokenKey { project, id: condition.id });
        let version = found.map_or(0, |found| found.version);
        let condition =
            if self.is(RotateIgnoresTheIssuersVersion) { IssuerCondition { version, ..condition } } else { condition };
        condition.holds(found)
    }

    /// Returns whether the token's issuer meets the condition of an insert, or there is no
    /// condition.
    fn holds(&self, rows: &Rows, project: &ProjectId, issuer: Option<IssuerCondition>) -> bool {
        let Some(IssuerCondition { id, version }) = issuer else { return true };
        let elsewhere = self.is(InsertFindsItsIssuerElsewhere);
        let mut found = rows.records.iter().rev();
        let found = found.find(|record| record.id == id && (elsewhere || record.project == *project));
        let Some(found) = found else { return self.is(InsertIgnoresAMissingIssuer) };
        (found.version == version || self.is(InsertIgnoresTheIssuersVersion))
            && (found.revoked.is_none() || self.is(InsertTakesARevokedIssuer))
            && !self.skips_expired(InsertJudgesItsIssuer, found)
    }

    /// Empties the cache after a change of a group, unless a fault keeps the cache.
    fn forget_group(&self) {
        if !matches!(self.fault, Some(RecentKeepsRows | RecentKeepsGroups)) {
            self.known.lock().unwrap().clear();
        }
    }

    fn is_of(&self, record: &TokenRecord, project: &ProjectId, group: &RevokeGroup) -> bool {
        let of_group = match group {
            RevokeGroup::Owner(owner) => self.same_text(GroupOwnerIgnoresCase, record.owner.as_str(), owner.as_str()),
            RevokeGroup::Family(family) => {
                group.contains(record) || (self.is(GroupFamilyByOrigin) && record.rotated_from == Some(*family))
            }
            RevokeGroup::CreatedBefore(time) => {
                group.contains(record) || (self.is(GroupCreatedAtOrBefore) && record.created_at == *time)
            }
            RevokeGroup::KeyNumber(number) => {
                self.same_text(GroupKeyIgnoresCase, &record.id.as_str()[..1], &number.as_char().to_string())
            }
        };
        of_group && self.same_project(GroupCutsTheProject, &record.project, project)
    }

    /// Returns the keys of a group's tokens, except revoked tokens and tokens for which `wanted`
    /// returns false.
    fn members(
        &self,
        rows: &Rows,
        project: &ProjectId,
        group: &RevokeGroup,
        wanted: impl Fn(&TokenRecord) -> bool,
    ) -> Vec<TokenKey> {
        let of_group = rows.records.iter().filter(|record| self.is_of(record, project, group));
        of_group.filter(|record| record.revoked.is_none() && wanted(record)).map(TokenRecord::key).collect()
    }

    /// Returns the number of tokens of the group that are revoked already. With the fault
    /// `GroupRevokesAgain`, also replaces the revocations of these tokens.
    fn revoke_again(&self, rows: &mut Rows, project: &ProjectId, group: &RevokeGroup, revocation: &Revocation) -> u64 {
        let mut count = 0;
        for record in &mut rows.records {
            if record.revoked.is_some() && self.is_of(record, project, group) {
                count += 1;
                if self.is(GroupRevokesAgain) {
                    record.revoked = Some(revocation.clone());
                }
            }
        }
        count
    }

    fn revoke_rows(&self, rows: &mut Rows, keys: &[TokenKey], revocation: &Revocation) {
        for key in keys {
            let Some(record) = rows.get(key) else { continue };
            let version = record.version;
            record.revoke(revocation);
            if self.is(GroupForgetsTheReason) {
                record.revoked = Some(Revocation { reason: RevocationReason::Unspecified, ..revocation.clone() });
            }
            if self.is(GroupKeepsTheVersion) {
                record.version = version;
            }
        }
    }

    /// Revokes the tokens of an owner or a family, except tokens that can no longer work. Returns
    /// the number of tokens that it revoked.
    async fn revoke_all(&self, project: &ProjectId, group: &RevokeGroup, revocation: &Revocation) -> Answer<u64> {
        self.forget_group();
        let _turn = self.turn(RotateInTwoTransactions).await;
        let wanted = |record: &TokenRecord| match self.fault {
            Some(GroupSkipsTheEnded) => record.status(revocation.at).is_live(),
            Some(GroupSkipsDisabled) => record.disabled.is_none() || record.ends_at().is_some(),
            Some(GroupTrustsTheClock) => record.ends_at().is_none_or(|end| end >= later(revocation.at, -60_000)),
            _ => record.can_still_work(revocation.at),
        };
        let before = self.members(&self.rows(), project, group, wanted);
        if self.is(GroupWalksAlongIds) {
            let (mut after, mut count) = (None, 0);
            loop {
                let mut step = self.members(&self.rows(), project, group, wanted);
                step.retain(|key| after.is_none_or(|after| key.id > after));
                step.sort_by_key(|key| key.id);
                step.truncate(PageSize::MAX.get());
                self.revoke_rows(&mut self.rows(), &step, revocation);
                count += step.len() as u64;
                let Some(last) = step.last().filter(|_| step.len() == PageSize::MAX.get()) else { return Ok(count) };
                after = Some(last.id);
                yield_now().await;
            }
        }
        let start = if self.is(GroupKeepsACursor) {
            core::mem::replace(&mut *self.cursor.lock().unwrap().entry(*project).or_default(), 1)
        } else {
            0
        };
        self.pause(GroupKeepsACursor).await;
        self.pause(RaceOfGroupAndRotate).await;
        let mut rows = self.rows();
        let mut keys = self.members(&rows, project, group, wanted);
        if self.is(RaceOfGroupAndRotate) {
            keys = before;
        }
        if self.is(GroupOfAnOwnerInOneStep) {
            keys.truncate(PageSize::MAX.get());
        }
        keys.drain(..start.min(keys.len()));
        let again = self.revoke_again(&mut rows, project, group, revocation);
        self.revoke_rows(&mut rows, &keys, revocation);
        drop(rows);
        if let Some(key) = keys.first() {
            let half = self.rows().find(key).cloned().map(|record| changed(record, |record| record.version -= 1));
            self.show(GroupsShowHalfARecord, *key, half).await;
        }
        if self.is(GroupKeepsACursor) {
            // The revocation is complete, so the next call starts with the first token.
            self.cursor.lock().unwrap().remove(project);
        }
        Ok(keys.len() as u64 + if self.is(GroupCountsTheRevoked) { again } else { 0 })
    }
}

// Filters and orders of lists.
impl BrokenStore {
    /// Returns whether a list with this status filter includes the record.
    fn is_listed_as(&self, filter: &StatusFilter, record: &TokenRecord) -> bool {
        match (self.fault, filter.group) {
            (Some(ListIgnoresExcept), StatusGroup::Except(_)) => true,
            (Some(ListTakesPendingForActive), life) if record.status(filter.at) == Status::Pending => {
                life.contains(Status::Active)
            }
            _ => self.is_so(ListEndsAMillisecondLate, filter, record),
        }
    }

    /// Returns whether a count with this status filter includes the record.
    fn is_counted_as(&self, filter: &StatusFilter, record: &TokenRecord) -> bool {
        let ignored = self.is(CountIgnoresExcept) && matches!(filter.group, StatusGroup::Except(_));
        ignored || self.is_so(CountEndsAMillisecondLate, filter, record)
    }

    fn is_so(&self, late: Fault, filter: &StatusFilter, record: &TokenRecord) -> bool {
        let at = if self.is(late) { later(filter.at, -1) } else { filter.at };
        StatusFilter { at, ..*filter }.matches(record)
    }

    fn has_name(&self, query: &ListQuery, record: &TokenRecord) -> bool {
        let Some(part) = query.name_contains.as_ref().map(FoldedName::as_str) else { return true };
        let name = match self.fault {
            Some(ListForgetsRenames) if record.version > 1 => "old one".to_owned(),
            Some(ListFoldsAsciiOnly) => record.name.as_str().to_ascii_lowercase(),
            _ => record.name.folded(),
        };
        name.contains(part) || (self.is(ListSearchIsALike) && part == "%")
    }

    fn lists(&self, query: &ListQuery, record: &TokenRecord) -> bool {
        let anywhere = self.is(ListOfAnOwnerIgnoresTheProject) && query.owner.is_some();
        if !anywhere && !self.same_project(ListCutsTheProject, &record.project, &query.project) {
            return false;
        }
        let same_owner = |owner| self.same_text(ListOwnerIgnoresCase, record.owner.as_str(), owner);
        let owner = query.owner.as_ref().is_none_or(|owner| same_owner(owner.as_str()));
        let name = self.has_name(query, record);
        let both = self.is(ListOwnerOrName) && query.owner.is_some() && query.name_contains.is_some();
        let expires = |before: Timestamp| match record.expires_at {
            Some(end) => end < before || (self.is(ListExpiresAtOrBefore) && end == before),
            None => self.is(ListNeverExpiresBefore),
        };
        let used = |before: Timestamp| match record.last_used_at {
            Some(used) => used < before,
            None => record.created_at < before && !self.is(ListSkipsTheUnused),
        };
        let issuer = query.issuer.is_none_or(|id| {
            record
                .issuer
                .is_some_and(|issuer| issuer.id == id && (issuer.bound || !self.is(ListOfIssuedHidesIndependent)))
        });
        (if both { owner || name } else { owner && name })
            && issuer
            && query.status.as_ref().is_none_or(|filter| self.is_listed_as(filter, record))
            && query.expires_before.is_none_or(expires)
            && query.last_used_before.is_none_or(used)
    }

    /// Returns the sort value of a cursor. The sort values have the same order as the list.
    fn place(&self, Cursor { key, id }: &Cursor) -> (Vec<u64>, String) {
        let unsigned = |fault, time: Timestamp| {
            let millis = time.as_unix_millis();
            if self.is(fault) { millis as u64 } else { millis.wrapping_sub(i64::MIN) as u64 }
        };
        let key = match key {
            SortKey::Created(time) => vec![unsigned(ListCreatedUnsigned, *time)],
            SortKey::Name(name) if self.is(ListNameByUnit) => name.as_str().encode_utf16().map(u64::from).collect(),
            SortKey::Name(name) => name.as_str().chars().map(u64::from).collect(),
            SortKey::Expires(Expiry::At(time)) => vec![0, unsigned(ListExpiresUnsigned, *time)],
            SortKey::Expires(Expiry::Never) => vec![1],
        };
        let id = if self.is(ListTiesIgnoreCase) { id.as_str().to_lowercase() } else { id.to_string() };
        (key, id)
    }

    fn is_cut_off(&self, rows: &Rows, query: &ListQuery, after: &Cursor) -> bool {
        let row = rows.find(&TokenKey { project: query.project, id: after.id });
        match self.fault {
            Some(PagesEndWithTheirRow) => row.is_some_and(|row| !self.lists(query, row)),
            Some(CursorsNeedTheirRow) => row.is_none(),
            _ => false,
        }
    }
}

impl TokenStore for BrokenStore {
    async fn insert(
        &self,
        record: TokenRecord,
        limit: Option<LiveLimit>,
        issuer: Option<IssuerCondition>,
    ) -> Answer<Row> {
        self.forget_absence(&record.key());
        let _turn = self.turn(RotateInTwoTransactions).await;
        let (met, full, held) = {
            let rows = self.rows();
            let held = self.holds(&rows, &record.project, issuer);
            (self.meets(&rows, &record, limit), self.is_full(&rows, &record, limit), held)
        };
        if self.is(InsertAsksTheIssuerFirst) && !held {
            return Err(IssuerChanged.into());
        }
        self.pause(RaceOfInserts).await;
        self.pause(RaceOfInsertAndIssuer).await;
        self.pause(RaceForTheLimit).await;
        let mut rows = self.rows();
        let met = if self.is(RaceOfInserts) { met } else { self.meets(&rows, &record, limit) };
        let full = if self.is(RaceForTheLimit) { full } else { self.is_full(&rows, &record, limit) };
        if full && self.is(InsertAsksTheLimitFirst) {
            return Err(Limit.into());
        }
        if met {
            return Err(Conflict.into());
        }
        let held = if self.is(RaceOfInsertAndIssuer) { held } else { self.holds(&rows, &record.project, issuer) };
        if !full && !held {
            drop(rows);
            self.show(RefusedCallsAreSeen, record.key(), Some(record)).await;
            return Err(IssuerChanged.into());
        }
        if self.is(InsertRefusesWideOwners) && record.owner.as_str().len() > 255 {
            return Err(Other.into());
        }
        let mut kept = record.clone();
        match self.fault {
            Some(InsertTrimsMetadata) => kept.metadata = trimmed(&kept.metadata),
            Some(InsertForgetsTheRequest) if kept.rotated_from.is_some() => kept.request_id = None,
            Some(InsertStartsAtVersionOne) if kept.version == TokenRecord::MAX_VERSION => kept.version = 1,
            _ => {}
        }
        let none = limit.is_some_and(|limit| limit.most == 0);
        if !full || (self.is(LimitOfNoneKeepsTheRefused) && none) {
            rows.remove(&record.key());
            rows.push(kept);
        }
        if full { Err(Limit.into()) } else { Ok(Arc::new(record)) }
    }

    async fn find(&self, key: &TokenKey) -> Answer<Option<Row>> {
        if matches!(self.fault, Some(RotateInTwoActs | RefusedCallsAreSeen))
            && let Some(shown) = self.mask(key)
        {
            return Ok(shown.map(Arc::new));
        }
        let rows = self.rows();
        let mut found = match self.is(IdsIgnoreCase) {
            true => rows.records.iter().rev().find(|record| self.same_key(record.key(), *key)),
            false => rows.find(key),
        };
        if self.is(FindFallsBack) {
            found = found.or_else(|| rows.records.iter().find(|record| record.id == key.id));
        }
        let hidden = |record: &&TokenRecord| self.is(FindHidesLapsed) && record.status(clock()) == Status::Lapsed;
        Ok(found.filter(|record| !hidden(record)).cloned().map(Arc::new))
    }

    async fn find_recent(&self, key: &TokenKey) -> Answer<ReadResult> {
        let now = self.find(key).await?;
        if self.is(HeldKeepsRows) {
            self.known.lock().unwrap().entry(*key).or_insert(now.clone());
        }
        if !matches!(self.fault, Some(RecentKeepsAbsence | RecentKeepsRows | RecentKeepsGroups)) {
            return Ok(ReadResult::now(now));
        }
        Ok(ReadResult::now(self.known.lock().unwrap().entry(*key).or_insert(now).clone()))
    }

    async fn find_recent_chain(&self, key: &TokenKey) -> Answer<ChainResult> {
        let now = self.chain(key);
        if !matches!(self.fault, Some(ChainsKeepIssuers | HeldChainsKeepIssuers)) {
            return Ok(now);
        }
        let kept = self.chains.lock().unwrap().entry(*key).or_insert(now.clone()).clone();
        Ok(if self.is(ChainsKeepIssuers) { kept } else { now })
    }

    fn find_held(&self, key: &TokenKey) -> Option<ChainResult> {
        if self.is(HeldChainsKeepIssuers) {
            return self.chains.lock().unwrap().get(key).cloned();
        }
        let known = self.known.lock().unwrap();
        known.get(key).filter(|_| self.is(HeldKeepsRows)).map(|row| ChainResult::now(row.clone()))
    }

    async fn find_durable(&self, key: &TokenKey) -> Answer<Option<Row>> {
        let now = self.find(key).await?;
        if !self.is(DurableKeepsRows) || now.is_none() {
            return Ok(now);
        }
        Ok(self.known.lock().unwrap().entry(*key).or_insert(now).clone())
    }

    async fn list(&self, query: &ListQuery) -> Answer<Page<Row>> {
        let after = match query.checked_after() {
            Ok(after) => after,
            Err(_) if self.is(CursorsOfAnotherOrderAreDropped) => None,
            Err(error) => return Err(StoreError::with_source(Other, error)),
        };
        let rows = self.rows();
        if after.is_some_and(|after| self.is_cut_off(&rows, query, after)) {
            return Ok(Page { items: Vec::new(), next: None });
        }
        let behind = |a: &Cursor, b: &Cursor| {
            let ascending = self.place(a).cmp(&self.place(b));
            if query.descending { ascending.reverse() } else { ascending }
        };
        let cursor = |record: &TokenRecord| Cursor::of(record, query.order);
        let shown = |record: &TokenRecord| self.mask(&record.key()).unwrap_or_else(|| Some(record.clone()));
        let mut found: Vec<_> = rows.records.iter().filter_map(shown).collect();
        let absent = self.masks.lock().unwrap();
        found.extend(absent.iter().filter(|(key, _)| rows.find(key).is_none()).filter_map(|(_, shown)| shown.clone()));
        drop(absent);
        found.retain(|record| self.lists(query, record));
        found.retain(|record| after.is_none_or(|after| behind(&cursor(record), after).is_gt()));
        found.sort_by_cached_key(|record| self.place(&cursor(record)));
        if query.descending {
            found.reverse();
        }
        let wide = |part: &FoldedName| part.as_str().chars().count() > Name::MAX_CHARS;
        if self.is(ListMissesWideNames) && query.name_contains.as_ref().is_some_and(wide) {
            found.clear();
        }
        let most = query.most.get();
        let more = found.get(most).cloned();
        found.truncate(most + usize::from(self.is(PagesHoldOneMore)));
        let next = found.last().map(cursor).filter(|_| more.is_some() || self.is(NextIsAlwaysThere));
        let next = match (next, more) {
            (Some(next), Some(more)) if self.is(PagesSkipTies) && next.key == cursor(&more).key => Some(cursor(&more)),
            (next, _) => next,
        };
        if self.is(ListLeavesMetadataOut) {
            found.iter_mut().for_each(|record| record.metadata = Metadata::default());
        }
        Ok(Page { items: found.into_iter().map(Arc::new).collect(), next })
    }

    async fn count(&self, query: &CountQuery) -> Answer<u64> {
        let counted = |record: &&TokenRecord| {
            let same_owner = |owner| self.same_text(CountOwnerIgnoresCase, record.owner.as_str(), owner);
            let same_key =
                |digit: char| self.same_text(CountKeyIgnoresCase, &record.id.as_str()[..1], &digit.to_string());
            self.same_project(CountCutsTheProject, &record.project, &query.project)
                && query.owner.as_ref().is_none_or(|owner| same_owner(owner.as_str()))
                && query.key_number.is_none_or(|number| same_key(number.as_char()))
                && query.status.as_ref().is_none_or(|filter| self.is_counted_as(filter, record))
        };
        Ok(self.rows().records.iter().filter(counted).count() as u64)
    }

    async fn update(&self, key: &TokenKey, expected_version: u64, change: Change) -> Answer<Option<Row>> {
        self.forget(key);
        let checked = |record: &TokenRecord| {
            let later = self.is(UpdateAcceptsALaterVersion) && record.version < expected_version;
            record.version == expected_version || later
        };
        let before = self.rows().find(key).cloned();
        if let Some(before) = &before
            && !checked(before)
        {
            return Err(Conflict.into());
        }
        self.pause(RaceOfUpdates).await;
        self.pause(RaceOfUpdateAndTouch).await;
        let mut rows = self.rows();
        let ignoring = |record: &&mut TokenRecord| self.is(UpdateIgnoresTheProject) && record.id == key.id;
        let record = match rows.records.iter_mut().find(ignoring) {
            Some(record) => Some(record),
            None => rows.get(key),
        };
        let Some(record) = record else {
            return if self.is(UpdateOfNoneFails) { Err(Conflict.into()) } else { Ok(None) };
        };
        if !checked(record) && !self.is(RaceOfUpdates) {
            return Err(Conflict.into());
        }
        if self.is(UpdateOfRevokedDoesNotAnswer) && record.revoked.is_some() {
            return Ok(None);
        }
        let was = record.clone();
        if self.is(RaceOfUpdateAndTouch)
            && let Some(before) = before
        {
            *record = before;
        }
        record.apply(change.clone());
        match (self.fault, change) {
            (Some(EnableDoesNothing), Change::Enable) => record.disabled = was.disabled,
            (Some(EnableUnrevokes), Change::Enable) => record.revoked = None,
            (Some(NarrowKeepsTheExpiryOfNever), Change::Narrow { expires_at: None, .. }) => {
                record.expires_at = was.expires_at;
            }
            (Some(NarrowKeepsTheVersion), Change::Narrow { .. }) => record.version = was.version,
            (Some(EndGraceClearsTheLastUse), Change::EndGrace(_)) => record.last_used_at = None,
            (Some(UpdateForgetsMetadata), _) => record.metadata = Metadata::default(),
            _ => {}
        }
        Ok(Some(Arc::new(record.clone())))
    }

    async fn revoke(&self, key: &TokenKey, revocation: &Revocation) -> Answer<Option<Row>> {
        self.forget(key);
        let _turn = self.turn(RotateInTwoTransactions).await;
        let before = self.rows().find(key).cloned();
        self.pause(RaceOfRevokes).await;
        self.pause(RaceOfRevokeAndRotate).await;
        let mut rows = self.rows();
        let (Some(record), Some(before)) = (rows.get(key), before) else {
            return if self.is(RevokeOfNoneFails) { Err(Other.into()) } else { Ok(None) };
        };
        if self.skips_expired(RevokeSkipsExpired, record) {
            return Ok(Some(Arc::new(record.clone())));
        }
        if self.is(RaceOfRevokes) && before.revoked.is_none() {
            record.revoked = None;
        }
        match &mut record.revoked {
            Some(first) if self.is(RevokeTakesTheEarliest) && revocation.at < first.at => *first = revocation.clone(),
            Some(_) if self.is(RevokeAgainRaisesTheVersion) => record.version += 1,
            Some(_) => {}
            None => {
                if self.is(RaceOfRevokeAndRotate) {
                    let last = record.last_used_at;
                    *record = changed(before, |record| record.last_used_at = last);
                }
                let version = record.version;
                let mut revocation = revocation.clone();
                if self.is(RevokeCutsWideActors) && revocation.by.as_str().len() > 255 {
                    revocation.by = Actor::new(&revocation.by.as_str().chars().take(63).collect::<String>()).unwrap();
                }
                if self.is(RevokeForgetsAReason) && revocation.reason == RevocationReason::AffiliationChanged {
                    revocation.reason = RevocationReason::Unspecified;
                }
                record.revoke(&revocation);
                if self.is(RevokeEnables) {
                    record.disabled = None;
                }
                if self.is(RevokeKeepsTheVersion) {
                    record.version = version;
                }
            }
        }
        Ok(Some(Arc::new(record.clone())))
    }

    async fn revoke_owner(&self, project: &ProjectId, owner: &OwnerId, revocation: &Revocation) -> Answer<u64> {
        self.revoke_all(project, &RevokeGroup::Owner(owner.clone()), revocation).await
    }

    async fn revoke_family(&self, project: &ProjectId, family: &TokenId, revocation: &Revocation) -> Answer<u64> {
        self.revoke_all(project, &RevokeGroup::Family(*family), revocation).await
    }

    async fn revoke_issued_by(&self, project: &ProjectId, issuer: &TokenId, revocation: &Revocation) -> Answer<u64> {
        let mut rows = self.rows();
        let of_issuer = |record: &&TokenRecord| {
            let bound = |other: &Issuer| other.bound || self.is(RevokeIssuedTakesTheIndependent);
            record.project == *project
                && record.issuer.as_ref().is_some_and(|other| other.id == *issuer && bound(other))
                && record.can_still_work(revocation.at)
                && !(self.is(RevokeIssuedSkipsSuccessors) && record.rotated_from.is_some())
        };
        let mut keys: Vec<TokenKey> = rows.records.iter().filter(of_issuer).map(TokenRecord::key).collect();
        if self.is(RevokeIssuedTakesOneStep) {
            keys.truncate(PageSize::MAX.get());
        }
        for key in &keys {
            rows.get(key).expect("the key was found").revoke(revocation);
        }
        Ok(keys.len() as u64)
    }

    async fn revoke_batch(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        batch: RevokeBatch,
        most: PageSize,
    ) -> Answer<BatchResult> {
        self.forget_group();
        let mut rows = self.rows();
        let group = batch.into();
        let keys = self.members(&rows, project, &group, |record| !self.skips_expired(BatchSkipsExpired, record));
        let size = if self.is(BatchIgnoresMost) { keys.len() } else { most.get().min(keys.len()) };
        self.revoke_again(&mut rows, project, &group, revocation);
        let first = keys.first().and_then(|key| rows.find(key)).cloned();
        self.revoke_rows(&mut rows, &keys[..size], revocation);
        drop(rows);
        if let Some(first) = first {
            self.show(BatchesShowAPart, first.key(), Some(first)).await;
        }
        let looked = self.is(BatchCountsTheNextRow) && size < keys.len();
        let done = match self.fault {
            Some(BatchIsDoneLate) => size < most.get(),
            Some(BatchIsDoneAtOnce) => true,
            _ => size == keys.len(),
        };
        Ok(BatchResult { count: size as u64 + u64::from(looked), done })
    }

    async fn rotate(
        &self,
        key: &TokenKey,
        expected_version: u64,
        successor: TokenRecord,
        grace_until: Timestamp,
        issuer: Option<IssuerCondition>,
    ) -> Answer<Option<Row>> {
        let new = successor.key();
        self.forget(key);
        self.forget_absence(&new);
        let _turn = self.turn(RotateInTwoTransactions).await;
        let judged = self.judge(&self.rows(), key, expected_version, &successor)?;
        let held = self.still_holds(&self.rows(), new.project, issuer);
        if self.is(RotateInTwoTransactions) && judged == Some(None) && held && self.rows().find(&new).is_none() {
            self.rows().push(successor);
            let link = Link { store: self, old: *key, new: new.id, grace_until };
            yield_now().await;
            drop(link);
            return Ok(self.rows().find(key).cloned().map(Arc::new));
        }
        let linked = self.rows().find(key).and_then(|record| record.rotated_to);
        self.pause(RotateMissesItsTurn).await;
        self.pause(RaceOfRotations).await;
        self.pause(RaceOfRotationAndIssuer).await;
        if self.is(RotateInTwoActs) && judged.is_some() && self.rows().find(&new).is_none() {
            self.rows().push(successor.clone());
            // No read shows the successor, unless the call is dropped.
            self.show(RotateInTwoActs, new, None).await;
            // A call that is not dropped during the pause removes the successor here, and later
            // gives the right result.
            self.rows().remove(&new);
        }
        let mut rows = self.rows();
        let is_linked_since = rows.find(key).is_some_and(|record| record.rotated_to != linked);
        let judged = if self.is(RotateMissesItsTurn) && !is_linked_since {
            judged
        } else if self.is(RaceOfRotations) {
            if rows.find(key).is_some_and(|record| record.revoked.is_some()) {
                return Err(Conflict.into());
            }
            judged
        } else {
            self.judge(&rows, key, expected_version, &successor)?
        };
        let Some(earlier) = judged else {
            if self.is(RotateOfNoneInserts) {
                rows.push(successor);
            }
            return Ok(None);
        };
        let mut superseded = Revocation {
            at: successor.created_at,
            by: successor.created_by.clone(),
            reason: RevocationReason::Superseded,
        };
        if self.is(RetriesRevokeAtTheGrace) {
            superseded.at = grace_until;
        }
        let there = rows.find(&new).is_some() && !self.is(RotateReplacesTheSuccessor);
        let raced = self.is(RaceOfRotationAndIssuer);
        if !there && !(if raced { held } else { self.still_holds(&rows, new.project, issuer) }) {
            drop(rows);
            self.show(RefusedCallsAreSeen, new, Some(successor)).await;
            return Err(IssuerChanged.into());
        }
        if let Some(earlier) = earlier
            && !self.is(RetriesLeaveTheFirst)
            && (!there || self.is(RefusedRetriesRevoke))
            && let Some(earlier) = rows.get(&earlier)
        {
            earlier.revoke(&superseded);
        }
        if !there || self.is(RefusedRotationsLink) {
            let record = rows.get(key).unwrap();
            let was = record.clone();
            record.rotate_to(new.id, grace_until);
            match self.fault {
                Some(RotateForgetsTheGrace) if earlier.is_none() => record.grace_until = was.grace_until,
                Some(RotateLosesTheLastUse) => record.last_used_at = None,
                Some(RotateKeepsTheVersion) => record.version = was.version,
                _ => {}
            }
        }
        if there {
            return Err(Conflict.into());
        }
        rows.remove(&new);
        let metadata = match self.fault {
            Some(RotateTrimsMetadata) => trimmed(&successor.metadata),
            _ => successor.metadata.clone(),
        };
        rows.push(changed(successor, |record| record.metadata = metadata));
        let rotated = rows.find(key).cloned().map(Arc::new);
        drop(rows);
        if earlier.is_none() {
            self.show(RotationsShowTheLinkFirst, new, None).await;
        } else {
            self.show(RetriesShowTheLinkFirst, new, None).await;
        }
        Ok(rotated)
    }

    async fn touch_many(&self, touches: &[LastUse]) -> Answer<u64> {
        let mut moved = 0;
        let mut seen: Vec<TokenKey> = Vec::new();
        for touch in touches {
            let key = &touch.key;
            if self.is(TouchTakesTheFirstOfABatch) && seen.contains(key) {
                continue;
            }
            seen.push(*key);
            let Some(before) = self.rows().find(key).cloned() else {
                match self.fault {
                    Some(TouchFailsOnUnknown) => return Err(Other.into()),
                    Some(TouchStopsAtUnknown) => return Ok(moved),
                    _ => continue,
                }
            };
            self.pause(RaceOfTouches).await;
            self.pause(RaceOfTouchAndRevoke).await;
            let mut rows = self.rows();
            for record in &mut rows.records {
                if record.key() == *key || (self.is(TouchIgnoresTheProject) && record.id == key.id) {
                    moved += u64::from(self.touch(record, &before, touch));
                }
            }
        }
        Ok(moved)
    }
}

impl BrokenStore {
    fn chain(&self, key: &TokenKey) -> ChainResult {
        let find = |key: &TokenKey| self.rows().find(key).cloned().map(Arc::new);
        let mut chain = Chain::from(find(key));
        let is_odd = self.is(ChainsBreakOffWhereARequestIs);
        while chain.issuers().count() < Chain::MOST {
            let last = chain.issuers().last().or(chain.record()).cloned();
            let next = match last {
                Some(last) if self.is(ChainsGoBeyondTheIndependent) => {
                    last.issuer.map(|issuer| TokenKey { project: key.project, id: issuer.id })
                }
                Some(last) => last.bound_to(),
                None => None,
            };
            let Some(next) = next else { break };
            if is_odd && chain.record().is_some_and(|record| record.request_id.is_some()) {
                break;
            }
            let mut found = find(&next);
            if found.is_none() && self.is(ChainsLookElsewhere) {
                let rows = self.rows();
                found = rows.records.iter().find(|record| record.id == next.id).cloned().map(Arc::new);
            }
            let Some(found) = found else { break };
            chain.add(found);
        }
        if self.is(ChainsStopAtThree) && chain.issuers().count() == Chain::MOST {
            let issuers: Vec<_> = chain.issuers().take(3).cloned().collect();
            chain = Chain::from(chain.record().cloned());
            issuers.into_iter().for_each(|issuer| chain.add(issuer));
        }
        ChainResult::now(chain)
    }

    /// Checks whether a rotation is possible.
    ///
    /// Returns `None` if the token does not exist, and `Some(None)` if the token may be rotated. If
    /// the call repeats a rotation, returns `Some(Some(key))` with the key of the earlier
    /// successor, which the new successor replaces.
    ///
    /// # Errors
    /// Returns [`Conflict`] if the token may not be rotated.
    fn judge(
        &self,
        rows: &Rows,
        key: &TokenKey,
        expected_version: u64,
        successor: &TokenRecord,
    ) -> Answer<Option<Option<TokenKey>>> {
        let Some(record) = rows.find(key) else { return Ok(None) };
        let other_version = record.version != expected_version && !self.is(RotateIgnoresTheVersion);
        let revoked = record.revoked.is_some() && !self.is(RotateTakesRevoked);
        let elsewhere = successor.project != key.project && !self.is(RotateLeavesItsProject);
        if other_version || revoked || elsewhere || self.skips_expired(RotateRefusesExpired, record) {
            return Err(Conflict.into());
        }
        let now = successor.created_at;
        let predecessor = record.rotated_from.map(|id| TokenKey { project: key.project, id });
        let in_grace = predecessor.and_then(|key| rows.find(&key)).is_some_and(|predecessor| match self.fault {
            Some(RotateIgnoresTheGrace) => false,
            Some(RotateWaitsAMillisecond) => predecessor.is_in_grace(later(now, -1)),
            Some(RotateIgnoresADisabledGrace) => predecessor.disabled.is_none() && predecessor.is_in_grace(now),
            _ => predecessor.is_in_grace(now),
        });
        if in_grace {
            return Err(Conflict.into());
        }
        let Some(id) = record.rotated_to else { return Ok(Some(None)) };
        let expired_at = if self.is(RetriesEndAMillisecondLate) { later(now, -1) } else { now };
        let expired = record.expires_at.is_some_and(|end| end <= expired_at) && !self.is(ExpiredRetries);
        let disabled = record.disabled.is_some() && !self.is(DisabledRetries);
        let graceless = self.is(RetriesEndWithTheGrace) && record.grace_until.is_some_and(|end| end <= now);
        if expired || disabled || graceless {
            return Err(Conflict.into());
        }
        let earlier = rows.find(&TokenKey { project: key.project, id }).ok_or(Conflict)?;
        let waits = (earlier.confirm_by.is_some() || self.is(ConfirmedRetries))
            && (earlier.revoked.is_none() || self.is(RevokedRetries));
        let changed = earlier.version != 1
            && match self.fault {
                Some(ChangedRetries) => false,
                Some(ConfirmedRetries) => earlier.confirm_by.is_some(),
                Some(RevokedRetries) => earlier.revoked.is_none(),
                _ => true,
            };
        let margin = TokenRecord::REPEAT_MARGIN - Duration::from_millis(self.is(RetriesEndAMillisecondEarly).into());
        let lapsed = earlier.confirm_by.is_some_and(|end| end < now.saturating_sub(margin));
        if changed || lapsed && !self.is(LongEndedRetries) {
            return Err(Conflict.into());
        }
        let same_request = match (&earlier.request_id, &successor.request_id) {
            (Some(first), Some(second)) => first == second || self.is(AnyRequestRetries),
            (None, None) => self.is(NoRequestRetries),
            _ => false,
        };
        let early = record.expires_at.is_none() && record.grace_until.is_none_or(|end| now < end);
        if !waits || !same_request || self.is(RetriesConflict) && early {
            return Err(Conflict.into());
        }
        Ok(Some(Some(earlier.key())))
    }

    fn touch(&self, record: &mut TokenRecord, before: &TokenRecord, LastUse { used_at, from, .. }: &LastUse) -> bool {
        let used_at = *used_at;
        if self.skips_expired(TouchSkipsExpired, record)
            || (self.is(TouchDropsTheEndOfTime) && used_at == Timestamp::MAX)
        {
            return false;
        }
        let was = record.clone();
        if self.is(RaceOfTouches) {
            record.last_used_at = before.last_used_at;
        }
        if self.is(TouchUnsigned) && used_at < Timestamp::UNIX_EPOCH {
            record.last_used_at = None;
        }
        let moved = record.touch(used_at, from.as_ref().filter(|_| !self.is(TouchForgetsWhereFrom)));
        match self.fault {
            Some(TouchEndsTheLease) => record.notice_lease_until = None,
            Some(TouchRaisesTheVersion) if was.last_used_at.is_some() => record.version += 1,
            Some(RaceOfTouchAndRevoke) => record.revoked = before.revoked.clone(),
            Some(TouchRevivesSuperseded) => {
                record.revoked.take_if(|revoked| revoked.reason == RevocationReason::Superseded);
            }
            _ => {}
        }
        moved || self.is(TouchCountsAll)
    }
}

impl BrokenStore {
    /// Returns whether a project has this work.
    fn has_work(&self, rows: &Rows, project: ProjectId, work: &ProjectsWith) -> bool {
        let mut records: Vec<&TokenRecord> = rows.records.iter().filter(|record| record.project == project).collect();
        records.sort_by_key(|record| record.id);
        match work {
            ProjectsWith::EndedBefore(time) => {
                let end_of = |record: &TokenRecord| match self.fault {
                    Some(WorkIgnoresRevocations) => changed(record.clone(), |record| record.revoked = None).ends_at(),
                    _ => record.ends_at(),
                };
                let before = if self.is(WorkWaitsAMillisecond) { later(*time, -1) } else { *time };
                records.iter().any(|record| end_of(record).is_some_and(|end| end < before))
            }
            ProjectsWith::DueNotices { leads, now } => {
                let leads = if self.is(WorkKnowsOneSchedule) { &NoticeLead::ALL[..] } else { leads };
                let begin = if self.is(WorkSkipsANoticeJustThen) { later(*now, -1) } else { *now };
                records.iter().any(|record| {
                    let free = match record.notice_lease_until {
                        Some(lease) if self.is(WorkKeepsALease) => lease < *now,
                        lease => lease.is_none_or(|lease| lease <= *now),
                    };
                    free && record.due_notice(leads, begin).is_some()
                })
            }
            ProjectsWith::EndedIssuers(now) => {
                let mut bound: Vec<TokenKey> = records
                    .iter()
                    .filter(|record| record.can_still_work(*now))
                    .filter_map(|record| record.bound_to())
                    .collect();
                bound.sort();
                if self.is(WorkLooksAtOneIssuer) {
                    bound.truncate(1);
                }
                let at = if self.is(WorkSkipsAnIssuerJustThen) { later(*now, -1) } else { *now };
                bound.iter().any(|key| match rows.find(key) {
                    Some(issuer) => !issuer.status(at).is_live(),
                    None => !self.is(WorkNeedsTheIssuer),
                })
            }
            ProjectsWith::KeyNumber(number) => {
                if self.is(WorkOfAKeyIsLive) {
                    records.retain(|record| record.revoked.is_none());
                }
                if self.is(WorkOfAKeyIsFirst) {
                    records.truncate(1);
                }
                records.iter().any(|record| record.id.key_number() == *number)
            }
            // Another kind of work: every project may have it.
            _ => true,
        }
    }
}

impl StoreMaintenance for BrokenStore {
    async fn projects(&self, query: &ProjectsQuery) -> Answer<Vec<ProjectId>> {
        let ProjectsQuery { owner, with, after, most } = query;
        let large = *most == PageSize::MAX;
        let rows = self.rows();
        let owned = rows.records.iter().filter(|record| owner.as_ref().is_none_or(|owner| *owner == record.owner));
        let mut projects: Vec<ProjectId> = owned.map(|record| record.project).collect();
        projects.sort();
        projects.dedup();
        if let Some(work) = with {
            projects.retain(|project| self.has_work(&rows, *project, work));
        }
        if let Some(after) = after {
            let inclusive = self.is(LargeAnswersStartAtTheCursor) && large;
            projects.retain(|project| project > after || (inclusive && project == after));
            let skips = if owner.is_some() { self.is(ProjectsOfAnOwnerSkipOne) } else { self.is(ProjectsSkipOne) };
            if skips && !projects.is_empty() {
                projects.remove(0);
            }
        }
        projects.truncate(most.get() + usize::from(self.is(ProjectsHoldOneMore)));
        if self.is(LargeAnswersDescend) && large {
            projects.reverse();
        }
        Ok(projects)
    }

    async fn purge(&self, project: &ProjectId, ended_before: Timestamp, most: PageSize) -> Answer<BatchResult> {
        let mut rows = self.rows();
        let ended = |record: &&TokenRecord| {
            let end = match self.fault {
                Some(PurgeKeepsLapsed) if record.confirm_by.is_some() => record.expires_at,
                Some(PurgeWaitsForTheExpiry) => record.expires_at.or(record.ends_at()),
                Some(PurgeTakesDisabled) => record.ends_at().or(record.disabled.as_ref().map(|disabled| disabled.at)),
                _ => record.ends_at(),
            };
            let just_then = self.is(PurgeTakesWhatEndsJustThen) && end == Some(ended_before);
            self.same_project(PurgeCutsTheProject, &record.project, project)
                && (just_then || end.is_some_and(|end| end < ended_before))
        };
        let keys: Vec<TokenKey> = rows.records.iter().filter(ended).map(TokenRecord::key).collect();
        let size = if self.is(PurgeIgnoresMost) { keys.len() } else { most.get().min(keys.len()) };
        let first = keys.first().and_then(|key| rows.find(key)).cloned();
        keys[..size].iter().for_each(|key| rows.remove(key));
        if !self.is(PurgeKeepsImportKeys) {
            rows.imported.retain(|(_, record)| !keys[..size].contains(&record.key()));
        }
        drop(rows);
        if let Some(first) = first {
            self.show(PurgesShowAPart, first.key(), Some(first)).await;
        }
        let count = if self.is(PurgeCountsWhatIsLeft) { keys.len() } else { size } as u64;
        let done = match self.fault {
            Some(PurgeIsDoneLate) => size < most.get(),
            Some(PurgeIsDoneAtOnce) => true,
            _ => size == keys.len(),
        };
        Ok(BatchResult { count, done })
    }

    async fn ended_issuers(&self, project: &ProjectId, now: Timestamp, most: PageSize) -> Answer<Vec<TokenId>> {
        let rows = self.rows();
        let mut found: Vec<TokenId> = Vec::new();
        for record in rows.records.iter().filter(|record| record.project == *project) {
            let Some(key) = record.bound_to() else { continue };
            let left = record.can_still_work(now) || self.is(EndedIssuersHaveNothingLeft);
            let ended = match rows.find(&key) {
                Some(issuer) if self.is(EndedIssuersAreNotActive) => issuer.status(now) != Status::Active,
                Some(issuer) => !issuer.status(now).is_live(),
                None => !self.is(EndedIssuersAreThere),
            };
            if left && ended && !found.contains(&key.id) {
                found.push(key.id);
            }
        }
        if !self.is(EndedIssuersIgnoreMost) {
            found.truncate(most.get());
        }
        Ok(found)
    }

    async fn claim_notices(
        &self,
        project: &ProjectId,
        leads: &[NoticeLead],
        now: Timestamp,
        lease_until: Timestamp,
        most: PageSize,
    ) -> Answer<Vec<Row>> {
        let leads = if self.is(ClaimKnowsOneSchedule) { &NoticeLead::ALL } else { leads };
        let due = |record: &&TokenRecord| {
            let unlinked = || changed((*record).clone(), |record| record.rotated_to = None);
            let notice = if self.is(ClaimTakesRotated) {
                unlinked().due_notice(leads, now)
            } else {
                record.due_notice(leads, now)
            };
            let free = |lease: Timestamp| match self.fault {
                Some(ClaimForgetsTheMilliseconds) => lease < later(now, 1000),
                Some(ClaimWaitsAMillisecond) => lease < now,
                _ => lease <= now,
            };
            self.same_project(ClaimCutsTheProject, &record.project, project)
                && notice.is_some()
                && record.notice_lease_until.is_none_or(free)
        };
        let find = |rows: &Rows| {
            let due = rows.records.iter().filter(due);
            let mut due: Vec<_> = due.map(|record| (record.expires_at, record.key())).collect();
            due.sort();
            if self.is(ClaimTakesTheLatestFirst) {
                due.reverse();
            }
            due.truncate(most.get() + usize::from(self.is(ClaimTakesOneMore)));
            due
        };
        let before = find(&self.rows());
        self.pause(RaceOfClaims).await;
        let mut rows = self.rows();
        let found = if self.is(RaceOfClaims) { before } else { find(&rows) };
        let mut claimed = Vec::new();
        for (_, key) in found {
            let Some(record) = rows.get(&key) else { continue };
            let version = record.version;
            record.claim_notice(lease_until);
            match self.fault {
                Some(ClaimAcknowledges) => record.notice_lead = record.due_notice(leads, now),
                Some(ClaimRaisesTheVersion) => record.version = version + 1,
                _ => {}
            }
            claimed.push(Arc::new(record.clone()));
        }
        drop(rows);
        if let Some(first) = claimed.first() {
            let before = changed(TokenRecord::clone(first), |record| record.notice_lease_until = None);
            self.show(ClaimsShowAPart, first.key(), Some(before)).await;
        }
        Ok(claimed)
    }

    async fn acknowledge_notice(&self, key: &TokenKey, lead: NoticeLead) -> Answer<Option<Row>> {
        let mut rows = self.rows();
        let Some(record) = rows.get(key) else {
            return if self.is(AcknowledgeOfNoneFails) { Err(Conflict.into()) } else { Ok(None) };
        };
        let was = record.clone();
        record.acknowledge_notice(lead);
        match self.fault {
            Some(AcknowledgeKeepsTheLease) => record.notice_lease_until = was.notice_lease_until,
            Some(AcknowledgeGoesBack) => record.notice_lead = Some(lead),
            Some(AcknowledgeRaisesTheVersion) => record.version = was.version + 1,
            _ => {}
        }
        Ok(Some(Arc::new(record.clone())))
    }

    async fn scan(&self, after: Option<TokenKey>, most: PageSize) -> Answer<Option<Vec<Arc<TokenRecord>>>> {
        let rows = self.rows();
        let comes_after = |record: &&TokenRecord| match after {
            Some(after) if self.is(ScanSkipsTheRest) => record.project > after.project,
            after => after.is_none_or(|after| record.key() > after),
        };
        let mut found: Vec<_> = rows.records.iter().filter(comes_after).cloned().map(Arc::new).collect();
        if self.is(ScanHidesDead) {
            found.retain(|record| record.revoked.is_none());
        }
        found.sort_by_key(|record| record.key());
        found.truncate(most.get() + usize::from(self.is(ScanHoldsOneMore) && most.get() == 2));
        Ok(Some(found))
    }
}

// Helpers that import one row.
impl BrokenStore {
    /// Returns the key of a stored token that has one of the import keys of this row. Returns
    /// `None` if there is no such token.
    fn knows(&self, rows: &Rows, row: &ImportRow) -> Option<TokenKey> {
        row.keys()
            .take(if self.is(ImportLooksForTwoKeys) { 2 } else { usize::MAX })
            .find_map(|key| self.knows_key(rows, row, key))
    }

    fn knows_key(&self, rows: &Rows, row: &ImportRow, key: &ImportKey) -> Option<TokenKey> {
        let here = |other: &TokenRecord| !self.is(ImportKeysAreOfTheProject) || other.project == row.record.project;
        rows.imported.iter().find(|(known, other)| known == key && here(other)).map(|(_, other)| other.key())
    }

    /// Inserts a row. If a token with the row's key or one of its import keys exists, inserts
    /// nothing and returns the key of that token.
    ///
    /// If `before` is `None`, the function looks up the import keys itself, as a correct store
    /// does. With some faults, `before` is the result of a look-up that was made before the batch.
    /// The function then uses this outdated result.
    fn import_row(&self, row: ImportRow, before: Option<Option<TokenKey>>) -> Option<TokenKey> {
        let rows = &mut *self.rows();
        let known = before.unwrap_or_else(|| self.knows(rows, &row));
        // The fault `RaceOfImportKeys` uses the outdated result only for the other import keys. The
        // row's own import key is looked up again.
        if let Some(key) =
            known.or_else(|| self.is(RaceOfImportKeys).then(|| self.knows_key(rows, &row, &row.import_key))?)
        {
            return Some(key);
        }
        let ImportRow { mut record, import_key, .. } = row;
        if let Some(there) = rows.find(&record.key()).cloned() {
            if self.is(RefusedImportsKeepTheirKey) {
                rows.imported.push((import_key, there));
            }
            if self.is(ImportReplacesTheToken) {
                rows.get(&record.key()).unwrap().name = record.name.clone();
            }
            return Some(record.key());
        }
        if self.is(ImportTrimsMetadata) {
            record.metadata = trimmed(&record.metadata);
        }
        rows.push(record.clone());
        rows.imported.push((import_key, record));
        None
    }
}

impl ImportStore for BrokenStore {
    async fn import(&self, batch: Vec<ImportRow>) -> Answer<Vec<ImportRowOutcome>> {
        if !self.is(ImportTakesBoundRecords) {
            ImportRow::ensure_unbound(&batch)?;
        }
        let before: Vec<Option<TokenKey>> = batch.iter().map(|row| self.knows(&self.rows(), row)).collect();
        self.pause(RaceOfImports).await;
        self.pause(RaceOfImportKeys).await;
        let mut outcomes = Vec::new();
        for (row, before) in batch.into_iter().zip(before) {
            if self.is(ImportInTwoActs) && outcomes.len() == 1 {
                let link = self.rows().imported.pop();
                yield_now().await;
                self.rows().imported.extend(link);
            }
            let exists = |outcome: &ImportRowOutcome| matches!(outcome, ImportRowOutcome::Exists(_));
            let stopped = self.is(ImportStopsAtWhatExists) && outcomes.last().is_some_and(exists);
            let races = self.is(RaceOfImports) && row.other_keys.is_empty() || self.is(RaceOfImportKeys);
            let asked_before = self.is(ImportAsksBeforeTheBatch) || races && outcomes.is_empty();
            let own = row.record.key();
            let there = if stopped { Some(own) } else { self.import_row(row, asked_before.then_some(before)) };
            outcomes.push(there.map_or(ImportRowOutcome::Inserted, ImportRowOutcome::Exists));
        }
        if self.is(ImportSortsItsAnswer) {
            outcomes.sort_by_key(|outcome| matches!(outcome, ImportRowOutcome::Exists(_)));
        }
        Ok(outcomes)
    }

    async fn find_imported(&self, import_key: &ImportKey) -> Answer<Option<Row>> {
        let rows = self.rows();
        let length = if self.is(FindImportedReadsHalfTheKey) { 16 } else { 32 };
        let same = |key: &ImportKey| key.as_bytes()[..length] == import_key.as_bytes()[..length];
        let Some((_, imported)) = rows.imported.iter().find(|(key, _)| same(key)) else { return Ok(None) };
        let found = if self.is(FindImportedAnswersACopy) { Some(imported) } else { rows.find(&imported.key()) };
        let hidden =
            |record: &&TokenRecord| self.is(FindImportedHidesLapsed) && record.status(clock()) == Status::Lapsed;
        Ok(found.filter(|record| !hidden(record)).cloned().map(Arc::new))
    }
}
