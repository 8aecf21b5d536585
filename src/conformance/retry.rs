//! The test cases for rotations that a caller repeats because the result of the first call was
//! lost.

use super::sample::{at, disabled, kept, name, project, record, request, revocation, some, stored, successor};
use super::verdict::{Broken, Verdict, ensure, refused, same, same_but_version};
use crate::rules::change::Change;
use crate::rules::record::{Revocation, RevocationReason, TokenRecord};
use crate::store::contract::TokenStore;
use crate::words::store_error::StoreErrorKind::Conflict;

/// Inserts a token and rotates it to a successor that is not confirmed yet. Returns the old token
/// and the successor as the store holds them.
pub(super) async fn rotated<S: TokenStore>(store: &S, request_id: Option<&str>) -> Result<[TokenRecord; 2], Broken> {
    rotated_from(store, record(project()?)?, request_id).await
}

/// Inserts the token `old` and rotates it to a successor that is not confirmed yet. Returns the old
/// token and the successor as the store holds them.
async fn rotated_from<S: TokenStore>(
    store: &S,
    old: TokenRecord,
    request_id: Option<&str>,
) -> Result<[TokenRecord; 2], Broken> {
    let before = kept(store, &old).await?;
    let request_id = request_id.map_or(Ok(None), request)?;
    let new = TokenRecord { confirm_by: Some(at(1000)), request_id, ..successor(&before)? };
    some(store.rotate(&before.key(), before.version, new.clone(), at(20), None).await?, "rotate")?;
    let old = stored(store, &before.key()).await?;
    let new = stored(store, &new.key()).await?;
    Ok([TokenRecord::clone(&old), TokenRecord::clone(&new)])
}

/// Returns a new successor of `old`, for a call that repeats the rotation with this request id.
pub(super) fn again(old: &TokenRecord, request_id: Option<&str>) -> Result<TokenRecord, Broken> {
    let request_id = request_id.map_or(Ok(None), request)?;
    Ok(TokenRecord { created_at: at(15), confirm_by: Some(at(1005)), request_id, ..successor(old)? })
}

pub(super) async fn rotate_refuses_a_second_successor<S: TokenStore>(store: &S) -> Verdict {
    let [old, _] = rotated(store, Some("one")).await?;
    let result = store.rotate(&old.key(), old.version, again(&old, Some("two"))?, at(30), None).await;
    refused(result, Conflict, "rotate again, by another request")?;
    let result = store.rotate(&old.key(), old.version, again(&old, None)?, at(30), None).await;
    refused(result, Conflict, "rotate again, without a request id")
}

pub(super) async fn two_rotations_without_a_request_are_no_retry<S: TokenStore>(store: &S) -> Verdict {
    let [old, _] = rotated(store, None).await?;
    let result = store.rotate(&old.key(), old.version, again(&old, None)?, at(30), None).await;
    refused(result, Conflict, "rotate again, both times without a request id")
}

pub(super) async fn a_retry_takes_the_place_of_the_first<S: TokenStore>(store: &S) -> Verdict {
    let [old, _] = rotated(store, Some("one")).await?;
    let second = again(&old, Some("one"))?;
    let mut expected = old.clone();
    expected.rotate_to(second.id, at(30));
    let answer = store.rotate(&old.key(), old.version, second.clone(), at(30), None).await;
    ensure!(matches!(answer, Ok(Some(_))), "a retry while the successor waits: failed");
    same_but_version(&*some(answer?, "rotate")?, &expected, "the old token that a retry returned")?;
    same_but_version(&*stored(store, &old.key()).await?, &expected, "the old token after a retry")?;
    ensure!(store.find(&second.key()).await?.is_some(), "the successor of a retry does not exist");
    Ok(())
}

pub(super) async fn a_retry_revokes_the_first_successor<S: TokenStore>(store: &S) -> Verdict {
    let [old, first] = rotated(store, Some("one")).await?;
    let second = again(&old, Some("one"))?;
    let mut expected = first.clone();
    let by = second.created_by.clone();
    expected.revoke(&Revocation { at: second.created_at, by, reason: RevocationReason::Superseded });
    if store.rotate(&old.key(), old.version, second, at(30), None).await.is_ok() {
        same(&*stored(store, &first.key()).await?, &expected, "the first successor after a retry")?;
    }
    Ok(())
}

