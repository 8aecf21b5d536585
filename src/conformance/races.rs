//! The test cases for concurrent calls. The result must be as if one call had completed before the
//! other began.

use super::group::revoke_group;
use super::sample::{
    at, beside, ensure_absent, in_the_middle, kept, name, project, put, put_all, record, revocation, some, stored,
    successor,
};
use super::together::{ROUNDS, all, both};
use super::verdict::{Broken, Verdict, ensure, ensure_eq, refused};
use crate::rules::change::Change;
use crate::rules::notice_lead::NoticeLead;
use crate::rules::precondition::{IssuerCondition, LiveLimit};
use crate::rules::record::TokenRecord;
use crate::store::contract::TokenStore;
use crate::store::group::RevokeGroup;
use crate::store::last_use::LastUse;
use crate::store::maintenance::StoreMaintenance;
use crate::store::query::{CountQuery, PageSize};
use crate::words::store_error::StoreError;
use crate::words::store_error::StoreErrorKind::{self, Conflict, IssuerChanged, Limit};

/// Checks that exactly `count` calls succeeded and that all other calls failed with the error
/// `kind`. Returns the results of the successful calls.
fn done<T>(
    answers: Vec<Result<T, StoreError>>,
    count: usize,
    kind: StoreErrorKind,
    what: &str,
) -> Result<Vec<T>, Broken> {
    let calls = answers.len();
    let mut done = Vec::new();
    for answer in answers {
        match answer {
            Ok(answer) => done.push(answer),
            refusal => refused(refusal, kind, what)?,
        }
    }
    ensure!(done.len() == count, "{calls} concurrent {what}: {} succeeded, not {count}", done.len());
    Ok(done)
}

pub(super) async fn one_insert_of_a_key_wins<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    for _ in 0..ROUNDS {
        let first = record(project)?;
        let mut samples = Vec::new();
        for text in ["a", "b", "c"] {
            samples.push(TokenRecord { id: first.id, name: name(text)?, ..record(project)? });
        }
        let answers = all(samples.into_iter().map(|sample| store.insert(sample, None, None))).await;
        let winner = done(answers, 1, Conflict, "inserts of one key")?;
        let found = stored(store, &first.key()).await?;
        ensure!(
            winner.iter().all(|winner| winner.name == found.name),
            "the stored record is not the one of the insert that succeeded"
        );
    }
    Ok(())
}

pub(super) async fn inserts_at_once_keep_the_limit<S: TokenStore>(store: &S) -> Verdict {
    for _ in 0..ROUNDS {
        let first = record(project()?)?;
        put(store, &first).await?;
        let mut samples = Vec::new();
        for _ in 0..4 {
            samples.push(record(first.project)?);
        }
        let limit = Some(LiveLimit { most: 3, now: at(0) });
        let answers = all(samples.into_iter().map(|sample| store.insert(sample, limit, None))).await;
        done(answers, 2, Limit, "inserts with two places left")?;
        let rows = store.count(&CountQuery::new(first.project)).await?;
        ensure_eq!(rows, 3, "tokens of an owner who may have 3");
    }
    Ok(())
}

pub(super) async fn one_update_of_a_version_wins<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    for _ in 0..ROUNDS {
        let before = kept(store, &record(project)?).await?;
        let key = before.key();
        let mut changes = Vec::new();
        for text in ["a", "b", "c"] {
            changes.push(Change::Rename(name(text)?));
        }
        let answers = all(changes.into_iter().map(|change| store.update(&key, before.version, change))).await;
        let winner = done(answers, 1, Conflict, "updates of one version")?;
        let found = stored(store, &key).await?;
        for winner in winner {
            ensure_eq!(
                Some(&found.name),
                winner.as_ref().map(|winner| &winner.name),
                "the name after concurrent updates"
            );
        }
    }
    Ok(())
}

pub(super) async fn one_revoke_at_once_wins<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    for _ in 0..ROUNDS {
        let before = kept(store, &record(project)?).await?;
        let key = before.key();
        let revocations = [revocation("ada", 1)?, revocation("bob", 2)?, revocation("eve", 3)?];
        let answers = all(revocations.iter().map(|revocation| store.revoke(&key, revocation))).await;
        let found = stored(store, &key).await?;
        for answer in answers {
            let answer = some(answer?, "revoke")?;
            ensure_eq!(answer.revoked, found.revoked, "the revocation that one of several concurrent calls returned");
        }
        ensure!(found.revoked.is_some(), "concurrent revocations left the token live");
    }
    Ok(())
}

