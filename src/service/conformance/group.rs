//! The laws of revoke_matching.

use super::list::all_of;
use super::report::{Broken, Verdict, ensure, ensure_eq, same, same_but_version};
use super::sample::{
    DAY, at, every_status, full, id, ids, kept, owner, project, put_all, record, revocation, sibling, stored,
};
use crate::rules::record::{Revocation, RevocationReason, TokenRecord};
use crate::service::query::PageSize;
use crate::service::store::{RevokeGroup, RevokeMatching, TokenStore};
use crate::words::ids::{KeyNumber, ProjectId};
use crate::words::timestamp::Timestamp;

fn in_one(project: ProjectId, group: RevokeGroup) -> RevokeMatching {
    RevokeMatching { project, group, most: PageSize::MAX }
}

/// The rows among these that are revoked now.
async fn revoked<S: TokenStore>(store: &S, records: &[TokenRecord]) -> Result<Vec<TokenRecord>, Broken> {
    let mut revoked = Vec::new();
    for record in records {
        let found = stored(store, &record.key()).await?;
        if found.revoked.is_some() {
            revoked.push(TokenRecord::clone(&found));
        }
    }
    Ok(revoked)
}

/// Revokes the group, and just its members among the records are revoked then.
async fn takes<S: TokenStore>(store: &S, project: ProjectId, group: RevokeGroup, records: &[TokenRecord]) -> Verdict {
    put_all(store, records).await?;
    store.revoke_matching(&in_one(project, group.clone()), &revocation("root", 0)?).await?;
    let expected = ids(records.iter().filter(|record| record.project == project && group.contains(record)));
    ensure_eq!(ids(revoked(store, records).await?), expected, "revoked by {group:?}");
    Ok(())
}

pub(super) async fn a_group_is_an_owner<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let mut records = Vec::new();
    for name in ["ada", "Ada", "ada2", "ada", "bob"] {
        records.push(TokenRecord { owner: owner(project, name)?, ..record(project)? });
    }
    takes(store, project, RevokeGroup::Owner(owner(project, "ada")?), &records).await
}

pub(super) async fn a_group_is_a_family<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let (first, other) = (record(project)?, record(project)?);
    let second = TokenRecord { family: first.id, ..record(project)? };
    let third = TokenRecord { family: first.id, rotated_from: Some(second.id), ..record(project)? };
    // From one of the family, but not of it: what counts is `family` alone.
    let alike = TokenRecord { rotated_from: Some(first.id), ..record(project)? };
    let family = RevokeGroup::Family(first.id);
    takes(store, project, family, &[first, other, second, third, alike]).await
}

pub(super) async fn a_group_is_what_was_created_before<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let mut records = Vec::new();
    for created_at in [at(-1), at(0), at(1), Timestamp::MIN, Timestamp::MAX] {
        records.push(TokenRecord { created_at, ..record(project)? });
    }
    takes(store, project, RevokeGroup::CreatedBefore(at(0)), &records).await
}

pub(super) async fn a_group_is_a_key_number<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let mut records = Vec::new();
    for first in ['0', '1', 'A', 'a', 'a', 'z'] {
        records.push(TokenRecord { id: id(first)?, ..record(project)? });
    }
    // That of `a`, which a store that ignores case takes for that of `A`.
    takes(store, project, RevokeGroup::KeyNumber(KeyNumber::new(36)?), &records).await
}

pub(super) async fn a_group_stays_in_its_project<S: TokenStore>(store: &S) -> Verdict {
    let first = record(project()?)?;
    let there = sibling(first.project, '6')?;
    for group in groups(&first) {
        let mine = TokenRecord { id: id('1')?, ..first.clone() };
        let elsewhere = TokenRecord { project: there, id: id('1')?, ..first.clone() };
        takes(store, first.project, group, &[mine, elsewhere]).await?;
    }
    Ok(())
}

/// A group of each kind, each with this record in it.
fn groups(record: &TokenRecord) -> [RevokeGroup; 4] {
    [
        RevokeGroup::Owner(record.owner.clone()),
        RevokeGroup::Family(record.family),
        RevokeGroup::CreatedBefore(record.created_at.saturating_add(DAY)),
        RevokeGroup::KeyNumber(record.id.key_number()),
    ]
}

/// Rows of one owner, family, time of creation and key number.
fn alike(count: usize) -> Result<Vec<TokenRecord>, Broken> {
    let first = record(project()?)?;
    let another = |_| Ok(TokenRecord { id: id('1')?, ..first.clone() });
    (0..count).map(another).collect()
}

pub(super) async fn owner_and_family_are_one_act<S: TokenStore>(store: &S) -> Verdict {
    for kind in 0..2 {
        let records = alike(5)?;
        put_all(store, &records).await?;
        let group = groups(&records[0])[kind].clone();
        let matching = RevokeMatching { most: PageSize::clamped(2), ..in_one(records[0].project, group) };
        store.revoke_matching(&matching, &revocation("root", 0)?).await?;
        let count = revoked(store, &records).await?.len();
        ensure_eq!(count, records.len(), "revoked in one act by {:?}", matching.group);
    }
    Ok(())
}

