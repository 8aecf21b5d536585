//! The test cases for calls whose future is dropped before it completes. Such a call must take
//! effect as a whole or not at all, or the caller must be able to repeat it.

use super::sample::{at, id, import_key, kept, project, put_all, record, revocation, stored, successor};
use super::together::cut;
use super::verdict::{Broken, Verdict, ensure};
use crate::rules::import_row::ImportRow;
use crate::rules::record::TokenRecord;
use crate::store::contract::TokenStore;
use crate::store::import::ImportRowOutcome::{Exists, Inserted};
use crate::store::import::ImportStore;
use crate::words::ids::TokenKey;

/// The numbers of polls that each case tries. For each number, the case drops a call after this
/// many polls. The range suffices for a store that makes a few round trips per call.
const POLLS: core::ops::Range<usize> = 0..12;

/// The maximum number of times that a case reads the records after it dropped a call. The store may
/// still be working on the dropped call. So the case reads again while it sees only a part of the
/// call's changes.
const READS: usize = 100;

pub(super) async fn a_dropped_rotation_is_whole_or_nothing<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    for polls in POLLS {
        let before = kept(store, &record(project)?).await?;
        let (key, new) = (before.key(), successor(&before)?);
        cut(polls, store.rotate(&key, before.version, new.clone(), at(20), None)).await;
        let mut half = None;
        for _ in 0..READS {
            let there = store.find(&new.key()).await?.is_some();
            let linked = stored(store, &key).await?.rotated_to == Some(new.id);
            half = (there != linked).then_some(there);
            if half.is_none() {
                break;
            }
        }
        if let Some(there) = half {
            let (is, is_not) = if there { ("record", "link") } else { ("link", "record") };
            ensure!(
                false,
                "rotate dropped after {polls} polls: the {is} of the successor exists, but not the {is_not}"
            );
        }
    }
    Ok(())
}

pub(super) async fn a_dropped_revoke_owner_can_be_repeated<S: TokenStore>(store: &S) -> Verdict {
    for polls in POLLS {
        let first = record(project()?)?;
        let mut samples = vec![first.clone()];
        for _ in 0..3 {
            samples.push(TokenRecord { id: id('1')?, ..first.clone() });
        }
        put_all(store, &samples).await?;
        let revocation = revocation("root", 1)?;
        cut(polls, store.revoke_owner(&first.project, &first.owner, &revocation)).await;
        store.revoke_owner(&first.project, &first.owner, &revocation).await?;
        let keys: Vec<TokenKey> = samples.iter().map(TokenRecord::key).collect();
        let count = revoked(store, &keys).await?;
        ensure!(count == keys.len(), "dropped after {polls} polls and repeated: revoked {count} of {}", keys.len());
    }
    Ok(())
}

/// Returns how many of the tokens are revoked. Fails the case if a token has no record.
async fn revoked<S: TokenStore>(store: &S, keys: &[TokenKey]) -> Result<usize, Broken> {
    let mut count = 0;
    for key in keys {
        count += usize::from(stored(store, key).await?.revoked.is_some());
    }
    Ok(count)
}

pub(super) async fn a_dropped_import_can_be_repeated<S: TokenStore + ImportStore>(store: &S) -> Verdict {
    for polls in POLLS {
        let (project, mut batch) = (project()?, Vec::new());
        for _ in 0..4 {
            batch.push(ImportRow::new(record(project)?, import_key()?));
        }
        cut(polls, store.import(batch.clone())).await;
        for row in &batch {
            let mut half = None;
            for _ in 0..READS {
                let found = store.find_imported(&row.import_key).await?.is_some();
                let there = store.find(&row.record.key()).await?.is_some();
                half = (there != found).then_some(there);
                if half.is_none() {
                    break;
                }
            }
            if let Some(there) = half {
                let (is, is_not) = if there { ("record", "import key") } else { ("import key", "record") };
                ensure!(false, "dropped after {polls} polls: a row has a {is} but no {is_not}");
            }
        }
        let outcomes = store.import(batch.clone()).await?;
        for (row, outcome) in batch.iter().zip(outcomes) {
            let key = row.record.key();
            let is_own = matches!(outcome, Inserted) || outcome == Exists(key);
            ensure!(is_own, "dropped after {polls} polls and repeated: the outcome of row {key:?} is {outcome:?}");
            let found = store.find_imported(&row.import_key).await?.map(|record| record.key());
            ensure!(found == Some(key), "dropped after {polls} polls and repeated: {found:?} has the key of {key:?}");
        }
    }
    Ok(())
}
