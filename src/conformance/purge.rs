//! The test cases for `StoreMaintenance::purge`.

use super::list::all_of;
use super::sample::{at, disabled, ids, project, put_all, record, revocation, sibling};
use super::verdict::{Broken, Verdict, ensure, ensure_eq};
use crate::rules::record::TokenRecord;
use crate::store::contract::TokenStore;
use crate::store::maintenance::StoreMaintenance;
use crate::store::query::PageSize;
use crate::words::ids::{ProjectId, TokenId};
use crate::words::timestamp::Timestamp;

/// Returns the ids of all records in a project.
async fn left<S: TokenStore>(store: &S, project: ProjectId) -> Result<Vec<TokenId>, Broken> {
    Ok(ids(store.list(&all_of(project)).await?.items))
}

pub(super) async fn purge_deletes_each_kind_of_end<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let project = project()?;
    let (early, late) = (Some(at(-1)), Some(at(1000)));
    let samples = [
        ("revoked", TokenRecord { revoked: Some(revocation("ada", -1)?), ..record(project)? }),
        ("rotated", TokenRecord { grace_until: early, ..record(project)? }),
        ("lapsed", TokenRecord { confirm_by: early, ..record(project)? }),
        ("expired", TokenRecord { expires_at: early, ..record(project)? }),
        ("rotated before it expires", TokenRecord { grace_until: early, expires_at: late, ..record(project)? }),
        ("lapsed before it expires", TokenRecord { confirm_by: early, expires_at: late, ..record(project)? }),
    ];
    for (end, sample) in samples {
        put_all(store, std::slice::from_ref(&sample)).await?;
        store.purge(&project, at(0), PageSize::MAX).await?;
        let found = store.find(&sample.key()).await?;
        ensure!(found.is_none(), "purge before a time left a token that is {end} before it");
    }
    Ok(())
}

pub(super) async fn purge_leaves_what_ended_at_the_time<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let project = project()?;
    let mut samples = Vec::new();
    for millis in [0, 1] {
        let end = Some(at(millis));
        samples.push(TokenRecord { revoked: Some(revocation("ada", millis)?), ..record(project)? });
        samples.push(TokenRecord { grace_until: end, ..record(project)? });
        samples.push(TokenRecord { confirm_by: end, ..record(project)? });
        samples.push(TokenRecord { expires_at: end, ..record(project)? });
    }
    put_all(store, &samples).await?;
    store.purge(&project, at(0), PageSize::MAX).await?;
    ensure_eq!(
        left(store, project).await?,
        ids(&samples),
        "records left of those that ended at the time of the purge or later"
    );
    Ok(())
}

pub(super) async fn purge_leaves_what_has_no_end<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let project = project()?;
    let samples = [
        record(project)?,
        TokenRecord { disabled: Some(disabled("root", -1000)?), ..record(project)? },
        TokenRecord { not_before: Some(at(-1000)), last_used_at: Some(at(-900)), ..record(project)? },
    ];
    put_all(store, &samples).await?;
    store.purge(&project, Timestamp::MAX, PageSize::MAX).await?;
    ensure_eq!(left(store, project).await?, ids(&samples), "records left of those without an end");
    Ok(())
}

pub(super) async fn purge_stays_in_its_project<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let here = project()?;
    let there = TokenRecord { expires_at: Some(at(-1)), ..record(sibling(here, '6')?)? };
    put_all(store, std::slice::from_ref(&there)).await?;
    store.purge(&here, at(0), PageSize::MAX).await?;
    ensure!(store.find(&there.key()).await?.is_some(), "purge of one project deleted a record of another");
    Ok(())
}

/// Returns `count` new tokens that expired before `at(0)`.
fn ended(project: ProjectId, count: usize) -> Result<Vec<TokenRecord>, Broken> {
    let ended = |_| Ok(TokenRecord { expires_at: Some(at(-1)), ..record(project)? });
    (0..count).map(ended).collect()
}

pub(super) async fn purge_comes_in_batches<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let project = project()?;
    let samples = ended(project, 5)?;
    put_all(store, &samples).await?;
    let mut before = samples.len();
    while before > 0 {
        store.purge(&project, at(0), PageSize::clamped(2)).await?;
        let rows = left(store, project).await?.len();
        ensure!(rows < before, "a batch of a purge deleted none, with {before} left");
        ensure!(before <= rows + 2, "a batch of a purge of at most 2 deleted {}", before - rows);
        before = rows;
    }
    Ok(())
}

pub(super) async fn purge_counts_its_rows<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let project = project()?;
    let samples = ended(project, 3)?;
    put_all(store, &samples).await?;
    let mut before = samples.len();
    for _ in 0..3 {
        let batch = store.purge(&project, at(0), PageSize::clamped(2)).await?;
        let rows = left(store, project).await?.len();
        ensure_eq!(batch.count, (before - rows) as u64, "the count of a purge");
        before = rows;
    }
    Ok(())
}

pub(super) async fn purge_is_done_when_none_is_left<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let project = project()?;
    let samples = ended(project, 4)?;
    put_all(store, &samples).await?;
    for _ in 0..4 {
        let batch = store.purge(&project, at(0), PageSize::clamped(2)).await?;
        let rows = left(store, project).await?.len();
        ensure_eq!(batch.done, rows == 0, "`done` of a purge with {rows} left");
    }
    Ok(())
}
