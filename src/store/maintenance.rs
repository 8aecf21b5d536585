//! The part of the store contract that maintenance jobs use.

use core::future::Future;
use std::sync::Arc;

use super::group::BatchResult;
use super::query::PageSize;
use crate::rules::notice_lead::NoticeLead;
use crate::rules::record::TokenRecord;
use crate::words::ids::{KeyNumber, ProjectId, TokenId, TokenKey};
use crate::words::store_error::StoreError;
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;

/// The methods of a store for maintenance jobs: listing projects, purging ended tokens, finding
/// ended issuers and sending notices of expiry. No request of a user needs these methods.
///
/// The laws and the errors that [`TokenStore`](crate::TokenStore) states for all its methods apply
/// here too.
pub trait StoreMaintenance: Send + Sync {
    /// Returns the projects that have tokens, in ascending order. If the query names an owner,
    /// returns only the projects in which this owner has tokens. If the query names
    /// [work](ProjectsQuery::with), returns only the projects that have this work.
    ///
    /// A store may return additional projects, but must not omit any. The caller repeats the query,
    /// with [`after`](ProjectsQuery::after) set to the last project, until the result is empty.
    ///
    /// A store may ignore the work, and return all projects. Then each maintenance job makes at
    /// least one call for each project. A store with an index for each kind of work needs only the
    /// projects in which there is something to do.
    fn projects(&self, query: &ProjectsQuery) -> impl Future<Output = Result<Vec<ProjectId>, StoreError>> + Send;

    /// Deletes the records of ended tokens in one project. A record is deleted only if its token
    /// [ended](TokenRecord::ends_at) strictly before `ended_before`.
    ///
    /// One call deletes at most `most` records, and at least one if any is left to delete. The
    /// caller repeats the call until [`BatchResult::done`] is true. A call that deletes nothing
    /// should write nothing, and notify no cache.
    fn purge(
        &self,
        project: &ProjectId,
        ended_before: Timestamp,
        most: PageSize,
    ) -> impl Future<Output = Result<BatchResult, StoreError>> + Send;

    /// Returns the ids of the issuers in one project that have ended but still have bound tokens to
    /// revoke.
    ///
    /// An issuer has ended if its status at `now` is not [live](crate::Status::is_live), or if it
    /// has no record. An issuer has tokens to revoke if a token that is bound to it [can still
    /// work](TokenRecord::can_still_work) at `now`, according to the token's own record.
    ///
    /// One call returns at most `most` ids, and at least one if there is any.
    fn ended_issuers(
        &self,
        project: &ProjectId,
        now: Timestamp,
        most: PageSize,
    ) -> impl Future<Output = Result<Vec<TokenId>, StoreError>> + Send;

    /// Claims due notices of expiry in one project for one sender, and returns the records of their
    /// tokens.
    ///
    /// A notice is due if [`due_notice`](TokenRecord::due_notice) returns one of `leads` at `now`.
    /// It cannot be claimed if a sender already holds a lease on it, and this lease ends after
    /// `now`. The store sets the end of the new lease to `lease_until` and counts the lease, as
    /// [`TokenRecord::claim_notice`] does.
    ///
    /// One call claims at most `most` notices. It claims the notices of the tokens that expire
    /// soonest. A call that claims nothing should write nothing, and notify no cache.
    fn claim_notices(
        &self,
        project: &ProjectId,
        leads: &[NoticeLead],
        now: Timestamp,
        lease_until: Timestamp,
        most: PageSize,
    ) -> impl Future<Output = Result<Vec<Arc<TokenRecord>>, StoreError>> + Send;

    /// Marks a notice as sent and ends its lease, as [`TokenRecord::acknowledge_notice`] does.
    /// Returns the record of the token, or `None` if there is no such record.
    ///
    /// In the record, a longer lead never replaces a shorter one. Each notice is delivered at least
    /// once: if a sender stops between the claim and the acknowledgement, the notice can be claimed
    /// again after its lease ends, and is sent again. A recipient can detect the repeat by the
    /// token key and the lead.
    fn acknowledge_notice(
        &self,
        key: &TokenKey,
        lead: NoticeLead,
    ) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send;

    /// Returns records of all projects, live and ended, in ascending order of their projects and
    /// then of their ids. If `after` is set, returns only records whose keys come after it. Returns
    /// `None` if the store cannot read several projects with one call.
    ///
    /// One call returns at most `most` records, and at least one if there is any. The caller
    /// repeats the call, with `after` set to the last key, until the result is empty. A record that
    /// exists during all of these calls must be returned.
    ///
    /// The default returns `None`. Then the caller reads one project after another.
    #[allow(unused_variables, reason = "the names are for the docs")]
    fn scan(
        &self,
        after: Option<TokenKey>,
        most: PageSize,
    ) -> impl Future<Output = Result<Option<Vec<Arc<TokenRecord>>>, StoreError>> + Send {
        async { Ok(None) }
    }
}

/// A query for the projects of a store.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ProjectsQuery {
    /// If set, the result contains only projects in which this owner has tokens.
    pub owner: Option<OwnerId>,
    /// If set, the result contains only projects that have this work. A store may ignore this
    /// field, because a result may have additional projects.
    pub with: Option<ProjectsWith>,
    /// If set, the result contains only projects that come after this project in ascending order.
    pub after: Option<ProjectId>,
    /// The maximum number of projects that one call returns.
    pub most: PageSize,
}

/// The work by which a maintenance job selects projects.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ProjectsWith {
    /// Projects with records to purge: records of tokens that [ended](TokenRecord::ends_at)
    /// strictly before this time.
    EndedBefore(Timestamp),
    /// Projects with notices that a sender [can claim](StoreMaintenance::claim_notices) at `now`.
    DueNotices {
        /// The lead times of the notices.
        leads: Vec<NoticeLead>,
        /// The current time.
        now: Timestamp,
    },
    /// Projects with [ended issuers](StoreMaintenance::ended_issuers) at this time.
    EndedIssuers(Timestamp),
    /// Projects with tokens, live or ended, whose digest was computed with the key of this number.
    KeyNumber(KeyNumber),
}
