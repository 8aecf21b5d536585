//! The test cases for `TokenStore::insert` and `TokenStore::find`.

use super::sample::{
    absent, at, disabled, ensure_absent, every_status, full, id, name, owner, project, put, put_all, record,
    revocation, sibling, some, stored, successor,
};
use super::verdict::{Verdict, ensure, ensure_eq, refused, same};
use crate::rules::change::Change;
use crate::rules::precondition::{IssuerCondition, LiveLimit};
use crate::rules::record::TokenRecord;
use crate::store::contract::TokenStore;
use crate::store::last_use::LastUse;
use crate::store::query::{StatusFilter, StatusGroup};
use crate::words::ids::{ProjectId, TokenId};
use crate::words::store_error::StoreErrorKind::{Conflict, IssuerChanged, Limit};
use crate::words::timestamp::Timestamp;

pub(super) async fn insert_never_replaces<S: TokenStore>(store: &S) -> Verdict {
    let first = record(project()?)?;
    put(store, &first).await?;
    for limit in [None, Some(LiveLimit { most: 100, now: at(0) })] {
        let second = TokenRecord { id: first.id, name: name("another")?, ..record(first.project)? };
        refused(store.insert(second, limit, None).await, Conflict, "insert over a live record")?;
        same(&*stored(store, &first.key()).await?, &first, "the existing record")?;
    }
    Ok(())
}

pub(super) async fn insert_never_replaces_a_dead_row<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let revoked = TokenRecord { revoked: Some(revocation("ada", 0)?), ..record(project)? };
    let expired = TokenRecord { expires_at: Some(at(-1)), ..record(project)? };
    for first in [revoked, expired] {
        put(store, &first).await?;
        for limit in [None, Some(LiveLimit { most: 100, now: at(0) })] {
            let second = TokenRecord { id: first.id, ..record(project)? };
            refused(store.insert(second, limit, None).await, Conflict, "insert over an ended record")?;
            same(&*stored(store, &first.key()).await?, &first, "the ended record")?;
        }
    }
    Ok(())
}

pub(super) async fn insert_keeps_every_column<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let full = TokenRecord {
        last_used_at: Some(at(-2)),
        revoked: Some(revocation("mallory \u{1f600}", -1)?),
        ..full(project)?
    };
    let (first, last) = (Some(Timestamp::MIN), Some(Timestamp::MAX));
    let earliest = TokenRecord {
        created_at: Timestamp::MIN,
        confirm_by: first,
        not_before: first,
        expires_at: first,
        last_used_at: first,
        grace_until: first,
        notice_lease_until: first,
        ..full.clone()
    };
    let latest = TokenRecord {
        created_at: Timestamp::MAX,
        confirm_by: last,
        not_before: last,
        expires_at: last,
        last_used_at: last,
        grace_until: last,
        notice_lease_until: last,
        version: TokenRecord::MAX_VERSION,
        ..full.clone()
    };
    for sample in [record(project)?, full, earliest, latest] {
        let sample = TokenRecord { id: id('1')?, ..sample };
        let inserted = store.insert(sample.clone(), None, None).await?;
        same(&inserted, &sample, "the record that insert returned")?;
        same(&*stored(store, &sample.key()).await?, &sample, "the record found")?;
    }
    Ok(())
}

pub(super) async fn ids_differ_by_case<S: TokenStore>(store: &S) -> Verdict {
    let upper = record(project()?)?;
    // The two ids differ in the case of every letter. The `x` ensures that there is at least one
    // letter.
    let letters = format!("1x{}", &upper.id.as_str()[2..]);
    let lower = TokenRecord { id: TokenId::new(&letters)?, ..upper };
    let swap = |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    let upper = TokenRecord { id: TokenId::new(&letters.chars().map(swap).collect::<String>())?, ..lower.clone() };
    put(store, &lower).await?;
    ensure_absent(store, &upper.key(), "find by an id in another case").await?;
    put(store, &upper).await
}