pub(super) async fn one_rotation_at_once_wins<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    for _ in 0..ROUNDS {
        let before = kept(store, &record(project)?).await?;
        let key = before.key();
        let new = [successor(&before)?, successor(&before)?, successor(&before)?];
        let calls = new.iter().map(|new| store.rotate(&key, before.version, new.clone(), at(20), None));
        let answers = all(calls).await;
        done(answers, 1, Conflict, "rotations of one token")?;
        let found = stored(store, &key).await?;
        for new in &new {
            let there = store.find(&new.key()).await?.is_some();
            ensure_eq!(
                there,
                found.rotated_to == Some(new.id),
                "whether a successor exists, compared with the link to it"
            );
        }
    }
    Ok(())
}

pub(super) async fn revoke_and_rotate_come_one_by_one<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    for round in 0..ROUNDS {
        let before = kept(store, &in_the_middle(record(project)?)?).await?;
        let (key, new) = (before.key(), TokenRecord { id: beside(round)?, ..successor(&before)? });
        let revocation = revocation("root", 1)?;
        let revoke = store.revoke(&key, &revocation);
        let rotate = store.rotate(&key, before.version, new.clone(), at(20), None);
        let (revoked, rotated) = both(round, revoke, rotate).await;
        some(revoked?, "revoke")?;
        let found = stored(store, &key).await?;
        ensure_eq!(found.revoked, Some(revocation.clone()), "the revocation after a concurrent rotation");
        match rotated {
            Ok(answer) => {
                some(answer, "rotate")?;
                ensure_eq!(found.rotated_to, Some(new.id), "the link to the successor after a concurrent revocation");
                ensure!(
                    store.find(&new.key()).await?.is_some(),
                    "the successor does not exist after a concurrent revocation"
                );
            }
            refusal => {
                refused(refusal, Conflict, "a rotation after a revocation")?;
                ensure_eq!(found.rotated_to, None, "the link of a refused rotation");
                ensure_absent(store, &new.key(), "the successor of a rotation after a revocation").await?;
            }
        }
    }
    Ok(())
}

pub(super) async fn no_rotation_slips_past_a_group<S: TokenStore>(store: &S) -> Verdict {
    for round in 0..ROUNDS {
        let before = kept(store, &in_the_middle(record(project()?)?)?).await?;
        let new = TokenRecord { id: beside(round)?, ..successor(&before)? };
        let group = if round < ROUNDS / 2 {
            RevokeGroup::Owner(before.owner.clone())
        } else {
            RevokeGroup::Family(before.family)
        };
        let (key, revocation) = (before.key(), revocation("root", 1)?);
        let revoke = revoke_group(store, before.project, &group, &revocation);
        let rotate = store.rotate(&key, before.version, new.clone(), at(20), None);
        let (revoked, rotated) = both(round, revoke, rotate).await;
        revoked?;
        if rotated.is_err() {
            refused(rotated, Conflict, "a rotation after the revocation of its group")?;
        }
        ensure!(stored(store, &key).await?.revoked.is_some(), "{group:?} left the old token live");
        if let Some(new) = store.find(&new.key()).await? {
            ensure!(new.revoked.is_some(), "{group:?} left the successor of a concurrent rotation live");
        }
    }
    Ok(())
}

pub(super) async fn no_insert_slips_past_the_revocation_of_its_issuer<S: TokenStore>(store: &S) -> Verdict {
    for round in 0..ROUNDS {
        let issuer = kept(store, &record(project()?)?).await?;
        let new = record(issuer.project)?;
        let condition = IssuerCondition { id: issuer.id, version: issuer.version };
        let insert = store.insert(new.clone(), None, Some(condition));
        let (before, issued) = both(round, revoke_and_look(store, &issuer, &new), insert).await;
        no_token_after(store, &new, before?, issued).await?;
    }
    Ok(())
}