pub(super) async fn a_confirmed_successor_ends_retries<S: TokenStore>(store: &S) -> Verdict {
    let [old, first] = rotated(store, Some("one")).await?;
    some(store.update(&first.key(), first.version, Change::Confirm).await?, "update")?;
    let result = store.rotate(&old.key(), old.version, again(&old, Some("one"))?, at(30), None).await;
    refused(result, Conflict, "a retry after the successor was confirmed")
}

pub(super) async fn a_revoked_successor_ends_retries<S: TokenStore>(store: &S) -> Verdict {
    let [old, first] = rotated(store, Some("one")).await?;
    some(store.revoke(&first.key(), &revocation("ada", 12)?).await?, "revoke")?;
    let result = store.rotate(&old.key(), old.version, again(&old, Some("one"))?, at(30), None).await;
    refused(result, Conflict, "a retry after the successor was revoked")
}

pub(super) async fn a_changed_successor_ends_retries<S: TokenStore>(store: &S) -> Verdict {
    for change in [Change::Disable(disabled("root", 12)?), Change::Rename(name("seen")?)] {
        let [old, first] = rotated(store, Some("one")).await?;
        let what = format!("a retry after the successor was changed by {change:?}");
        some(store.update(&first.key(), first.version, change).await?, "update")?;
        let result = store.rotate(&old.key(), old.version, again(&old, Some("one"))?, at(30), None).await;
        refused(result, Conflict, &what)?;
    }
    Ok(())
}

pub(super) async fn a_successor_that_ended_long_ago_ends_retries<S: TokenStore>(store: &S) -> Verdict {
    let margin = TokenRecord::REPEAT_MARGIN.as_millis() as i64;
    for (millis, too_late) in [(1000 + margin, false), (1001 + margin, true)] {
        let before = TokenRecord { expires_at: Some(at(millis + 2)), ..record(project()?)? };
        let before = kept(store, &before).await?;
        let first = TokenRecord { confirm_by: Some(at(1000)), request_id: request("one")?, ..successor(&before)? };
        let (version, grace_until) = (before.version, at(millis + 1));
        let old = some(store.rotate(&before.key(), version, first, grace_until, None).await?, "rotate")?;
        let late = TokenRecord { created_at: at(millis), ..again(&old, Some("one"))? };
        let result = store.rotate(&old.key(), old.version, late, grace_until, None).await;
        let what = format!("a retry at {} of a rotation whose successor ended at {}", at(millis), at(1000));
        if too_late {
            refused(result, Conflict, &what)?;
        } else {
            ensure!(matches!(result, Ok(Some(_))), "{what}: failed");
        }
    }
    Ok(())
}

pub(super) async fn a_retry_is_done_after_the_grace<S: TokenStore>(store: &S) -> Verdict {
    // The repeat comes so late that the grace period of the old token has ended and the first
    // successor was not confirmed in time.
    let [old, _] = rotated(store, Some("one")).await?;
    let late = TokenRecord { created_at: at(2000), ..again(&old, Some("one"))? };
    let answer = store.rotate(&old.key(), old.version, late, at(20), None).await;
    ensure!(matches!(answer, Ok(Some(_))), "a retry after the grace period of the old token: failed");
    Ok(())
}

pub(super) async fn an_expired_token_ends_retries<S: TokenStore>(store: &S) -> Verdict {
    for (millis, ended) in [(14, true), (15, true), (16, false)] {
        let expiring = TokenRecord { expires_at: Some(at(millis)), ..record(project()?)? };
        let [old, _] = rotated_from(store, expiring, Some("one")).await?;
        let result = store.rotate(&old.key(), old.version, again(&old, Some("one"))?, at(20), None).await;
        let what = format!("a retry at {} of a token that expires at {}", at(15), at(millis));
        if ended {
            refused(result, Conflict, &what)?;
        } else {
            ensure!(matches!(result, Ok(Some(_))), "{what}: failed");
        }
    }
    Ok(())
}

pub(super) async fn a_disabled_token_ends_retries<S: TokenStore>(store: &S) -> Verdict {
    let [old, _] = rotated(store, Some("one")).await?;
    let old = some(store.update(&old.key(), old.version, Change::Disable(disabled("root", 12)?)).await?, "update")?;
    let result = store.rotate(&old.key(), old.version, again(&old, Some("one"))?, at(30), None).await;
    refused(result, Conflict, "a retry after the old token was disabled")
}