pub(super) async fn one_id_in_two_projects_is_two_tokens<S: TokenStore>(store: &S) -> Verdict {
    let here = record(project()?)?;
    let there = TokenRecord { project: sibling(here.project, '6')?, ..here.clone() };
    put_all(store, &[there.clone(), here.clone()]).await?;
    let untouched = async |call: &str| {
        let what = format!("the token of the same id in another project, after {call}");
        same(&*stored(store, &there.key()).await?, &there, &what)
    };
    untouched("insert").await?;
    store.touch_many(&[LastUse { key: here.key(), used_at: at(1), from: None }]).await?;
    untouched("touch_many").await?;
    let version = stored(store, &here.key()).await?.version;
    some(store.update(&here.key(), version, Change::Rename(name("here")?)).await?, "update")?;
    untouched("update").await?;
    let version = stored(store, &here.key()).await?.version;
    some(store.rotate(&here.key(), version, successor(&here)?, at(5), None).await?, "rotate")?;
    untouched("rotate").await?;
    some(store.revoke(&here.key(), &revocation("ada", 9)?).await?, "revoke")?;
    untouched("revoke").await
}

pub(super) async fn limit_counts_live_tokens<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let live = [
        record(project)?,
        TokenRecord { grace_until: Some(at(1)), rotated_to: Some(id('1')?), ..record(project)? },
        TokenRecord { disabled: Some(disabled("root", 0)?), ..record(project)? },
        TokenRecord { confirm_by: Some(at(1)), ..record(project)? },
        TokenRecord { not_before: Some(at(1)), ..record(project)? },
    ];
    for (count, sample) in live.iter().enumerate() {
        let refusing = LiveLimit { most: count as u64, now: at(0) };
        let what = format!("insert beside {count} live tokens with a limit of {count}");
        refused(store.insert(sample.clone(), Some(refusing), None).await, Limit, &what)?;
        ensure_absent(store, &sample.key(), "after an insert that the limit refused").await?;
        let allowing = LiveLimit { most: count as u64 + 1, now: at(0) };
        store.insert(sample.clone(), Some(allowing), None).await?;
    }
    Ok(())
}

pub(super) async fn limit_ignores_dead_tokens<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let mut present = every_status(project)?;
    put_all(store, &present).await?;
    for millis in [-1, 0, 1] {
        let now = at(millis);
        let live = StatusFilter { group: StatusGroup::Live, at: now };
        let count = present.iter().filter(|record| live.matches(record)).count() as u64;
        let new = record(project)?;
        if store.insert(new.clone(), Some(LiveLimit { most: count + 1, now }), None).await.is_err() {
            ensure!(
                false,
                "insert beside {count} live tokens with a limit of {}: refused, so ended ones count",
                count + 1
            );
        }
        present.push(new);
    }
    Ok(())
}

pub(super) async fn limit_is_of_one_owner_in_one_project<S: TokenStore>(store: &S) -> Verdict {
    let mine = record(project()?)?;
    let theirs = TokenRecord { owner: owner(mine.project, "Ada")?, ..record(mine.project)? };
    let elsewhere = TokenRecord { owner: mine.owner.clone(), ..record(sibling(mine.project, '6')?)? };
    put_all(store, &[theirs, elsewhere]).await?;
    let inserted = store.insert(mine, Some(LiveLimit { most: 1, now: at(0) }), None).await;
    ensure!(inserted.is_ok(), "insert of an owner's first token with a limit of 1: refused, so others count");
    Ok(())
}

pub(super) async fn find_answers_dead_rows<S: TokenStore>(store: &S) -> Verdict {
    let samples = every_status(project()?)?;
    put_all(store, &samples).await?;
    for sample in &samples {
        let found = store.find(&sample.key()).await?;
        ensure!(found.is_some(), "find of a record that is {} at {}: None", sample.status(at(1)), at(1));
    }
    Ok(())
}

