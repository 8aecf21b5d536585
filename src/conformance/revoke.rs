//! The test cases for `TokenStore::revoke`.

use std::sync::Arc;

use super::sample::{
    absent, at, ensure_absent, every_status, full, kept, project, put_all, record, revocation, some, stored,
};
use super::verdict::{Broken, Verdict, ensure, ensure_eq, same_but_version};
use crate::rules::record::{Revocation, RevocationReason, TokenRecord};
use crate::store::contract::TokenStore;

pub(super) async fn revoke_writes_time_actor_and_reason<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    for reason in RevocationReason::ALL.iter().copied() {
        let before = kept(store, &full(project)?).await?;
        let revocation = Revocation { reason, ..revocation("root \u{1f600}", -12_345)? };
        let expected = TokenRecord { revoked: Some(revocation.clone()), ..TokenRecord::clone(&before) };
        let answer = some(store.revoke(&before.key(), &revocation).await?, "revoke")?;
        same_but_version(&answer, &expected, "the record that revoke returned")?;
        same_but_version(&*stored(store, &before.key()).await?, &expected, "the record stored after revoke")?;
    }
    Ok(())
}

pub(super) async fn revoke_raises_the_version<S: TokenStore>(store: &S) -> Verdict {
    let before = kept(store, &record(project()?)?).await?;
    let answer = some(store.revoke(&before.key(), &revocation("ada", 0)?).await?, "revoke")?;
    ensure_eq!(answer.version, before.version + 1, "the version that revoke returned");
    ensure_eq!(stored(store, &before.key()).await?.version, before.version + 1, "the version after revoke");
    Ok(())
}

/// Revokes a token twice. Returns the results of both calls and the stored record.
///
/// The second revocation has the earlier time. A store must keep the revocation that it received
/// first, not the revocation with the earliest time.
async fn twice<S: TokenStore>(store: &S) -> Result<[Arc<TokenRecord>; 3], Broken> {
    let before = kept(store, &record(project()?)?).await?;
    let first = some(store.revoke(&before.key(), &revocation("ada", 0)?).await?, "revoke")?;
    let other = Revocation { reason: RevocationReason::Superseded, ..revocation("bob", -5)? };
    let second = some(store.revoke(&before.key(), &other).await?, "revoke")?;
    Ok([first, second, stored(store, &before.key()).await?])
}

pub(super) async fn the_first_revocation_stays<S: TokenStore>(store: &S) -> Verdict {
    let [first, second, found] = twice(store).await?;
    ensure_eq!(second.revoked, first.revoked, "the revocation that the second call returned");
    ensure_eq!(found.revoked, first.revoked, "the revocation stored after a second call");
    Ok(())
}

pub(super) async fn a_second_revoke_leaves_the_version<S: TokenStore>(store: &S) -> Verdict {
    let [first, second, found] = twice(store).await?;
    ensure_eq!(second.version, first.version, "the version that the second call returned");
    ensure_eq!(found.version, first.version, "the version stored after a second call");
    Ok(())
}

pub(super) async fn revoke_answers_none_for_the_absent<S: TokenStore>(store: &S) -> Verdict {
    let key = absent(project()?)?;
    let Ok(answer) = store.revoke(&key, &revocation("ada", 0)?).await else {
        return Err(Broken::new("revoke of an absent record: an error, not None"));
    };
    ensure!(answer.is_none(), "revoke of an absent record: a record, not None");
    ensure_absent(store, &key, "after a revoke of an absent record").await
}

pub(super) async fn revoke_takes_dead_tokens<S: TokenStore>(store: &S) -> Verdict {
    let samples = every_status(project()?)?;
    put_all(store, &samples).await?;
    for sample in samples.iter().filter(|sample| sample.revoked.is_none()) {
        let status = sample.status(at(1));
        let answer = some(store.revoke(&sample.key(), &revocation("ada", 1)?).await?, "revoke")?;
        ensure!(answer.revoked.is_some(), "revoke of a token that is {status} at {}: not revoked", at(1));
    }
    Ok(())
}
