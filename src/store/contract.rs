//! The contract between keyfob and a store, which keeps the records of tokens.

use core::future::Future;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use super::group::{BatchResult, RevokeBatch};
use super::last_use::LastUse;
use super::query::{CountQuery, ListQuery, Page, PageSize};
use crate::rules::chain::Chain;
use crate::rules::change::Change;
use crate::rules::precondition::{IssuerCondition, LiveLimit};
use crate::rules::record::{Revocation, TokenRecord};
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::store_error::StoreError;
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;

/// A store of token records. Implement this trait for your database, or use one of the stores in
/// [`store`](crate::store). **For a first store, implement [`BasicStore`](crate::store::BasicStore)
/// instead.** It has four operations, and [`Layered`](crate::store::Layered) implements this trait
/// over it.
///
/// Write each method as a plain `async fn`. Every sentence in the docs of a method is a law. The
/// functions of the `conformance` feature test a store against these laws, one function for each
/// law.
///
/// All methods share these laws:
/// - **A store does not decide whether a token works.** It returns the records of
///   [live](crate::Status::is_live) tokens and of ended tokens. A method checks only the conditions
///   in its docs. A store never reads its own clock: every time comes from the caller.
/// - **Each call is one atomic operation.** It takes effect as a whole or not at all, even if its
///   future is dropped before it completes. After a call returns success, its effect is durable.
///   Only [`revoke_owner`](Self::revoke_owner), [`revoke_family`](Self::revoke_family),
///   [`revoke_issued_by`](Self::revoke_issued_by) and [`touch_many`](Self::touch_many) may take
///   effect in parts.
/// - **Each key and each query names its project**, so that a store can shard by project.
/// - **Each change of a record raises its version by one**, except a change of its last use or its
///   notices. A method that changes one record returns the changed record.
/// - **An absent record is `None`, not an error.** A failure is an error, never `None`.
///
/// Some docs name the function that decides the outcome, such as [`TokenRecord::may_rotate`]. A
/// store that reads whole records calls this function. If the engine of a store decides, the store
/// restates the function in SQL or Lua, and `conformance::rules` compares the two versions.
///
/// # Errors of all methods
/// Every method returns [`Unavailable`](crate::store::StoreErrorKind::Unavailable) if the engine
/// cannot be reached, is busy or times out, and another [kind](crate::store::StoreErrorKind) of
/// error if the engine fails in another way. The docs of a method list only the errors that follow
/// from its laws.
///
#[doc = include_str!("../guide/database_store.md")]
pub trait TokenStore: Send + Sync {
    /// Inserts a new record, and never overwrites an existing record.
    ///
    /// The store checks all conditions in the same operation as the insert. If a limit allows one
    /// more token and two inserts race, only one succeeds. After a revocation of the issuer is
    /// acknowledged, no insert that names this issuer in its condition takes effect. A store with
    /// several connections must therefore lock the row of the issuer until the commit: a plain
    /// `INSERT … WHERE EXISTS` races with the revocation.
    ///
    /// # Errors
    /// Returns the first of these errors that applies:
    /// - [`Conflict`](crate::store::StoreErrorKind::Conflict) if a record with this key exists,
    ///   live or ended.
    /// - [`Limit`](crate::store::StoreErrorKind::Limit) if the limit has no
    ///   [room](LiveLimit::has_room_for) for the record. For a bound token, the limit counts the
    ///   live tokens that are bound to the same issuer. For any other token, the limit counts the
    ///   owner's live tokens that are bound to no issuer. A token in its grace period is live.
    /// - [`IssuerChanged`](crate::store::StoreErrorKind::IssuerChanged) if the issuer condition
    ///   does not [hold](IssuerCondition::holds).
    fn insert(
        &self,
        record: TokenRecord,
        limit: Option<LiveLimit>,
        issuer: Option<IssuerCondition>,
    ) -> impl Future<Output = Result<Arc<TokenRecord>, StoreError>> + Send;

    /// Returns the record with this key, live or ended, or `None` if there is no such record. The
    /// record includes every change that was acknowledged before the call, by any process.
    ///
    /// # Errors
    /// Returns [`Unavailable`](crate::store::StoreErrorKind::Unavailable) after a timeout, as [all
    /// methods](TokenStore#errors-of-all-methods) do.
    fn find(&self, key: &TokenKey) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send;

    /// Returns the record with this key for a verification, possibly from a cache or a replica.
    /// [`ReadResult::age`] states the maximum age of the record.
    ///
    /// The read is read-your-writes: the record includes every change that this store acknowledged
    /// to this process before the call, except last uses and the revocations of
    /// [`revoke_issued_by`](Self::revoke_issued_by).
    ///
    /// The default calls [`find`](Self::find) and states an age of [zero](ReadResult::now). It
    /// suits stores without a cache and without replicas.
    fn find_recent(&self, key: &TokenKey) -> impl Future<Output = Result<ReadResult, StoreError>> + Send {
        async { Ok(ReadResult::now(self.find(key).await?)) }
    }

