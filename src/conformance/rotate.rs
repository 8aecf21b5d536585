//! The test cases for `TokenStore::rotate`.

use super::retry::{again, rotated};
use super::sample::{
    absent, at, disabled, ensure_absent, full, id, kept, name, project, put, put_all, record, request, revocation,
    some, stored, successor,
};
use super::verdict::{Broken, Verdict, ensure, ensure_eq, refused, same, same_but_version};
use crate::rules::precondition::IssuerCondition;
use crate::rules::record::TokenRecord;
use crate::store::contract::TokenStore;
use crate::words::store_error::StoreErrorKind::{Conflict, IssuerChanged};

pub(super) async fn rotate_links_both<S: TokenStore>(store: &S) -> Verdict {
    // Every column is set, except `revoked` and the two that the rotation sets.
    let old = TokenRecord { rotated_to: None, grace_until: None, last_used_at: Some(at(-4)), ..full(project()?)? };
    let before = kept(store, &old).await?;
    let new = TokenRecord { confirm_by: Some(at(50)), request_id: request("r")?, ..successor(&old)? };
    let mut expected = TokenRecord::clone(&before);
    expected.rotate_to(new.id, at(20));
    let answer = some(store.rotate(&before.key(), before.version, new.clone(), at(20), None).await?, "rotate")?;
    same_but_version(&answer, &expected, "the old token that rotate returned")?;
    same_but_version(&*stored(store, &old.key()).await?, &expected, "the old token")?;
    ensure!(store.find(&new.key()).await?.is_some(), "the successor does not exist");
    Ok(())
}

pub(super) async fn rotate_keeps_every_column_of_the_successor<S: TokenStore>(store: &S) -> Verdict {
    let old = record(project()?)?;
    let before = kept(store, &old).await?;
    let new = TokenRecord { family: old.family, rotated_from: Some(old.id), ..full(old.project)? };
    some(store.rotate(&before.key(), before.version, new.clone(), at(20), None).await?, "rotate")?;
    same(&*stored(store, &new.key()).await?, &new, "the successor")
}

pub(super) async fn rotate_raises_the_version<S: TokenStore>(store: &S) -> Verdict {
    let before = kept(store, &record(project()?)?).await?;
    let new = successor(&before)?;
    let answer = some(store.rotate(&before.key(), before.version, new, at(20), None).await?, "rotate")?;
    ensure_eq!(answer.version, before.version + 1, "the version that rotate returned");
    ensure_eq!(stored(store, &before.key()).await?.version, before.version + 1, "the version after rotate");
    Ok(())
}

pub(super) async fn rotate_needs_the_expected_version<S: TokenStore>(store: &S) -> Verdict {
    let sample = TokenRecord { version: 41, ..record(project()?)? };
    let before = kept(store, &sample).await?;
    for version in [before.version - 1, before.version + 1, 0, TokenRecord::MAX_VERSION] {
        let result = store.rotate(&before.key(), version, successor(&before)?, at(20), None).await;
        refused(result, Conflict, &format!("rotate of version {}, expecting {version}", before.version))?;
    }
    Ok(())
}

pub(super) async fn rotate_refuses_a_revoked_token<S: TokenStore>(store: &S) -> Verdict {
    let sample = TokenRecord { revoked: Some(revocation("ada", -1)?), ..record(project()?)? };
    let before = kept(store, &sample).await?;
    let result = store.rotate(&before.key(), before.version, successor(&before)?, at(20), None).await;
    refused(result, Conflict, "rotate of a revoked token")
}

pub(super) async fn rotate_takes_tokens_that_do_not_work<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let samples = [
        TokenRecord { expires_at: Some(at(-1)), ..record(project)? },
        TokenRecord { disabled: Some(disabled("root", -1)?), ..record(project)? },
        TokenRecord { confirm_by: Some(at(-1)), ..record(project)? },
        TokenRecord { not_before: Some(at(1000)), ..record(project)? },
        TokenRecord { grace_until: Some(at(-1)), ..record(project)? },
    ];
    for sample in samples {
        put(store, &sample).await?;
        let result = store.rotate(&sample.key(), sample.version, successor(&sample)?, at(20), None).await;
        ensure!(matches!(result, Ok(Some(_))), "rotate of a token that is {}: failed", sample.status(at(10)));
    }
    Ok(())
}

