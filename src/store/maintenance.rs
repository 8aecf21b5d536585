//! The part of the store contract that maintenance jobs use.

use core::future::Future;
use std::sync::Arc;

use super::group::BatchResult;
use super::query::PageSize;
use crate::rules::notice_lead::NoticeLead;
use crate::rules::record::TokenRecord;
use crate::words::ids::{ProjectId, TokenId, TokenKey};
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
    /// returns only the projects in which this owner has tokens.
    ///
    /// A store may return additional projects, but must not omit any. The caller repeats the query,
    /// with [`after`](ProjectsQuery::after) set to the last project, until the result is empty.
    fn projects(&self, query: &ProjectsQuery) -> impl Future<Output = Result<Vec<ProjectId>, StoreError>> + Send;

    /// Deletes the records of ended tokens in one project. A record is deleted only if its token
    /// [ended](TokenRecord::ends_at) strictly before `ended_before`.
    ///
    /// One call deletes at most `most` records, and at least one if any is left to delete. The
    /// caller repeats the call until [`BatchResult::done`] is true.
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
    /// soonest.
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
}

/// A query for the projects of a store.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ProjectsQuery {
    /// If set, the result contains only projects in which this owner has tokens.
    pub owner: Option<OwnerId>,
    /// If set, the result contains only projects that come after this project in ascending order.
    pub after: Option<ProjectId>,
    /// The maximum number of projects that one call returns.
    pub most: PageSize,
}
