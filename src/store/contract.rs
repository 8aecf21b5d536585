//! The contract between keyfob and the store that keeps its records.

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

/// A store of token records. Implement it for your database, or use one of the stores in
/// [`store`](crate::store).
///
/// Write each method as a plain `async fn`. [`MemoryStore`](crate::MemoryStore) is a short
/// implementation to start from. Every sentence in the docs of a method is a law. The functions of
/// the `conformance` feature test a store against these laws, one function for each law.
///
/// All methods share these laws:
///
/// - **A store does not judge.** It returns ended records like [live](crate::Status::is_live) ones.
///   It compares only the values that a method names, and writes the values it receives. Every time
///   comes from the caller: a store never reads its own clock.
/// - **Each call is one atomic operation.** It takes effect as a whole or not at all, also if its
///   future is dropped midway. Once the call returns success, its effect is durable. The exceptions
///   are [`revoke_owner`](Self::revoke_owner), [`revoke_family`](Self::revoke_family),
///   [`revoke_issued_by`](Self::revoke_issued_by) and [`touch_many`](Self::touch_many), which may
///   take effect in parts.
/// - **Each key and each query names its project**, so that a store can shard by project.
/// - **Each change raises the version of its record by one**, except last uses and notices. A
///   method that changes one record returns the record with the change.
/// - **An absent record is `None`, not an error.** A failure is an error, never `None`.
///
/// The docs of a method name the function that decides its outcome, such as
/// [`TokenRecord::may_rotate`]. A store that reads whole records calls it. A store whose engine
/// decides, in SQL or Lua, restates it, and `conformance::rules` compares the two.
///
/// Every method returns [`Unavailable`](crate::store::StoreErrorKind::Unavailable) or another
/// [kind](crate::store::StoreErrorKind) of error if its engine fails. The methods below list only
/// the errors that follow from a law.
pub trait TokenStore: Send + Sync {
    /// Inserts a new record. It never overwrites an existing one.
    ///
    /// The store decides all conditions in the same operation as the insert. If two inserts race
    /// for the last place under a limit, one succeeds. After a revocation of the issuer is
    /// acknowledged, no insert that names this issuer in its condition takes effect. A store with
    /// several connections must therefore lock the issuer's row until the commit: a plain
    /// `INSERT … WHERE EXISTS` races with the revocation.
    ///
    /// # Errors
    /// Returns the first of these that applies:
    ///
    /// - [`Conflict`](crate::store::StoreErrorKind::Conflict) if a record with this key exists,
    ///   live or ended.
    /// - [`Limit`](crate::store::StoreErrorKind::Limit) if the limit has no
    ///   [room](LiveLimit::has_room_for) for the record. A bound token counts with the live tokens
    ///   that are bound to the same issuer. Any other token counts with its owner's live tokens
    ///   that are bound to no issuer. A token in its grace period is live.
    /// - [`IssuerChanged`](crate::store::StoreErrorKind::IssuerChanged) if the issuer condition
    ///   does not [hold](IssuerCondition::holds).
    fn insert(
        &self,
        record: TokenRecord,
        limit: Option<LiveLimit>,
        issuer: Option<IssuerCondition>,
    ) -> impl Future<Output = Result<Arc<TokenRecord>, StoreError>> + Send;

    /// Returns the record with this key, live or ended, or `None` if there is no such record.
    ///
    /// The record includes every change that was acknowledged before the call, by any process.
    fn find(&self, key: &TokenKey) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send;

    /// Returns the record with this key for a verification, possibly from a cache or a replica. The
    /// result states how old it is at most.
    ///
    /// The read is read-your-writes: it includes every change that this store acknowledged to this
    /// process before the call. Two kinds of change may be missing: last uses, and the revocations
    /// of [`revoke_issued_by`](Self::revoke_issued_by).
    ///
    /// The default calls [`find`](Self::find), and the age is [zero](ReadResult::now). It suits
    /// stores without a cache and without replicas.
    fn find_recent(&self, key: &TokenKey) -> impl Future<Output = Result<ReadResult, StoreError>> + Send {
        async { Ok(ReadResult::now(self.find(key).await?)) }
    }