pub(super) async fn rotate_refuses_a_successor_that_is_there<S: TokenStore>(store: &S) -> Verdict {
    let before = kept(store, &record(project()?)?).await?;
    let there = TokenRecord { name: name("there before")?, ..record(before.project)? };
    put(store, &there).await?;
    let new = TokenRecord { id: there.id, ..successor(&before)? };
    let result = store.rotate(&before.key(), before.version, new, at(20), None).await;
    refused(result, Conflict, "rotate to a key that exists")?;
    same(&*stored(store, &there.key()).await?, &there, "the existing token")
}

pub(super) async fn rotate_stays_in_its_project<S: TokenStore>(store: &S) -> Verdict {
    let before = kept(store, &record(project()?)?).await?;
    let elsewhere = TokenRecord { project: project()?, ..successor(&before)? };
    let result = store.rotate(&before.key(), before.version, elsewhere.clone(), at(20), None).await;
    refused(result, Conflict, "rotate to another project")?;
    ensure_absent(store, &elsewhere.key(), "the successor in another project").await
}

pub(super) async fn rotate_answers_none_for_the_absent<S: TokenStore>(store: &S) -> Verdict {
    let never = record(project()?)?;
    let new = successor(&never)?;
    let Ok(answer) = store.rotate(&absent(never.project)?, 1, new.clone(), at(20), None).await else {
        return Err(Broken::new("rotate of an absent record: an error, not None"));
    };
    ensure!(answer.is_none(), "rotate of an absent record: a record, not None");
    ensure_absent(store, &new.key(), "the successor of an absent record").await
}

pub(super) async fn a_refused_rotation_changes_nothing<S: TokenStore>(store: &S) -> Verdict {
    let fresh = kept(store, &record(project()?)?).await?;
    unchanged(store, &[&fresh], fresh.version + 1, &successor(&fresh)?, "version").await?;

    let revoked = TokenRecord { revoked: Some(revocation("ada", -1)?), ..record(fresh.project)? };
    let revoked = kept(store, &revoked).await?;
    unchanged(store, &[&revoked], revoked.version, &successor(&revoked)?, "revocation").await?;

    let fresh = kept(store, &record(fresh.project)?).await?;
    let there = kept(store, &TokenRecord { name: name("there before")?, ..record(fresh.project)? }).await?;
    let new = TokenRecord { id: there.id, ..successor(&fresh)? };
    unchanged(store, &[&fresh, &there], fresh.version, &new, "successor's key").await?;

    // If the store accepted this repeat, it would also revoke the successor `first`, which must
    // stay unchanged.
    let [old, first] = rotated(store, Some("one")).await?;
    let there = kept(store, &record(old.project)?).await?;
    let new = TokenRecord { id: there.id, ..again(&old, Some("one"))? };
    unchanged(store, &[&old, &first, &there], old.version, &new, "successor's key, in a retry").await?;

    let [old, first] = rotated(store, Some("one")).await?;
    unchanged(store, &[&old, &first], old.version, &again(&old, Some("two"))?, "first successor").await
}

/// Rotates the token of the first row to the successor `new`. If the store refuses the rotation,
/// checks that the records of all `rows` are unchanged and that `new` was not inserted. If the
/// store rotates the token, checks nothing.
async fn unchanged<S: TokenStore>(
    store: &S,
    rows: &[&TokenRecord],
    version: u64,
    new: &TokenRecord,
    cause: &str,
) -> Verdict {
    if store.rotate(&rows[0].key(), version, new.clone(), at(40), None).await.is_ok() {
        // Other cases test whether the store must refuse this rotation.
        return Ok(());
    }
    for row in rows {
        let what = format!("the record {:?} after a rotation refused for its {cause}", row.name);
        same(&*stored(store, &row.key()).await?, row, &what)?;
    }
    if rows.iter().any(|row| row.id == new.id) {
        return Ok(());
    }
    ensure_absent(store, &new.key(), &format!("the successor of a rotation refused for its {cause}")).await
}

