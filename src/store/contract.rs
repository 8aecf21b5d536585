//! The contract between keyfob and whoever keeps its records.

use core::future::Future;
use core::time::Duration;
use std::sync::Arc;

use super::query::{CountQuery, ListQuery, Page, PageSize};
use crate::rules::change::Change;
use crate::rules::precondition::IssuerCondition;
use crate::rules::record::{Revocation, TokenRecord};
use crate::rules::status::NoticeStage;
use crate::words::digest::Digest;
use crate::words::error::{Field, Flaw, Invalid};
use crate::words::ids::{KeyNumber, ProjectId, TokenId, TokenKey};
use crate::words::store_error::StoreError;
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;

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
    /// Returns [`Conflict`](crate::StoreErrorKind::Conflict) if the key exists, dead or alive, whatever the conditions. Else
    /// returns [`Limit`](crate::StoreErrorKind::Limit) if the owner has as many live tokens in the project as the limit
    /// allows; those in their grace period count. Else returns [`IssuerChanged`](crate::StoreErrorKind::IssuerChanged) if the
    /// issuer condition does not [hold](IssuerCondition::holds).
    fn insert(
        &self,
        record: TokenRecord,
        limit: Option<OwnerLimit>,
        issuer: Option<IssuerCondition>,
    ) -> impl Future<Output = Result<Arc<TokenRecord>, StoreError>> + Send;

    /// Finds a record by its key, dead or alive, as it is now: whatever anybody was told to be done before this call is in it.
    fn find(&self, key: &TokenKey) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send;

    /// Finds a record as [`find`](Self::find) does, for a verification, which may be answered with what is a little old: by a
    /// cache, or by a replica. The answer says how old it is at most.
    ///
    /// What this very store was told to be done before the call is in it all the same, but for last uses. A store that has
    /// neither gives what `find` does, [as of now](Recent::now).
    fn find_recent(&self, key: &TokenKey) -> impl Future<Output = Result<Recent, StoreError>> + Send;

    /// Finds a record as [`find`](Self::find) does, and answers only once what it shows is durable.
    ///
    /// A change that is wanted may be there already, made by a call that was answered
    /// [`Unavailable`](crate::StoreErrorKind::Unavailable) because it might be lost. Whoever repeats it is told that it is done
    /// after this call. The default is for stores that show only what is durable: it calls `find`.
    ///
    /// # Errors
    /// Returns [`Unavailable`](crate::StoreErrorKind::Unavailable) if what it would show may be lost.
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
    /// [`Other`](crate::StoreErrorKind::Other) error.
    fn list(&self, query: &ListQuery) -> impl Future<Output = Result<Page<Arc<TokenRecord>>, StoreError>> + Send;

    /// Counts a project's records that [match](CountQuery::matches).
    fn count(&self, query: &CountQuery) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Makes one typed change, as [`TokenRecord::apply`] does.
    ///
    /// [`Conflict`](crate::StoreErrorKind::Conflict) where the version is not the expected one. `None` where there is no
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

    /// Revokes tokens of one project that are of a kind and not revoked, dead ones too: at most `most` rows, and at least one
    /// if any is left. The caller repeats it until the batch is done.
    fn revoke_batch(
        &self,
        project: &ProjectId,
        revocation: &Revocation,
        batch: RevokeBatch,
        most: PageSize,
    ) -> impl Future<Output = Result<Batch, StoreError>> + Send;

    /// Rotates one token: inserts its successor, and links the old one to it and sets its grace, as
    /// [`TokenRecord::rotate_to`] does. Returns the old one, `None` if there is no such row. The successor comes with its own
    /// links, `family` and `rotated_from`, and is stored as it is. No owner's limit is asked.
    ///
    /// An earlier successor that the new one [repeats](TokenRecord::is_repeated_by) is revoked as superseded, at the time and
    /// by the actor that made the new one: a retry after a lost answer.
    ///
    /// # Errors
    /// Returns [`Conflict`](crate::StoreErrorKind::Conflict) if the successor's key exists, or if the token
    /// [may not be rotated](TokenRecord::may_rotate) so; both are decided on the rows as they are in the same operation. Else
    /// returns [`IssuerChanged`](crate::StoreErrorKind::IssuerChanged) if the issuer condition does not hold, as of
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
    /// not there ignored, no other column changed, not even the version. Of several for one token
    /// the latest counts. Returns how many rows moved. Atomic for each row, not for the batch: if
    /// it fails, some rows may have moved, and the caller repeats it for each project alone.
    fn touch_many(&self, touches: &[Touch]) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// A record that was so a moment ago, or its absence.
