//! What a service runs on a store from time to time.

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

/// What a service runs on a store from time to time, not in requests. Its laws are those of [`TokenStore`](crate::TokenStore).
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
    ) -> impl Future<Output = Result<BatchResult, StoreError>> + Send;

    /// Names tokens of one project that have ended by `now`, or are not there, and to which tokens are bound that are not revoked and
    /// [can still work](TokenRecord::can_still_work) by themselves: at most `most`, and at least one if there is any. A token
    /// has ended if it is not [live](crate::Status::is_live).
    fn ended_issuers(
        &self,
        project: &ProjectId,
        now: Timestamp,
        most: PageSize,
    ) -> impl Future<Output = Result<Vec<TokenId>, StoreError>> + Send;

    /// Claims those of these notices that are due, for one sender: of the records of the project for which
    /// [`due_notice`](TokenRecord::due_notice) is one at `now` and whose lease is over (`<= now`) or was never taken. Sets
    /// their lease to `lease_until` and counts it, as [`TokenRecord::claim_notice`] does, and returns them, at most `most`,
    /// those that expire first first.
    fn claim_notices(
        &self,
        project: &ProjectId,
        leads: &[NoticeLead],
        now: Timestamp,
        lease_until: Timestamp,
        most: PageSize,
    ) -> impl Future<Output = Result<Vec<Arc<TokenRecord>>, StoreError>> + Send;

    /// Marks a notice as sent: sets its lead, if it is shorter than the one there, and clears the lease. `None` where there
    /// is no such row. A sender that stopped between claim and acknowledgement sends it again: at least once, each known
    /// by key and lead.
    fn acknowledge_notice(
        &self,
        key: &TokenKey,
        lead: NoticeLead,
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