pub(super) async fn other_groups_come_in_batches<S: TokenStore>(store: &S) -> Verdict {
    for kind in 2..4 {
        let records = alike(5)?;
        put_all(store, &records).await?;
        let group = groups(&records[0])[kind].clone();
        let matching = RevokeMatching { most: PageSize::clamped(2), ..in_one(records[0].project, group) };
        let mut before = 0;
        while before < records.len() {
            store.revoke_matching(&matching, &revocation("root", 0)?).await?;
            let count = revoked(store, &records).await?.len();
            ensure!(count > before, "a batch of {:?} revoked none, with {before} of 5 revoked", matching.group);
            ensure!(count <= before + 2, "a batch of at most 2 of {:?} revoked {}", matching.group, count - before);
            before = count;
        }
    }
    Ok(())
}

pub(super) async fn revoke_matching_counts_its_rows<S: TokenStore>(store: &S) -> Verdict {
    for kind in 0..4 {
        let records = alike(5)?;
        put_all(store, &records).await?;
        let group = groups(&records[0])[kind].clone();
        let matching = RevokeMatching { most: PageSize::clamped(2), ..in_one(records[0].project, group) };
        let mut before = 0;
        for _ in 0..4 {
            let batch = store.revoke_matching(&matching, &revocation("root", 0)?).await?;
            let count = revoked(store, &records).await?.len();
            ensure_eq!(batch.count, (count - before) as u64, "the count of a batch of {:?}", matching.group);
            before = count;
        }
    }
    Ok(())
}

pub(super) async fn revoke_matching_is_done_when_none_is_left<S: TokenStore>(store: &S) -> Verdict {
    // Four rows in batches of two: the second has as many rows as it may have, and leaves none.
    for kind in 0..4 {
        let records = alike(4)?;
        put_all(store, &records).await?;
        let group = groups(&records[0])[kind].clone();
        let matching = RevokeMatching { most: PageSize::clamped(2), ..in_one(records[0].project, group) };
        for _ in 0..4 {
            let batch = store.revoke_matching(&matching, &revocation("root", 0)?).await?;
            let left = records.len() - revoked(store, &records).await?.len();
            ensure_eq!(batch.done, left == 0, "done, of {:?} with {left} left", matching.group);
        }
    }
    Ok(())
}

pub(super) async fn revoke_matching_writes_as_revoke_does<S: TokenStore>(store: &S) -> Verdict {
    for kind in 0..4 {
        let before = kept(store, &full(project()?)?).await?;
        let revocation = revocation("root \u{1f600}", -9)?;
        let expected = TokenRecord { revoked: Some(revocation.clone()), ..TokenRecord::clone(&before) };
        let group = groups(&before)[kind].clone();
        store.revoke_matching(&in_one(before.project, group.clone()), &revocation).await?;
        same_but_version(&*stored(store, &before.key()).await?, &expected, &format!("a row revoked by {group:?}"))?;
    }
    Ok(())
}

pub(super) async fn revoke_matching_raises_the_version<S: TokenStore>(store: &S) -> Verdict {
    for kind in 0..4 {
        let before = kept(store, &record(project()?)?).await?;
        let group = groups(&before)[kind].clone();
        store.revoke_matching(&in_one(before.project, group.clone()), &revocation("root", 0)?).await?;
        let version = stored(store, &before.key()).await?.version;
        ensure_eq!(version, before.version + 1, "the version of a row revoked by {group:?}");
    }
    Ok(())
}

pub(super) async fn revoke_matching_leaves_the_revoked<S: TokenStore>(store: &S) -> Verdict {
    for kind in 0..4 {
        let first = Revocation { reason: RevocationReason::CessationOfOperation, ..revocation("ada", -50)? };
        let before = kept(store, &TokenRecord { revoked: Some(first), ..record(project()?)? }).await?;
        let group = groups(&before)[kind].clone();
        store.revoke_matching(&in_one(before.project, group.clone()), &revocation("root", 0)?).await?;
        let what = format!("a row that was revoked already, after {group:?}");
        same(&*stored(store, &before.key()).await?, &before, &what)?;
    }
    Ok(())
}

pub(super) async fn revoke_matching_takes_dead_tokens<S: TokenStore>(store: &S) -> Verdict {
    for kind in 0..4 {
        let project = project()?;
        let first = record(project)?;
        let dead = every_status(project)?.into_iter().filter(|record| record.revoked.is_none());
        let dead: Vec<_> = dead.map(|record| TokenRecord { family: first.id, ..record }).collect();
        put_all(store, &dead).await?;
        let group = groups(&first)[kind].clone();
        store.revoke_matching(&in_one(project, group.clone()), &revocation("root", 1)?).await?;
        let page = store.list(&all_of(project)).await?;
        for record in dead {
            let revoked = page.items.iter().any(|listed| listed.id == record.id && listed.revoked.is_some());
            ensure!(revoked, "{group:?} left a token that is {} at {}", record.status(at(1)), at(1));
        }
    }
    Ok(())
}
