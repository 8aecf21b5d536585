//! The revocation of groups of tokens.

use super::session::{Conditions, Session};
use super::write::none_left;
use crate::rules::record::Revocation;
use crate::store::group::BatchResult;
use crate::store::query::PageSize;
use crate::words::ids::ProjectId;
use crate::words::store_error::StoreError;

/// Revokes up to `most` tokens that meet the conditions. No other call of the project may rotate or
/// revoke a group until the transaction ends.
pub(in crate::adapters) async fn revoke_some<S: Session>(
    session: &mut S,
    project: &ProjectId,
    revocation: &Revocation,
    most: PageSize,
    left: Conditions<'_>,
) -> Result<BatchResult, StoreError> {
    loop {
        let count = session.revoke_rows(project, revocation, most, left).await?;
        let done = session.is_true(none_left(left)).await?;
        // Another call can change the rows that a statement has chosen before the statement writes
        // them. The next statement then chooses again.
        if count > 0 || done {
            return Ok(BatchResult { count, done });
        }
    }
}