pub(super) async fn find_answers_none_for_the_absent<S: TokenStore>(store: &S) -> Verdict {
    let present = record(project()?)?;
    put(store, &present).await?;
    let elsewhere = TokenRecord { project: sibling(present.project, '6')?, ..present.clone() };
    for key in [absent(present.project)?, elsewhere.key()] {
        let found = store.find(&key).await;
        ensure!(found.is_ok(), "find of an absent record: an error, not None");
        ensure_eq!(found?.map(|record| record.key()), None, "find of an absent record");
    }
    Ok(())
}

/// Checks that the store refuses an insert with this issuer condition and stores no record.
async fn refuses<S: TokenStore>(store: &S, project: ProjectId, condition: IssuerCondition, what: &str) -> Verdict {
    let new = record(project)?;
    for limit in [None, Some(LiveLimit { most: 1000, now: at(0) })] {
        let answer = store.insert(new.clone(), limit, Some(condition)).await;
        refused(answer, IssuerChanged, &format!("insert whose issuer {what}"))?;
    }
    ensure_absent(store, &new.key(), "after an insert that its issuer condition refused").await
}

pub(super) async fn insert_needs_its_issuer<S: TokenStore>(store: &S) -> Verdict {
    let issuer = record(project()?)?;
    let condition = IssuerCondition { id: issuer.id, version: issuer.version };
    refuses(store, issuer.project, condition, "does not exist").await?;
    let elsewhere = TokenRecord { project: sibling(issuer.project, '6')?, ..issuer.clone() };
    put(store, &elsewhere).await?;
    refuses(store, issuer.project, condition, "is in another project").await
}

pub(super) async fn insert_refuses_a_revoked_issuer<S: TokenStore>(store: &S) -> Verdict {
    let issuer = TokenRecord { revoked: Some(revocation("ada", -1)?), ..record(project()?)? };
    put(store, &issuer).await?;
    refuses(store, issuer.project, IssuerCondition { id: issuer.id, version: issuer.version }, "is revoked").await
}

pub(super) async fn insert_needs_the_issuers_version<S: TokenStore>(store: &S) -> Verdict {
    let issuer = TokenRecord { version: 41, ..record(project()?)? };
    put(store, &issuer).await?;
    for version in [40, 42, 0, TokenRecord::MAX_VERSION] {
        refuses(store, issuer.project, IssuerCondition { id: issuer.id, version }, "is of another version").await?;
    }
    Ok(())
}

pub(super) async fn insert_takes_its_issuer_as_it_is<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    // A store does not decide whether an issuer works. A use does not raise the version of the
    // issuer, so the condition must still hold.
    for issuer in every_status(project)?.into_iter().filter(|record| record.revoked.is_none()) {
        put(store, &issuer).await?;
        store.touch_many(&[LastUse { key: issuer.key(), used_at: at(3), from: None }]).await?;
        let condition = IssuerCondition { id: issuer.id, version: issuer.version };
        let answer = store.insert(record(project)?, None, Some(condition)).await;
        ensure!(answer.is_ok(), "insert whose issuer is {} at {}: refused", issuer.status(at(1)), at(1));
    }
    Ok(())
}

pub(super) async fn insert_says_conflict_before_the_limit<S: TokenStore>(store: &S) -> Verdict {
    let first = record(project()?)?;
    put(store, &first).await?;
    for most in [0, 1] {
        let again = TokenRecord { name: name("another")?, ..first.clone() };
        let limit = Some(LiveLimit { most, now: at(0) });
        refused(store.insert(again, limit, None).await, Conflict, "insert over a record, with a limit without room")?;
    }
    Ok(())
}

pub(super) async fn insert_says_conflict_before_its_issuer<S: TokenStore>(store: &S) -> Verdict {
    let first = record(project()?)?;
    put(store, &first).await?;
    let missing = IssuerCondition { id: id('1')?, version: 1 };
    let again = TokenRecord { name: name("another")?, ..first.clone() };
    refused(store.insert(again, None, Some(missing)).await, Conflict, "insert over a record, with an absent issuer")
}
