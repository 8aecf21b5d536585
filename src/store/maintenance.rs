//! The store methods for maintenance jobs.

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

/// The part of a store that maintenance jobs use: purges, notices of expiry and walks over
/// projects. No request calls it.
///
/// The laws that [`TokenStore`](crate::TokenStore) states for all its methods apply here too.
pub trait StoreMaintenance: Send + Sync {
    /// Returns the projects that have tokens, in ascending order, or only those in which a given
    /// owner has tokens.
    ///
    /// A store may include other projects, but must not omit any. The caller repeats the query with
    /// [`after`](ProjectsQuery::after) until the result is empty.
    fn projects(&self, query: &ProjectsQuery) -> impl Future<Output = Result<Vec<ProjectId>, StoreError>> + Send;

    /// Deletes one batch of a project's records: those that [ended](TokenRecord::ends_at) strictly
    /// before `ended_before`.
    ///
    /// One call deletes at most `most` records, and at least one if any is left. The caller repeats
    /// the call until [`BatchResult::done`] is true.
    fn purge(
        &self,
        project: &ProjectId,
        ended_before: Timestamp,
        most: PageSize,
    ) -> impl Future<Output = Result<BatchResult, StoreError>> + Send;

    /// Returns the ids of ended issuers in one project that still have tokens to revoke.
    ///
    /// An issuer has ended if its status at `now` is not [live](crate::Status::is_live), or if its
    /// record does not exist. It has tokens to revoke if any token that is bound to it [can still
    /// work](TokenRecord::can_still_work) at `now`, apart from its issuer.
    ///
    /// One call returns at most `most` ids, and at least one if there is any.
    fn ended_issuers(
        &self,
        project: &ProjectId,
        now: Timestamp,
        most: PageSize,
    ) -> impl Future<Output = Result<Vec<TokenId>, StoreError>> + Send;

    /// Claims due notices of expiry in one project for one sender, and returns their records.
    ///
    /// A notice is due if [`due_notice`](TokenRecord::due_notice) returns one of `leads` at `now`.
    /// It can be claimed if no sender holds a lease on it: its lease was never taken, or ended at
    /// or before `now`. The store sets the lease to `lease_until` and counts it, as
    /// [`TokenRecord::claim_notice`] does.
    ///
    /// One call claims at most `most` notices. Tokens that expire sooner come first.
    fn claim_notices(
        &self,
        project: &ProjectId,
        leads: &[NoticeLead],
        now: Timestamp,
        lease_until: Timestamp,
        most: PageSize,
    ) -> impl Future<Output = Result<Vec<Arc<TokenRecord>>, StoreError>> + Send;

    /// Marks a notice as sent and ends its lease, as [`TokenRecord::acknowledge_notice`] does.
    /// Returns the record, or `None` if there is no such record.
    ///
    /// The recorded lead only becomes shorter. Delivery is at least once: if a sender stops between
    /// claim and acknowledgement, the notice is sent again after its lease. Its key and lead
    /// identify it.
    fn acknowledge_notice(
        &self,
        key: &TokenKey,
        lead: NoticeLead,
    ) -> impl Future<Output = Result<Option<Arc<TokenRecord>>, StoreError>> + Send;
}

/// A query for the projects of a store.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ProjectsQuery {
    /// If set, only projects in which this owner has tokens.
    pub owner: Option<OwnerId>,
    /// If set, only projects after this one, in ascending order.
    pub after: Option<ProjectId>,
    /// The most projects that one call returns.
    pub most: PageSize,
}
