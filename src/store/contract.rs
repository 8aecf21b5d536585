//! The contract between keyfob and whoever keeps its records.

use core::future::Future;
use core::time::Duration;
#[cfg(any(feature = "postgres", feature = "redis"))]
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::group::{BatchResult, RevokeBatch};
use super::query::{CountQuery, ListQuery, Page, PageSize};
use crate::rules::chain::Chain;
use crate::rules::change::Change;
use crate::rules::precondition::{IssuerCondition, LiveLimit};
use crate::rules::record::{Revocation, TokenRecord};
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::store_error::StoreError;
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;
use crate::words::used_from::UsedFrom;

/// Where tokens are kept. A host implements it for its own database, or takes a ready one.
///
/// Write the methods as plain `async fn`. What holds for all of them:
///
/// - **A store never judges.** It returns dead rows as they are, compares what it is told to compare, and writes what
///   it is given. Every time comes from the caller, never from the database.
/// - **Each call is one atomic operation**: it happens whole or not at all, also when its future is dropped half-way, and it
///   is durable once it is acknowledged. The exceptions say so: [`revoke_owner`](Self::revoke_owner),
///   [`revoke_family`](Self::revoke_family) and [`touch_many`](Self::touch_many).
/// - **Every call is routable** by the project in its key or query.
/// - Every change raises the row's version by one, except last uses and notices, and the new record is returned.
/// - A row that is not there is `None`, never an error; a failure is an error, never `None`.
///
/// The sentences of each method are laws. The functions of the `conformance` feature hold a store to them, each case
/// named after its law.
pub trait TokenStore: Send + Sync {
    /// Inserts a new record. It is never an upsert.
    ///
    /// All conditions are decided in the same operation: two concurrent inserts cannot both take an owner's last place, and
    /// once a revocation of the issuer is acknowledged, no insert on its condition takes effect any more. A store with several
    /// connections holds the issuer's row until the commit; a plain `INSERT … WHERE EXISTS` races with the revocation.
    ///
    /// # Errors
    /// Returns [`Conflict`](crate::store::StoreErrorKind::Conflict) if the key exists, dead or alive, whatever the conditions. Else
    /// returns [`Limit`](crate::store::StoreErrorKind::Limit) if there are as many live tokens as the limit allows, those in their
    /// grace period counted: [of the same issuer](LiveLimit::has_room_for) for a token that is bound to one, else of the owner
    /// and bound to none. Else returns [`IssuerChanged`](crate::store::StoreErrorKind::IssuerChanged) if the
    /// issuer condition does not [hold](IssuerCondition::holds).
    fn insert(
        &self,
        record: TokenRecord,
        limit: Option<LiveLimit>,
        issuer: Option<IssuerCondition>,
    ) -> impl Future<Output = Result<Arc<TokenRecord>, StoreError>> + Send;

    /// Finds a record by its key, dead or alive, as it is now: whatever anybody was told to be done before this call is in it.
    fn find(&self, key: &TokenKey) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send;

    /// Finds a record as [`find`](Self::find) does, for a verification, which may get a slightly old answer: from a cache or a
    /// replica. The answer says how old it is at most.
    ///
    /// What this very store has acknowledged before the call is in it all the same, except last uses. The default is for stores
    /// that have neither cache nor replica: it calls `find`, and the answer is [as of now](ReadResult::now).
    fn find_recent(&self, key: &TokenKey) -> impl Future<Output = Result<ReadResult, StoreError>> + Send {
        async { Ok(ReadResult::now(self.find(key).await?)) }
    }