    /// Returns the record with this key and the records of the tokens that it is [bound
    /// to](TokenRecord::bound_to), for a verification.
    ///
    /// The chain ends at the first token that is bound to no issuer, before an issuer that does not
    /// exist, or at the [fourth](Chain::MOST) issuer. Each record may be as old as a record from
    /// [`find_recent`](Self::find_recent). The age of the result is the age of its oldest record.
    ///
    /// The default reads one record after the other. A store that reads the chain in one round trip
    /// verifies bound tokens faster. For a token that is bound to no issuer, this call must cost no
    /// more than `find_recent`.
    fn find_recent_chain(&self, key: &TokenKey) -> impl Future<Output = Result<ChainResult, StoreError>> + Send {
        async {
            let ReadResult { record, mut age } = self.find_recent(key).await?;
            let mut chain = Chain::from(record);
            while let Some(issuer) = chain.next_issuer() {
                let asked_at = Instant::now();
                let read = self.find_recent(&issuer).await?;
                // The earlier records have aged during this read, unless their age is zero: then
                // they were read during this call.
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

    /// Returns what [`find_recent_chain`](Self::find_recent_chain) would return, if the store holds
    /// all records of the chain in memory. Returns `None` if only that call can find out. The
    /// result obeys the same laws, so its chain is empty if there is no such record.
    ///
    /// A verification calls this method first. If it returns a result, the verification does not
    /// wait for the store. The call must return immediately: it must not read from a network or a
    /// disk.
    ///
    /// The default returns `None`. It suits every store without records in memory. A store with
    /// records in memory that keeps the default is correct too, but a verification takes longer.
    #[expect(unused_variables, reason = "the name documents the parameter for implementers")]
    fn find_held(&self, key: &TokenKey) -> Option<ChainResult> {
        None
    }

    /// Returns the record as [`find`](Self::find) does, but only after the whole record is durable.
    ///
    /// A call that failed may still have changed the record, and a fail-over may then lose the
    /// change. If the caller repeats that call, keyfob calls this method before it reports the
    /// change as done. The default calls `find`. It suits stores that return only durable records.
    ///
    /// # Errors
    /// Returns [`Unavailable`](crate::store::StoreErrorKind::Unavailable) if any part of the record
    /// may still be lost.
    fn find_durable(
        &self,
        key: &TokenKey,
    ) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send {
        self.find(key)
    }

    /// Returns one page of the project's records that [match](ListQuery::matches) the query, in the
    /// order of the query, starting after its cursor.
    ///
    /// A cursor is a position in the order, not a number of records. If a record appears or
    /// disappears between two pages, no other record is repeated or omitted. [`Page::next`] is
    /// `Some` exactly if more records follow.
    ///
    /// # Errors
    /// Returns [`Other`](crate::store::StoreErrorKind::Other) if the cursor was created under
    /// another order.
    fn list(&self, query: &ListQuery) -> impl Future<Output = Result<Page<Arc<TokenRecord>>, StoreError>> + Send;

    /// Returns how many records of a project [match](CountQuery::matches) the query.
    fn count(&self, query: &CountQuery) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Changes one record as [`TokenRecord::apply`] does. Returns the changed record, or `None` if
    /// there is no such record.
    ///
    /// A revoked token can be changed like any other token, and stays revoked. The change keeps the
    /// last use, even if the use was recorded after the caller read the record.
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

    /// Revokes one token as [`TokenRecord::revoke`] does. Returns the record, or `None` if there is
    /// no such record.
    ///
    /// Revocation is idempotent, and the first call wins. A later call changes nothing, not even
    /// the version. It returns the record with the time, actor and reason of the first call.
    fn revoke(
        &self,
        key: &TokenKey,
        revocation: &Revocation,
    ) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send;

    /// Revokes the tokens of one owner in one project, and returns how many this call revoked.
    ///
    /// After this call is acknowledged, two kinds of tokens no longer work: the owner's tokens
    /// whose insert was acknowledged before the call began, and their successors, even if a
    /// rotation inserts them during the call. The store therefore revokes every token of the owner
    /// that [can still work](TokenRecord::can_still_work) at `revocation.at`, even if its
    /// `created_at` is later. Tokens that ended earlier may stay as they are. The store may or may
    /// not revoke any other token that is inserted during the call.
    ///
    /// The store may work in steps of at most 1,000 records. Each step is one transaction.
    /// Rotations in the project, and inserts with an issuer condition, must not overlap a step:
    /// each commits before the step reads, or reads after the step commits. Otherwise a rotation
    /// could read a token before the step revokes it, and then insert a live successor.
    ///
    /// Between two steps, a rotation may insert a successor of a token that is not revoked yet. So
    /// the store keeps no cursor between steps, but selects among all tokens of the owner again.
    /// The next step finds the successor, because it has the same owner. The store acknowledges the
    /// call only after a step finds no token that can still work.
    ///
    /// # Errors
    /// Returns the error of the first step that fails. The earlier steps keep their effect, and the
    /// caller repeats the call. If the store has a time limit, it applies to each step separately.
    fn revoke_owner(
        &self,
        project: &ProjectId,
        owner: &OwnerId,
        revocation: &Revocation,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Revokes the tokens of one chain of rotations in one project, and returns how many this call
    /// revoked. `family` is the id of the first token of the chain. The laws of
    /// [`revoke_owner`](Self::revoke_owner) apply to the tokens of the chain.
    fn revoke_family(
        &self,
        project: &ProjectId,
        family: &TokenId,
        revocation: &Revocation,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Revokes the tokens that are [bound](crate::record::Issuer::bound) directly to one issuer,
    /// and their successors. Returns how many this call revoked.
    ///
    /// keyfob calls this method after the issuer has ended, when verification already rejects the
    /// tokens. So the laws of [`revoke_owner`](Self::revoke_owner) apply with two exceptions. The
    /// store notifies no cache and no standby: the end of an issuer with thousands of tokens must
    /// not empty the caches of its project. Inserts and rotations may overlap a step of the
    /// revocation, so a token that is issued during the call may stay unrevoked.
    ///
    /// If the issuer ended by expiry and a clock is set back to before this expiry, a cache may
    /// return the old records of the tokens until its staleness bound has passed.
    fn revoke_issued_by(
        &self,
        project: &ProjectId,
        issuer: &TokenId,
        revocation: &Revocation,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Revokes the tokens of a batch in one project: each token that `batch`
    /// [contains](RevokeBatch::contains) and that is not revoked yet, even if it ended in another
    /// way. One call revokes at most `most` tokens, and at least one if any is left to revoke. The
    /// caller repeats the call until [`BatchResult::done`] is true.
    fn revoke_batch(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        batch: RevokeBatch,
        most: PageSize,
    ) -> impl Future<Output = Result<BatchResult, StoreError>> + Send;

    /// Rotates one token. Returns the old token's record, or `None` if there is no such record.
    ///
    /// The store inserts `successor` unchanged: its `family` and `rotated_from` are set already. It
    /// then links the old token to the successor and sets the grace period of the old token, as
    /// [`TokenRecord::rotate_to`] does. It checks no limit of live tokens.
    ///
    /// A caller that did not receive the result may repeat a rotation. If `successor`
    /// [repeats](TokenRecord::is_repeated_by) the request of an earlier successor, the store
    /// revokes the earlier successor [as superseded](Revocation::superseded_by), with the time and
    /// actor of the new successor.
    ///
    /// # Errors
    /// Returns the first of these errors that applies, checked in the same operation as the write:
    /// - [`Conflict`](crate::store::StoreErrorKind::Conflict) if [`TokenRecord::may_rotate`]
    ///   refuses the rotation, or if a record with the successor's key exists.
    /// - [`IssuerChanged`](crate::store::StoreErrorKind::IssuerChanged) if the issuer condition
    ///   does not [hold](IssuerCondition::holds). [`insert`](Self::insert) says how a
    ///   store must prevent a race with a revocation of the issuer.
    fn rotate(
        &self,
        key: &TokenKey,
        expected_version: u64,
        successor: TokenRecord,
        grace_until: Timestamp,
        issuer: Option<IssuerCondition>,
    ) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send;

    /// Records last uses as [`TokenRecord::touch`] does, and returns how many records changed.
    ///
    /// The store never moves a last use backwards and ignores unknown keys. It changes only the
    /// columns of the last use, and does not raise the version. If `touches` has several uses of
    /// one token, the store records the latest, with its address and client.
    ///
    /// Each record changes atomically. If the call fails, some records may have changed, and the
    /// caller repeats the call for each project separately.
    fn touch_many(&self, touches: &[LastUse]) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// The result of [`find_recent`](TokenStore::find_recent): a record and its maximum age.
#[derive(Clone, PartialEq, Debug)]
pub struct ReadResult {
    /// The record, or `None` if there was no such record.
    pub record: Option<Arc<TokenRecord>>,
    /// An upper bound on the time since the record was read, measured on a monotonic clock.
    pub age: Duration,
}

impl ReadResult {
    /// Returns a result of age zero, for a record that the store read during the current call.
    pub fn now(record: Option<Arc<TokenRecord>>) -> Self {
        Self { record, age: Duration::ZERO }
    }
}

/// The result of [`find_recent_chain`](TokenStore::find_recent_chain): a chain and its maximum age.
#[derive(Clone, PartialEq, Debug)]
pub struct ChainResult {
    /// The record of the token and the records of its issuers, starting with the direct issuer.
    pub chain: Chain,
    /// The time since the oldest record of the chain was read. The true time may be shorter.
    pub age: Duration,
}

impl ChainResult {
    /// Returns a result of age zero, for a chain that the store read during the current call.
    pub fn now(chain: impl Into<Chain>) -> Self {
        Self { chain: chain.into(), age: Duration::ZERO }
    }
}