    /// Returns the record with this key and the records of the tokens that it is [bound
    /// to](TokenRecord::bound_to), for a verification.
    ///
    /// The chain ends at the first token that is bound to no issuer, at an issuer that does not
    /// exist, or at the [fourth](Chain::MOST) issuer. Each record may be as old as one that
    /// [`find_recent`](Self::find_recent) returns. The age of the result is the age of the oldest
    /// record in it.
    ///
    /// The default reads one record after the other. A store that reads the whole chain in one
    /// round trip makes bound tokens faster to verify. For a token that is bound to no issuer, this
    /// call must cost no more than `find_recent`.
    fn find_recent_chain(&self, key: &TokenKey) -> impl Future<Output = Result<ChainResult, StoreError>> + Send {
        async {
            let ReadResult { record, mut age } = self.find_recent(key).await?;
            let mut chain = Chain::from(record);
            while let Some(issuer) = chain.next_issuer() {
                let asked_at = Instant::now();
                let read = self.find_recent(&issuer).await?;
                // A record that was already old has aged since. A record of age zero was read
                // during this call.
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

    /// Returns the record as [`find`](Self::find) does, but only after everything in it is durable.
    ///
    /// A call that failed may still have made its change, and a fail-over may then lose it. If the
    /// caller repeats the call, keyfob calls this method before it reports the change as done. The
    /// default calls `find`. It suits stores that return only durable records.
    ///
    /// # Errors
    /// Returns [`Unavailable`](crate::store::StoreErrorKind::Unavailable) if any of the record may
    /// still be lost.
    fn find_durable(
        &self,
        key: &TokenKey,
    ) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send {
        self.find(key)
    }

    /// Returns one page of a project's records: those that [match](ListQuery::matches) the query,
    /// in its order, starting after its cursor.
    ///
    /// A cursor is a position in the order, not a number of records. Records that appear or
    /// disappear between two pages neither repeat nor hide another record. [`Page::next`] is `Some`
    /// exactly if more records follow.
    ///
    /// # Errors
    /// Returns [`Other`](crate::store::StoreErrorKind::Other) if the cursor was created under
    /// another order.
    fn list(&self, query: &ListQuery) -> impl Future<Output = Result<Page<Arc<TokenRecord>>, StoreError>> + Send;

    /// Returns how many records of a project [match](CountQuery::matches) the query.
    fn count(&self, query: &CountQuery) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Makes one change, as [`TokenRecord::apply`] does. Returns the changed record, or `None` if
    /// there is no such record.
    ///
    /// A revoked token takes changes like any other, and stays revoked. The change does not touch
    /// the last use, even if a use was recorded after the caller read the record.
    ///
    /// # Errors
    /// Returns [`Conflict`](crate::store::StoreErrorKind::Conflict) if the version of the record is
    /// not `expected_version`.
    fn update(
        &self,
        key: &TokenKey,
        expected_version: u64,
        change: Change,
    ) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send;

    /// Revokes one token, as [`TokenRecord::revoke`] does. Returns the record, or `None` if there
    /// is no such record.
    ///
    /// Revocation is idempotent, and the first call wins. A later call changes nothing, not even
    /// the version, and returns the record with the time, actor and reason of the first.
    fn revoke(
        &self,
        key: &TokenKey,
        revocation: &Revocation,
    ) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send;

    /// Revokes the tokens of one owner in one project, and returns how many this call revoked.
    ///
    /// After the call is acknowledged, no token that the owner had before the call works any more,
    /// nor does any of their successors, however many there are. The store therefore revokes every
    /// token that [can still work](TokenRecord::can_still_work) at `revocation.at`. Tokens that
    /// ended earlier may stay as they are.
    ///
    /// The store may work in steps of at most 1,000 records. Each step is one transaction that
    /// excludes rotations in the project and inserts with an issuer condition. The store keeps no
    /// cursor between steps. It selects again until a step finds no token that can still work, and
    /// acknowledges only then.
    ///
    /// # Errors
    /// Returns the error of the first step that fails. The earlier steps keep their effect, and the
    /// caller repeats the call. Each step has the time limit of one call.
    fn revoke_owner(
        &self,
        project: &ProjectId,
        owner: &OwnerId,
        revocation: &Revocation,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Revokes the tokens of one chain of rotations in one project, and returns how many this call
    /// revoked. `family` is the id of the first token of the chain. The laws of
    /// [`revoke_owner`](Self::revoke_owner) apply.
    fn revoke_family(
        &self,
        project: &ProjectId,
        family: &TokenId,
        revocation: &Revocation,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Revokes the tokens that are [bound](crate::record::Issuer::bound) to one issuer, with their
    /// successors, and returns how many this call revoked. It does not revoke tokens that are bound
    /// to these in turn.
    ///
    /// The laws of [`revoke_owner`](Self::revoke_owner) apply, with two exceptions. keyfob calls
    /// this method after the issuer has ended: verification already rejects the tokens, and the
    /// call only records their end. The store therefore notifies no cache and no standby, because
    /// the end of an issuer with thousands of bound tokens must not empty the caches of its
    /// project. The store need not exclude concurrent inserts and rotations either, so a token that
    /// is issued during the call may be left out.
    ///
    /// If the issuer ended by time and a clock is set back to before that end, a cache may return
    /// the earlier records of these tokens until its bound.
    fn revoke_issued_by(
        &self,
        project: &ProjectId,
        issuer: &TokenId,
        revocation: &Revocation,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Revokes one batch of a project's tokens: those that the batch
    /// [contains](RevokeBatch::contains) and that are not revoked yet, including tokens that ended
    /// in another way.
    ///
    /// One call revokes at most `most` tokens, and at least one if any is left. The caller repeats
    /// the call until [`BatchResult::done`] is true.
    fn revoke_batch(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        batch: RevokeBatch,
        most: PageSize,
    ) -> impl Future<Output = Result<BatchResult, StoreError>> + Send;

    /// Rotates one token. Returns the record of the old token, or `None` if there is no such
    /// record.
    ///
    /// The store inserts `successor` unchanged: its `family` and `rotated_from` are set already. It
    /// then links the old token to the successor and sets its grace period, as
    /// [`TokenRecord::rotate_to`] does. It checks no limit of live tokens.
    ///
    /// A caller that did not receive the result may repeat a rotation. If the new successor
    /// [repeats](TokenRecord::is_repeated_by) the request of an earlier one, the store revokes the
    /// earlier one [as superseded](Revocation::superseded_by), with the time and actor that created
    /// the new one.
    ///
    /// # Errors
    /// Returns the first of these that applies. The store decides in the same operation, on the
    /// current records.
    ///
    /// - [`Conflict`](crate::store::StoreErrorKind::Conflict) if [`TokenRecord::may_rotate`]
    ///   refuses the rotation, or if a record with the successor's key exists.
    /// - [`IssuerChanged`](crate::store::StoreErrorKind::IssuerChanged) if the issuer condition
    ///   does not [hold](IssuerCondition::holds). [`insert`](Self::insert) says how a revocation of
    ///   the issuer must exclude the rotation.
    fn rotate(
        &self,
        key: &TokenKey,
        expected_version: u64,
        successor: TokenRecord,
        grace_until: Timestamp,
        issuer: Option<IssuerCondition>,
    ) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send;

    /// Records last uses in a batch, as [`TokenRecord::touch`] does, and returns how many records
    /// changed.
    ///
    /// It never moves a time backwards, ignores unknown keys, and changes only the columns of the
    /// last use: not even the version. If a batch has several uses of one token, the latest counts,
    /// with the address and client it came from.
    ///
    /// Each record is atomic, the batch is not. If the call fails, some records may have changed,
    /// and the caller repeats it for each project separately.
    fn touch_many(&self, touches: &[LastUse]) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// A record as it was a moment ago, or its absence.
#[derive(Clone, PartialEq, Debug)]
pub struct ReadResult {
    /// The record, or `None` if there was no such record.
    pub record: Option<Arc<TokenRecord>>,
    /// The longest time that may have passed since then, on a monotonic clock.
    pub age: Duration,
}

impl ReadResult {
    /// Returns the result for a record that was read during the call: its age is zero.
    pub fn now(record: Option<Arc<TokenRecord>>) -> Self {
        Self { record, age: Duration::ZERO }
    }
}

/// A record as it was a moment ago, and the records of the tokens that it is bound to.
#[derive(Clone, PartialEq, Debug)]
pub struct ChainResult {
    /// The record and those of its issuers, nearest first.
    pub chain: Chain,
    /// The age of the oldest of these records: the longest time that may have passed since it was
    /// read, on a monotonic clock.
    pub age: Duration,
}

impl ChainResult {
    /// Returns the result for a chain that was read during the call: its age is zero.
    pub fn now(chain: impl Into<Chain>) -> Self {
        Self { chain: chain.into(), age: Duration::ZERO }
    }
}

/// One use of a token, to be recorded as its last use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LastUse {
    /// The token that was used.
    pub key: TokenKey,
    /// The time of the use.
    pub used_at: Timestamp,
    /// The address and client of the use, if the service records them.
    pub from: Option<UsedFrom>,
}

impl LastUse {
    /// Returns the latest use of each token, grouped by project.
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