#[derive(Clone, PartialEq, Debug)]
pub struct Recent {
    /// The record; `None` where there was none.
    pub record: Option<Arc<TokenRecord>>,
    /// How long ago that was at most, by a monotonic clock.
    pub age: Duration,
}

impl Recent {
    /// What was so at some time during the call.
    pub fn now(record: Option<Arc<TokenRecord>>) -> Self {
        Self { record, age: Duration::ZERO }
    }
}

/// What a service runs on a store from time to time, not in requests. Its laws are those of [`TokenStore`].
pub trait StoreMaintenance: Send + Sync {
    /// The projects that have tokens, or have tokens of an owner, ascending. A store may name more than those, but not
    /// fewer; an answer without any is the end.
    fn projects(&self, query: &ProjectsQuery) -> impl Future<Output = Result<Vec<ProjectId>, StoreError>> + Send;

    /// Deletes, in one project, records that [ended](TokenRecord::ends_at) strictly before a time, at most `most` of them.
    /// The caller repeats it until the batch is done.
    fn purge(
        &self,
        project: &ProjectId,
        ended_before: Timestamp,
        most: PageSize,
    ) -> impl Future<Output = Result<Batch, StoreError>> + Send;

    /// Claims notices that are due, for one sender: the records of the project for which
    /// [`due_notice`](TokenRecord::due_notice) is one at `now` and whose lease is over (`<= now`) or was never taken. Sets
    /// their lease to `lease_until`, and returns them, at most `most`, those that expire first first.
    fn claim_notices(
        &self,
        project: &ProjectId,
        now: Timestamp,
        lease_until: Timestamp,
        most: PageSize,
    ) -> impl Future<Output = Result<Vec<Arc<TokenRecord>>, StoreError>> + Send;

    /// Marks a notice as sent: sets the stage, if it is later than the one there, and clears the lease. `None` where there
    /// is no such row. A sender that stopped between claim and acknowledgement sends it again: at least once, each known
    /// by key and stage.
    fn acknowledge_notice(
        &self,
        key: &TokenKey,
        stage: NoticeStage,
    ) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send;
}

/// For services that had tokens before: records found by a key computed from the old token's stored hash. Opt-in.
pub trait ImportStore: Send + Sync {
    /// Inserts records with their look-up keys. The batch is one act, as a sync for each of a million rows would take
    /// hours: where it fails, none of it is there.
    ///
    /// Returns one outcome for each row, in their order: inserted, or exists if one of its [look-up keys](ImportRow::keys) does,
    /// in whichever project, or its own key does, before the call or earlier in the batch. A look-up key decides before the
    /// own one, and the first before the others. What exists is left as it is, and keeps no other row out. All look-up keys
    /// are decided in the same operation, so that two nodes that mint with different keys do not import one token twice.
    fn import(&self, batch: Vec<ImportRow>) -> impl Future<Output = Result<Vec<ImportOutcome>, StoreError>> + Send;

    /// Finds an imported record, dead or alive. Once it is purged, its look-up key is free.
    fn find_imported(
        &self,
        import_key: &ImportKey,
    ) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send;
}

/// Which projects to name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ProjectsQuery {
    /// Only those in which this owner has tokens.
    pub owner: Option<OwnerId>,
    /// Only those behind this one.
    pub after: Option<ProjectId>,
    /// At most this many.
    pub most: PageSize,
}

