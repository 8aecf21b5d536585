//! The test cases for the revocation of groups: `revoke_owner`, `revoke_family` and `revoke_batch`.

use super::list::all_of;
use super::sample::{
    DAY, at, every_status, full, id, ids, kept, owner, project, put_all, record, revocation, sibling, some, stored,
};
use super::together::all;
use super::verdict::{Broken, Verdict, ensure, ensure_eq, same, same_but_version};
use crate::rules::record::{Revocation, RevocationReason, TokenRecord};
use crate::store::contract::TokenStore;
use crate::store::group::{BatchResult, RevokeBatch, RevokeGroup};
use crate::store::query::{CountQuery, PageSize, StatusFilter, StatusGroup};
use crate::words::ids::{KeyNumber, ProjectId};
use crate::words::timestamp::Timestamp;

/// Revokes a group as keyfob does: an owner or a family in one call, any other group in batches
/// until `done` is true. Returns the number of revoked records that the store reports.
pub(super) async fn revoke_group<S: TokenStore>(
    store: &S,
    project: ProjectId,
    group: &RevokeGroup,
    revocation: &Revocation,
) -> Result<u64, Broken> {
    let batch = match group {
        RevokeGroup::Owner(owner) => return Ok(store.revoke_owner(&project, owner, revocation).await?),
        RevokeGroup::Family(family) => return Ok(store.revoke_family(&project, family, revocation).await?),
        RevokeGroup::CreatedBefore(time) => RevokeBatch::CreatedBefore(*time),
        RevokeGroup::KeyNumber(number) => RevokeBatch::KeyNumber(*number),
    };
    let mut count = 0;
    // This many batches suffice for the largest group of any case. If a store never reports the
    // end, another case fails.
    for _ in 0..ROWS {
        let BatchResult { count: revoked, done } =
            store.revoke_batch(&project, revocation, batch, PageSize::MAX).await?;
        count += revoked;
        if done || revoked == 0 {
            break;
        }
    }
    Ok(count)
}

/// A number of tokens that exceeds [`PageSize::MAX`], the maximum for one step of a revocation.
const ROWS: usize = PageSize::MAX.get() + 24;

/// Reads these records from the store. Returns the records that are revoked.
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

