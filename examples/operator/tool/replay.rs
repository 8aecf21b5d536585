//! Repeats the changes of a record through the contract of a store, which cannot write a row as it
//! is.
//!
//! Each change of a record raises its version by one. So if the record differs by n versions, at
//! most n kinds of changes are enough, and renames to the same name fill up the rest. What remains
//! different: leases of notices, and a rotation that the store refuses because the state at the
//! time of the rotation is gone.

use keyfob::record::Change;
use keyfob::store::{DynStore, LastUse, StoreErrorKind, StoreMaintenance};
use keyfob::{TokenRecord, TokenStore};

use super::Failure;

/// Returns the changes that turn the fields of `old` into those of `new`, except revocation,
/// rotation, last use and notices.
fn changes(old: &TokenRecord, new: &TokenRecord) -> Vec<Change> {
    let mut changes = Vec::new();
    if (&old.scopes, &old.addresses, old.expires_at) != (&new.scopes, &new.addresses, new.expires_at) {
        let (scopes, addresses) = (new.scopes.clone(), new.addresses.clone());
        changes.push(Change::Narrow { scopes, addresses, expires_at: new.expires_at });
    }
    if old.name != new.name {
        changes.push(Change::Rename(new.name.clone()));
    }
    if old.disabled != new.disabled {
        changes.push(new.disabled.clone().map_or(Change::Enable, Change::Disable));
    }
    if old.confirm_by.is_some() && new.confirm_by.is_none() {
        changes.push(Change::Confirm);
    }
    if let (Some(before), Some(after)) = (old.grace_until, new.grace_until)
        && before != after
    {
        changes.push(Change::EndGrace(after));
    }
    changes
}

/// Makes the record `old` of the store equal to `new`, as far as the contract allows. Returns
/// whether the record is equal now. `successor` is the record of the token that replaced the token
/// by rotation, if `old` was not rotated yet.
///
/// # Errors
/// Returns an error if the store fails, or if the record in the store is not `old` any more.
pub async fn apply(
    store: &DynStore,
    old: TokenRecord,
    new: &TokenRecord,
    successor: Option<TokenRecord>,
) -> Result<bool, Failure> {
    let key = old.key();
    let mut record = old;
    // A store does not rotate a revoked token, so the rotation comes before the revocation.
    if let (Some(successor), Some(grace_until)) = (successor, new.grace_until) {
        match store.rotate(&key, record.version, successor, grace_until, None).await {
            Ok(rotated) => record = rotated.map_or(record, |rotated| TokenRecord::clone(&rotated)),
            Err(error) if error.kind() == StoreErrorKind::Conflict => {}
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(revocation) = &new.revoked
        && let Some(revoked) = store.revoke(&key, revocation).await?
    {
        record = TokenRecord::clone(&revoked);
    }
    let fill = std::iter::repeat_with(|| Change::Rename(new.name.clone()));
    let needed = changes(&record, new);
    let missing = usize::try_from(new.version.saturating_sub(record.version))?.max(needed.len());
    for change in needed.into_iter().chain(fill).take(missing) {
        if let Some(changed) = store.update(&key, record.version, change).await? {
            record = TokenRecord::clone(&changed);
        }
    }
    if let Some(used_at) = new.last_used_at.filter(|_| record.last_used_at != new.last_used_at) {
        store.touch_many(&[LastUse { key, used_at, from: new.last_used_from.clone() }]).await?;
    }
    if let Some(lead) = new.notice_lead.filter(|_| record.notice_lead != new.notice_lead) {
        store.acknowledge_notice(&key, lead).await?;
    }
    Ok(store.find(&key).await?.is_some_and(|stored| *stored == *new))
}