/// The most live tokens that an owner may have in the project, the new one among them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OwnerLimit {
    /// That many.
    pub most: u64,
    /// The time at which the others are judged as live.
    pub now: Timestamp,
}

/// A group of tokens, for [`Tokens::revoke_group`](crate::Tokens::revoke_group).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RevokeGroup {
    /// All of an owner.
    Owner(OwnerId),
    /// All of a chain of rotations, by the id of its first.
    Family(TokenId),
    /// All created strictly before a time.
    CreatedBefore(Timestamp),
    /// All made with a key.
    KeyNumber(KeyNumber),
}

impl RevokeGroup {
    /// Whether the record is of the group.
    pub fn contains(&self, record: &TokenRecord) -> bool {
        match self {
            Self::Owner(owner) => record.owner == *owner,
            Self::Family(family) => record.family == *family,
            Self::CreatedBefore(time) => RevokeBatch::CreatedBefore(*time).contains(record),
            Self::KeyNumber(number) => RevokeBatch::KeyNumber(*number).contains(record),
        }
    }
}

/// Which tokens of a project a store revokes in batches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RevokeBatch {
    /// All created strictly before a time.
    CreatedBefore(Timestamp),
    /// All made with a key.
    KeyNumber(KeyNumber),
}

impl From<RevokeBatch> for RevokeGroup {
    fn from(batch: RevokeBatch) -> Self {
        match batch {
            RevokeBatch::CreatedBefore(time) => Self::CreatedBefore(time),
            RevokeBatch::KeyNumber(number) => Self::KeyNumber(number),
        }
    }
}

impl RevokeBatch {
    /// Returns whether the record is of the kind.
    pub fn contains(&self, record: &TokenRecord) -> bool {
        match self {
            Self::CreatedBefore(time) => record.created_at < *time,
            Self::KeyNumber(number) => record.id.key_number() == *number,
        }
    }
}

/// What one call of a batch did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Batch {
    /// How many rows it changed.
    pub count: u64,
    /// Whether none is left. A full batch that leaves none is done.
    pub done: bool,
}

/// One last use to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Touch {
    /// Of this token.
    pub key: TokenKey,
    /// At this time.
    pub used_at: Timestamp,
}

/// A record to be imported.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportRow {
    /// The record, to be stored as it is.
    pub record: TokenRecord,
    /// The key to find it by.
    pub import_key: ImportKey,
    /// Other keys under which the same token may have been imported, while another key of the keyring was the minting one.
    pub other_keys: Vec<ImportKey>,
}

impl ImportRow {
    /// Returns a row of this look-up key and no others.
    pub const fn new(record: TokenRecord, import_key: ImportKey) -> Self {
        Self { record, import_key, other_keys: Vec::new() }
    }

    /// Returns its look-up key and the others, in the order in which a store looks for them.
    pub fn keys(&self) -> impl Iterator<Item = &ImportKey> {
        core::iter::once(&self.import_key).chain(&self.other_keys)
    }
}

/// What an import did with a row.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ImportOutcome {
    /// It is there now.
    Inserted,
    /// One of its look-up keys or its own was there before, and what is there stays: the token of this key.
    Exists(TokenKey),
}

/// The look-up key of an imported token: a MAC of its old hash, so that the old hash is not kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImportKey([u8; 32]);

impl ImportKey {
    /// A key of these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for a store to keep.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key of a token with this digest.
    pub(crate) const fn of(digest: &Digest) -> Self {
        Self(*digest.as_bytes())
    }
}

impl core::fmt::Debug for ImportKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("ImportKey(..)")
    }
}

impl TryFrom<&[u8]> for ImportKey {
    type Error = Invalid;

    fn try_from(bytes: &[u8]) -> Result<Self, Invalid> {
        match bytes.try_into() {
            Ok(bytes) => Ok(Self(bytes)),
            Err(_) => Err(Invalid::new(Field::Digest, Flaw::Shape)),
        }
    }
}