    /// Finds a record and those of the tokens that it is [bound to](TokenRecord::bound_to), for a verification, each as
    /// [`find_recent`](Self::find_recent) does: until one is bound to none, is not there, or is the
    /// [fourth](Chain::MOST). The age is that of the oldest answer.
    ///
    /// The default asks for one after the other. A store that can answer them all at once saves the round trips of bound tokens;
    /// for a token that is bound to none it must cost no more than `find_recent`.
    fn find_recent_chain(&self, key: &TokenKey) -> impl Future<Output = Result<ChainResult, StoreError>> + Send {
        async {
            let ReadResult { record, mut age } = self.find_recent(key).await?;
            let mut chain = Chain::from(record);
            while let Some(issuer) = chain.next_issuer() {
                let asked_at = Instant::now();
                let read = self.find_recent(&issuer).await?;
                // What was old before grew older meanwhile; what was asked of the store is from within the call.
                if !age.is_zero() {
                    age += asked_at.elapsed();
                }
                age = age.max(read.age);
                let Some(issuer) = read.record else { break };
                chain.add(issuer);
            }
            Ok(ChainResult { chain, age })
        }
    }

    /// Finds a record as [`find`](Self::find) does, and answers only once what it shows is durable.
    ///
    /// A change that is wanted may be there already, made by a call that was answered
    /// [`Unavailable`](crate::store::StoreErrorKind::Unavailable) because it might be lost. Whoever repeats it is told that it is done
    /// after this call. The default is for stores that show only what is durable: it calls `find`.
    ///
    /// # Errors
    /// Returns [`Unavailable`](crate::store::StoreErrorKind::Unavailable) if what it would show may be lost.
    fn find_durable(
        &self,
        key: &TokenKey,
    ) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send {
        self.find(key)
    }

    /// Lists one page of a project's records: those that [match](ListQuery::matches), in order, behind the cursor.
    ///
    /// Pages are cut by value, not by count: rows that come or go between two pages make no other row appear twice or not at
    /// all. `next` is there just where more rows follow. A cursor of another order is an
    /// [`Other`](crate::store::StoreErrorKind::Other) error.
    fn list(&self, query: &ListQuery) -> impl Future<Output = Result<Page<Arc<TokenRecord>>, StoreError>> + Send;

    /// Counts a project's records that [match](CountQuery::matches).
    fn count(&self, query: &CountQuery) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Makes one typed change, as [`TokenRecord::apply`] does.
    ///
    /// [`Conflict`](crate::store::StoreErrorKind::Conflict) where the version is not the expected one. `None` where there is no
    /// such row. A revoked row takes changes like any other and stays revoked. The last use stays as it is, also where it was
    /// written after the caller read the row.
    fn update(
        &self,
        key: &TokenKey,
        expected_version: u64,
        change: Change,
    ) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send;

    /// Revokes one token, as [`TokenRecord::revoke`] does: the first caller wins, and a second changes nothing, not even
    /// the version, and gets the record with the first one's time, actor and reason. `None` where there is no such row.
    fn revoke(
        &self,
        key: &TokenKey,
        revocation: &Revocation,
    ) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send;