pub(super) async fn no_rotation_slips_past_the_revocation_of_its_issuer<S: TokenStore>(store: &S) -> Verdict {
    for round in 0..ROUNDS {
        let issuer = kept(store, &record(project()?)?).await?;
        let old = kept(store, &in_the_middle(record(issuer.project)?)?).await?;
        let new = TokenRecord { id: beside(round)?, ..successor(&old)? };
        let condition = IssuerCondition { id: issuer.id, version: issuer.version };
        let key = old.key();
        let rotate = store.rotate(&key, old.version, new.clone(), at(20), Some(condition));
        let (before, issued) = both(round, revoke_and_look(store, &issuer, &new), rotate).await;
        no_token_after(store, &new, before?, issued).await?;
    }
    Ok(())
}

/// Revokes an issuer while another call issues the token `new`. Returns whether `new` exists after
/// the revocation was acknowledged.
async fn revoke_and_look<S: TokenStore>(store: &S, issuer: &TokenRecord, new: &TokenRecord) -> Result<bool, Broken> {
    some(store.revoke(&issuer.key(), &revocation("root", 1)?).await?, "revoke")?;
    Ok(store.find(&new.key()).await?.is_some())
}

/// Checks that the token `new` was not created after the revocation of its issuer was acknowledged.
/// `before` says whether `new` existed when the revocation was acknowledged.
async fn no_token_after<S: TokenStore, T>(
    store: &S,
    new: &TokenRecord,
    before: bool,
    issued: Result<T, StoreError>,
) -> Verdict {
    if issued.is_err() {
        refused(issued, IssuerChanged, "a token issued during the revocation of its issuer")?;
    }
    let after = store.find(&new.key()).await?.is_some();
    ensure!(before || !after, "a token was created after the revocation of its issuer was acknowledged");
    Ok(())
}

pub(super) async fn touch_and_revoke_at_once_both_hold<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    for round in 0..ROUNDS {
        let key = kept(store, &record(project)?).await?.key();
        let (revocation, touches) = (revocation("root", 1)?, [LastUse { key, used_at: at(2), from: None }]);
        let (revoked, touched) = both(round, store.revoke(&key, &revocation), store.touch_many(&touches)).await;
        some(revoked?, "revoke")?;
        touched?;
        let found = stored(store, &key).await?;
        ensure_eq!(found.revoked, Some(revocation), "the revocation after a concurrent touch");
        ensure_eq!(found.last_used_at, Some(at(2)), "the last use after a concurrent revocation");
    }
    Ok(())
}

pub(super) async fn touch_and_rename_at_once_both_hold<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    for round in 0..ROUNDS {
        let before = kept(store, &record(project)?).await?;
        let (key, renamed) = (before.key(), name("renamed")?);
        let touches = [LastUse { key, used_at: at(2), from: None }];
        let rename = store.update(&key, before.version, Change::Rename(renamed.clone()));
        let (changed, touched) = both(round, rename, store.touch_many(&touches)).await;
        some(changed?, "update")?;
        touched?;
        let found = stored(store, &key).await?;
        ensure_eq!(found.name, renamed, "the name after a concurrent touch");
        ensure_eq!(found.last_used_at, Some(at(2)), "the last use after a concurrent renaming");
    }
    Ok(())
}

pub(super) async fn the_latest_touch_at_once_stays<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    for _ in 0..ROUNDS {
        let key = kept(store, &record(project)?).await?.key();
        let touches = [2, 3, 1].map(|millis| [LastUse { key, used_at: at(millis), from: None }]);
        for moved in all(touches.iter().map(|touches| store.touch_many(touches))).await {
            moved?;
        }
        ensure_eq!(stored(store, &key).await?.last_used_at, Some(at(3)), "the last use after concurrent touches");
    }
    Ok(())
}

pub(super) async fn one_claim_of_a_notice_wins<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    for _ in 0..ROUNDS {
        let project = project()?;
        let mut samples = Vec::new();
        for _ in 0..3 {
            samples.push(TokenRecord { expires_at: Some(at(3_600_000)), ..record(project)? });
        }
        put_all(store, &samples).await?;
        let claim = |_| store.claim_notices(&project, &NoticeLead::ALL, at(0), at(1000), PageSize::MAX);
        let mut claimed = Vec::new();
        for answer in all((0..3).map(claim)).await {
            claimed.extend(answer?);
        }
        for sample in &samples {
            let times = claimed.iter().filter(|claimed| claimed.id == sample.id).count();
            ensure_eq!(times, 1, "concurrent senders that claimed one notice");
        }
    }
    Ok(())
}