pub(super) async fn rotate_waits_for_the_grace_of_its_predecessor<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    // The successor is created at `at(10)`: before the grace period ends, at its end, and after it.
    let graces = [(11, true), (10, false), (9, false)];
    for (grace, waits) in graces {
        let first = TokenRecord { grace_until: Some(at(grace)), rotated_to: Some(id('1')?), ..record(project)? };
        let what = format!("rotate at {} of a token whose predecessor works until {}", at(10), at(grace));
        tries(store, first, waits, &what).await?;
    }
    let in_grace = || Ok::<_, Broken>(TokenRecord { grace_until: Some(at(99)), ..record(project)? });
    let disabled = TokenRecord { disabled: Some(disabled("root", -3)?), ..in_grace()? };
    tries(store, disabled, true, "rotate of a token whose predecessor is in grace and disabled").await?;
    let revoked = TokenRecord { revoked: Some(revocation("ada", -1)?), ..in_grace()? };
    tries(store, revoked, false, "rotate of a token whose predecessor is revoked").await?;
    let expired = TokenRecord { expires_at: Some(at(10)), ..in_grace()? };
    tries(store, expired, false, "rotate of a token whose predecessor has expired").await?;
    tries(store, record(project)?, false, "rotate of a token whose predecessor has no grace").await
}

/// Inserts the token `first` and a successor of it, and then rotates this successor. Checks that
/// the store refuses the rotation exactly if `waits` is true.
async fn tries<S: TokenStore>(store: &S, first: TokenRecord, waits: bool, what: &str) -> Verdict {
    let mut second = successor(&first)?;
    second.created_at = at(0);
    put(store, &TokenRecord { rotated_to: Some(second.id), ..first }).await?;
    let second = kept(store, &second).await?;
    let result = store.rotate(&second.key(), second.version, successor(&second)?, at(20), None).await;
    if waits {
        return refused(result, Conflict, what);
    }
    ensure!(matches!(result, Ok(Some(_))), "{what}: failed");
    Ok(())
}

pub(super) async fn rotate_needs_its_issuer<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let (good, old) = (record(project)?, record(project)?);
    let revoked = TokenRecord { revoked: Some(revocation("ada", -1)?), ..record(project)? };
    put_all(store, &[good.clone(), revoked.clone()]).await?;
    let before = kept(store, &old).await?;
    let condition = |record: &TokenRecord| IssuerCondition { id: record.id, version: record.version };
    let refusing = [
        (IssuerCondition { id: id('1')?, version: 1 }, "does not exist"),
        (condition(&revoked), "is revoked"),
        (IssuerCondition { version: good.version + 1, ..condition(&good) }, "is of another version"),
    ];
    for (issuer, what) in refusing {
        let new = successor(&before)?;
        let result = store.rotate(&before.key(), before.version, new.clone(), at(20), Some(issuer)).await;
        refused(result, IssuerChanged, &format!("rotate whose issuer {what}"))?;
        same(&*stored(store, &before.key()).await?, &before, &format!("a token after a rotation whose issuer {what}"))?;
        ensure_absent(store, &new.key(), &format!("the successor of a rotation whose issuer {what}")).await?;
    }
    // The first rotation has a condition on another token, and the second one on the rotated token
    // itself.
    let rotated =
        store.rotate(&before.key(), before.version, successor(&before)?, at(20), Some(condition(&good))).await;
    ensure!(matches!(rotated, Ok(Some(_))), "rotate on the condition of another token: failed");
    let rotated = store.rotate(&good.key(), good.version, successor(&good)?, at(20), Some(condition(&good))).await;
    ensure!(matches!(rotated, Ok(Some(_))), "rotate on the condition of the token itself: failed");
    Ok(())
}