/// Inserts the records and revokes the group. Checks that exactly the records of the group are
/// revoked.
async fn takes<S: TokenStore>(store: &S, project: ProjectId, group: RevokeGroup, records: &[TokenRecord]) -> Verdict {
    put_all(store, records).await?;
    revoke_group(store, project, &group, &revocation("root", 0)?).await?;
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
    // The `rotated_from` of this token names a token of the family. The group must still not
    // contain it, because only `family` counts.
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
    // 36 is the key number of ids that begin with `a`. A store that ignores case confuses it with
    // the key number of `A`.
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

/// Returns one group of each kind. All of them contain this record.
fn groups(record: &TokenRecord) -> [RevokeGroup; 4] {
    [
        RevokeGroup::Owner(record.owner.clone()),
        RevokeGroup::Family(record.family),
        RevokeGroup::CreatedBefore(record.created_at.saturating_add(DAY)),
        RevokeGroup::KeyNumber(record.id.key_number()),
    ]
}

/// Returns this many records with equal owner, family, time of creation and key number.
fn alike(count: usize) -> Result<Vec<TokenRecord>, Broken> {
    let first = record(project()?)?;
    let another = |_| Ok(TokenRecord { id: id('1')?, ..first.clone() });
    (0..count).map(another).collect()
}

pub(super) async fn owner_and_family_are_revoked_in_one_call<S: TokenStore>(store: &S) -> Verdict {
    for kind in 0..2 {
        let records = alike(ROWS)?;
        for some in records.chunks(32) {
            for inserted in all(some.iter().map(|record| store.insert(record.clone(), None, None))).await {
                inserted?;
            }
        }
        let group = groups(&records[0])[kind].clone();
        revoke_group(store, records[0].project, &group, &revocation("root", 0)?).await?;
        let mut live = CountQuery::new(records[0].project);
        live.status = Some(StatusFilter { group: StatusGroup::Live, at: at(0) });
        ensure_eq!(store.count(&live).await?, 0, "tokens that still work, of {ROWS} revoked by {group:?}");
    }
    Ok(())
}

pub(super) async fn owner_and_family_take_all_that_can_still_work<S: TokenStore>(store: &S) -> Verdict {
    // None of these tokens may work again if a clock is set back by up to 24 hours.
    let ended = Some(at(1).saturating_sub(TokenRecord::REVOCATION_MARGIN));
    for kind in 0..2 {
        let project = project()?;
        let first = record(project)?;
        let mut records = every_status(project)?;
        records.retain(|record| record.revoked.is_none());
        records.push(TokenRecord { expires_at: ended, ..record(project)? });
        records.push(TokenRecord { confirm_by: ended, ..record(project)? });
        records.push(TokenRecord { grace_until: ended, rotated_to: Some(first.id), ..record(project)? });
        records.push(TokenRecord { grace_until: Some(at(50)), rotated_to: Some(first.id), ..record(project)? });
        records.iter_mut().for_each(|record| record.family = first.id);
        put_all(store, &records).await?;
        let group = groups(&first)[kind].clone();
        revoke_group(store, project, &group, &revocation("root", 1)?).await?;
        let page = store.list(&all_of(project)).await?;
        for record in records {
            let revoked = page.items.iter().any(|listed| listed.id == record.id && listed.revoked.is_some());
            ensure!(revoked, "{group:?} left a token that is {} at {}", record.status(at(1)), at(1));
        }
    }
    Ok(())
}

/// Returns one batch of each kind. Both contain this record.
fn batches(record: &TokenRecord) -> [RevokeBatch; 2] {
    [RevokeBatch::CreatedBefore(record.created_at.saturating_add(DAY)), RevokeBatch::KeyNumber(record.id.key_number())]
}

pub(super) async fn revoke_batch_revokes_no_more_than_asked<S: TokenStore>(store: &S) -> Verdict {
    for kind in 0..2 {
        let records = alike(5)?;
        put_all(store, &records).await?;
        let batch = batches(&records[0])[kind];
        let mut before = 0;
        while before < records.len() {
            let two = PageSize::clamped(2);
            store.revoke_batch(&records[0].project, &revocation("root", 0)?, batch, two).await?;
            let count = revoked(store, &records).await?.len();
            ensure!(count > before, "a batch of {batch:?} revoked none, with {before} of 5 revoked");
            ensure!(count <= before + 2, "a batch of at most 2 of {batch:?} revoked {}", count - before);
            before = count;
        }
    }
    Ok(())
}

pub(super) async fn a_group_counts_its_rows<S: TokenStore>(store: &S) -> Verdict {
    for kind in 0..4 {
        let records = alike(5)?;
        put_all(store, &records).await?;
        some(store.revoke(&records[0].key(), &revocation("ada", -1)?).await?, "revoke")?;
        let group = groups(&records[0])[kind].clone();
        for expected in [4, 0] {
            let count = revoke_group(store, records[0].project, &group, &revocation("root", 0)?).await?;
            ensure_eq!(count, expected, "the count of {group:?}");
        }
    }
    Ok(())
}

pub(super) async fn revoke_batch_counts_its_rows<S: TokenStore>(store: &S) -> Verdict {
    for kind in 0..2 {
        let records = alike(5)?;
        put_all(store, &records).await?;
        let batch = batches(&records[0])[kind];
        let mut before = 0;
        for _ in 0..4 {
            let two = PageSize::clamped(2);
            let answer = store.revoke_batch(&records[0].project, &revocation("root", 0)?, batch, two).await?;
            let count = revoked(store, &records).await?.len();
            ensure_eq!(answer.count, (count - before) as u64, "the count of a batch of {batch:?}");
            before = count;
        }
    }
    Ok(())
}

pub(super) async fn revoke_batch_is_done_when_none_is_left<S: TokenStore>(store: &S) -> Verdict {
    // With four records in batches of two, the second batch is full and leaves no record to revoke.
    for kind in 0..2 {
        let records = alike(4)?;
        put_all(store, &records).await?;
        let batch = batches(&records[0])[kind];
        for _ in 0..4 {
            let two = PageSize::clamped(2);
            let answer = store.revoke_batch(&records[0].project, &revocation("root", 0)?, batch, two).await?;
            let left = records.len() - revoked(store, &records).await?.len();
            ensure_eq!(answer.done, left == 0, "`done` of {batch:?} with {left} left");
        }
    }
    Ok(())
}

pub(super) async fn a_group_writes_as_revoke_does<S: TokenStore>(store: &S) -> Verdict {
    for kind in 0..4 {
        let before = kept(store, &full(project()?)?).await?;
        let revocation = revocation("root \u{1f600}", -9)?;
        let expected = TokenRecord { revoked: Some(revocation.clone()), ..TokenRecord::clone(&before) };
        let group = groups(&before)[kind].clone();
        revoke_group(store, before.project, &group, &revocation).await?;
        same_but_version(&*stored(store, &before.key()).await?, &expected, &format!("a record revoked by {group:?}"))?;
    }
    Ok(())
}

pub(super) async fn a_group_raises_the_version<S: TokenStore>(store: &S) -> Verdict {
    for kind in 0..4 {
        let before = kept(store, &record(project()?)?).await?;
        let group = groups(&before)[kind].clone();
        revoke_group(store, before.project, &group, &revocation("root", 0)?).await?;
        let version = stored(store, &before.key()).await?.version;
        ensure_eq!(version, before.version + 1, "the version of a record revoked by {group:?}");
    }
    Ok(())
}

pub(super) async fn a_group_leaves_the_revoked<S: TokenStore>(store: &S) -> Verdict {
    for kind in 0..4 {
        let first = Revocation { reason: RevocationReason::CessationOfOperation, ..revocation("ada", -50)? };
        let before = kept(store, &TokenRecord { revoked: Some(first), ..record(project()?)? }).await?;
        let group = groups(&before)[kind].clone();
        revoke_group(store, before.project, &group, &revocation("root", 0)?).await?;
        let what = format!("a revoked record after {group:?}");
        same(&*stored(store, &before.key()).await?, &before, &what)?;
    }
    Ok(())
}

pub(super) async fn revoke_batch_takes_dead_tokens<S: TokenStore>(store: &S) -> Verdict {
    for kind in 0..2 {
        let project = project()?;
        let dead = every_status(project)?.into_iter().filter(|record| record.revoked.is_none());
        let dead: Vec<_> = dead.collect();
        put_all(store, &dead).await?;
        let group = batches(&dead[0])[kind].into();
        revoke_group(store, project, &group, &revocation("root", 1)?).await?;
        let page = store.list(&all_of(project)).await?;
        for record in dead {
            let revoked = page.items.iter().any(|listed| listed.id == record.id && listed.revoked.is_some());
            ensure!(revoked, "{group:?} left a token that is {} at {}", record.status(at(1)), at(1));
        }
    }
    Ok(())
}