    /// Revokes the tokens of one owner in one project, and returns how many this call revoked.
    ///
    /// Once it is acknowledged, no token of the owner that existed before the call works, and none of their successors,
    /// however many rows there are: it reaches every token that [can still work](TokenRecord::can_still_work) at
    /// `revocation.at`. Rows that ended earlier may stay as they are.
    ///
    /// It may work in steps of at most 1,000 rows, each a transaction of its own that excludes rotations and inserts with an
    /// issuer condition. It keeps no cursor: it chooses anew until a step finds no such token, and only then acknowledges.
    /// Each step ends within the store's deadline; a step that fails leaves what was done before, and the caller repeats the
    /// call.
    fn revoke_owner(
        &self,
        project: &ProjectId,
        owner: &OwnerId,
        revocation: &Revocation,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Revokes the tokens of one chain of rotations, by the id of its first, as [`revoke_owner`](Self::revoke_owner) revokes
    /// those of an owner.
    fn revoke_family(
        &self,
        project: &ProjectId,
        family: &TokenId,
        revocation: &Revocation,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Revokes the tokens that are [bound](crate::record::Issuer::bound) to one, as [`revoke_owner`](Self::revoke_owner) revokes those
    /// of an owner: their successors too, but not what is bound to them in turn.
    ///
    /// It is called after the issuer has ended, so that no verification passes these tokens any more, and writes that down. So
    /// no cache and no standby needs to be told of it, and none is: the end of a token with thousands below it must not empty
    /// the caches of its project. It need not exclude anything either; a token that is issued meanwhile may be left.
    ///
    /// If the issuer ended by time and a clock is set back to before that, a cache may return these tokens as they were
    /// before, for as long as its bound. A revoked issuer has no such exception.
    fn revoke_issued_by(
        &self,
        project: &ProjectId,
        issuer: &TokenId,
        revocation: &Revocation,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Revokes tokens of one project that are of a kind and not revoked, dead ones too: at most `most` rows, and at least one
    /// if any is left. The caller repeats it until the batch is done.
    fn revoke_batch(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        batch: RevokeBatch,
        most: PageSize,
    ) -> impl Future<Output = Result<BatchResult, StoreError>> + Send;

    /// Rotates one token: inserts its successor, and links the old one to it and sets its grace, as
    /// [`TokenRecord::rotate_to`] does. Returns the old one, `None` if there is no such row. The successor comes with its own
    /// links, `family` and `rotated_from`, and is stored as it is. No owner's limit is asked.
    ///
    /// An earlier successor that the new one [repeats](TokenRecord::is_repeated_by) is revoked as superseded, at the time and
    /// by the actor that made the new one: a retry after a lost answer.
    ///
    /// # Errors
    /// Returns [`Conflict`](crate::store::StoreErrorKind::Conflict) if the successor's key exists, or if the token
    /// [may not be rotated](TokenRecord::may_rotate) so; both are decided on the rows as they are in the same operation. Else
    /// returns [`IssuerChanged`](crate::store::StoreErrorKind::IssuerChanged) if the issuer condition does not hold, as of
    /// [`insert`](Self::insert).
    fn rotate(
        &self,
        key: &TokenKey,
        expected_version: u64,
        successor: TokenRecord,
        grace_until: Timestamp,
        issuer: Option<IssuerCondition>,
    ) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send;

    /// Writes last uses in a batch, as [`TokenRecord::touch`] does: only forwards, rows that are
    /// not there ignored, no column changed but the last use's own, not even the version. Of several for one
    /// token the latest counts, and where it came from. Returns how many rows moved. Atomic for each row, not for the batch: if
    /// it fails, some rows may have moved, and the caller repeats it for each project alone.
    fn touch_many(&self, touches: &[LastUse]) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// A record that was so a moment ago, or its absence.
#[derive(Clone, PartialEq, Debug)]
pub struct ReadResult {
    /// The record; `None` where there was none.
    pub record: Option<Arc<TokenRecord>>,
    /// How long ago that was at most, by a monotonic clock.
    pub age: Duration,
}

impl ReadResult {
    /// What was so at some time during the call.
    pub fn now(record: Option<Arc<TokenRecord>>) -> Self {
        Self { record, age: Duration::ZERO }
    }
}

/// A record that was so a moment ago, and those of the tokens that it is bound to.
#[derive(Clone, PartialEq, Debug)]
pub struct ChainResult {
    /// The records.
    pub chain: Chain,
    /// How long ago that was at most, of each, by a monotonic clock.
    pub age: Duration,
}

impl ChainResult {
    /// What was so at some time during the call.
    pub fn now(chain: impl Into<Chain>) -> Self {
        Self { chain: chain.into(), age: Duration::ZERO }
    }
}

/// One last use to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LastUse {
    /// Of this token.
    pub key: TokenKey,
    /// At this time.
    pub used_at: Timestamp,
    /// From there, if that is to be recorded.
    pub from: Option<UsedFrom>,
}

impl LastUse {
    /// Returns the latest of each token, by project.
    #[cfg(any(feature = "postgres", feature = "redis"))]
    pub(crate) fn latest(touches: &[Self]) -> BTreeMap<ProjectId, BTreeMap<TokenId, &Self>> {
        let mut projects: BTreeMap<ProjectId, BTreeMap<TokenId, &Self>> = BTreeMap::new();
        for touch in touches {
            let last = projects.entry(touch.key.project).or_default().entry(touch.key.id).or_insert(touch);
            if last.used_at < touch.used_at {
                *last = touch;
            }
        }
        projects
    }
}
