//! The test cases for a reader beside an operation on several records. The reader sees the state
//! before the operation or the state after it, and never a part of the operation.

use core::future::Future;
use core::sync::atomic::{AtomicBool, Ordering};

use super::list::all_of;
use super::retry::{again, rotated};
use super::sample::{at, id, kept, project, put_all, record, revocation, stored, successor};
use super::together::{ROUNDS, both, pause};
use super::verdict::{Broken, Verdict, ensure, ensure_eq, same};
use crate::rules::issuer::Issuer;
use crate::rules::notice_lead::NoticeLead;
use crate::rules::precondition::IssuerCondition;
use crate::rules::record::TokenRecord;
use crate::store::contract::TokenStore;
use crate::store::group::RevokeBatch;
use crate::store::maintenance::StoreMaintenance;
use crate::store::query::{CountQuery, PageSize};
use crate::words::ids::TokenId;

/// Runs a call. Until it ends, and once after that, runs the reader again and again.
async fn beside<C, L>(round: usize, call: C, look: impl Fn() -> L) -> Result<C::Output, Broken>
where
    C: Future,
    L: Future<Output = Verdict>,
{
    let has_ended = AtomicBool::new(false);
    let call = async {
        let output = call.await;
        has_ended.store(true, Ordering::SeqCst);
        output
    };
    let looks = async {
        loop {
            let is_last = has_ended.load(Ordering::SeqCst);
            look().await?;
            if is_last {
                return Ok(());
            }
            // A reader that never waits would keep the call from running.
            pause().await;
        }
    };
    let (output, looked) = both(round, call, looks).await;
    looked.map(|()| output)
}

pub(super) async fn a_reader_beside_a_rotation_sees_all_or_nothing<S: TokenStore>(store: &S) -> Verdict {
    for round in 0..ROUNDS {
        let before = kept(store, &record(project()?)?).await?;
        let new = successor(&before)?;
        let key = before.key();
        let rotate = store.rotate(&key, before.version, new.clone(), at(20), None);
        let look = async || {
            if round < ROUNDS / 2 {
                // One list is one operation, so it shows one state.
                let page = store.list(&all_of(before.project)).await?;
                let listed = |id: TokenId| page.items.iter().find(move |listed| listed.id == id);
                let linked = listed(before.id).is_some_and(|old| old.rotated_to == Some(new.id));
                let there = listed(new.id).is_some();
                ensure!(
                    there == linked,
                    "a list during a rotation: expected the successor and the link to it, or neither, but {}",
                    if there { "only the successor is there" } else { "only the link is there" }
                );
                return Ok(());
            }
            // A reader that has seen one half of the rotation must then find the other half.
            if store.find(&new.key()).await?.is_some() {
                let linked = stored(store, &before.key()).await?.rotated_to;
                ensure_eq!(linked, Some(new.id), "the link to a successor that find returned during a rotation");
            }
            if stored(store, &before.key()).await?.rotated_to.is_some() {
                let there = store.find(&new.key()).await?.is_some();
                ensure!(there, "a find during a rotation: the old token has a link to a successor that is not there");
            }
            Ok(())
        };
        beside(round, rotate, look).await??;
    }
    Ok(())
}

pub(super) async fn a_reader_beside_a_retry_sees_all_or_nothing<S: TokenStore>(store: &S) -> Verdict {
    for round in 0..ROUNDS {
        let [old, first] = rotated(store, Some("one")).await?;
        let second = again(&old, Some("one"))?;
        let key = old.key();
        let rotate = store.rotate(&key, old.version, second.clone(), at(30), None);
        let look = async || {
            let page = store.list(&all_of(old.project)).await?;
            let there = page.items.iter().any(|listed| listed.id == second.id);
            let revoked = page.items.iter().any(|listed| listed.id == first.id && listed.revoked.is_some());
            let linked = page.items.iter().any(|listed| listed.rotated_to == Some(second.id));
            ensure!(
                there == revoked && there == linked,
                "a list during a repeated rotation: expected all or nothing of it, but the second successor is \
                 there: {there}, the first one is revoked: {revoked}, the link is set: {linked}"
            );
            Ok(())
        };
        beside(round, rotate, look).await??;
    }
    Ok(())
}

pub(super) async fn a_reader_beside_a_batch_sees_all_or_none<S: TokenStore>(store: &S) -> Verdict {
    for round in 0..ROUNDS {
        let (project, revocation) = (project()?, revocation("root", 0)?);
        put_all(store, &[record(project)?, record(project)?, record(project)?]).await?;
        let batch = match round < ROUNDS / 2 {
            true => RevokeBatch::CreatedBefore(at(0)),
            false => RevokeBatch::KeyNumber(id('1')?.key_number()),
        };
        let revoke = store.revoke_batch(&project, &revocation, batch, PageSize::MAX);
        let look = async || {
            let page = store.list(&all_of(project)).await?;
            let revoked = page.items.iter().filter(|listed| listed.revoked.is_some()).count();
            ensure!(
                revoked == 0 || revoked == 3,
                "a list during revoke_batch: expected 0 or 3 revoked records, but {revoked} are"
            );
            Ok(())
        };
        beside(round, revoke, look).await??;
    }
    Ok(())
}

pub(super) async fn a_reader_beside_a_group_sees_whole_records<S: TokenStore>(store: &S) -> Verdict {
    for round in 0..ROUNDS {
        let first = record(project()?)?;
        let revocation = revocation("root", 0)?;
        let mut samples = Vec::new();
        for _ in 0..3 {
            let issuer = Some(Issuer { id: first.id, bound: true });
            samples.push(TokenRecord { id: id('1')?, issuer, ..first.clone() });
        }
        put_all(store, &samples).await?;
        let revoke = async {
            match round * 3 / ROUNDS {
                0 => store.revoke_owner(&first.project, &first.owner, &revocation).await,
                1 => store.revoke_family(&first.project, &first.family, &revocation).await,
                _ => store.revoke_issued_by(&first.project, &first.id, &revocation).await,
            }
        };
        let look = async || {
            for listed in store.list(&all_of(first.project)).await?.items {
                let Some(sample) = samples.iter().find(|sample| sample.id == listed.id) else { continue };
                let mut expected = sample.clone();
                if listed.revoked.is_some() {
                    expected.revoke(&revocation);
                }
                same(&listed, &expected, "a record listed during the revocation of its group")?;
            }
            Ok(())
        };
        beside(round, revoke, look).await??;
    }
    Ok(())
}

pub(super) async fn a_reader_sees_nothing_of_a_refused_call<S: TokenStore>(store: &S) -> Verdict {
    for round in 0..ROUNDS {
        let before = kept(store, &record(project()?)?).await?;
        let new = successor(&before)?;
        // The issuer has another version, so each of these calls is refused.
        let condition = Some(IssuerCondition { id: before.id, version: before.version + 1 });
        let refused = async {
            match round < ROUNDS / 2 {
                true => store.insert(new.clone(), None, condition).await.is_err(),
                false => store.rotate(&before.key(), before.version, new.clone(), at(20), condition).await.is_err(),
            }
        };
        let look = async || {
            let there = store.find(&new.key()).await?.is_some();
            let count = store.count(&CountQuery::new(before.project)).await?;
            ensure!(
                !there && count == 1,
                "during a call that is refused: expected 1 record, but {count} are there, the refused one: {there}"
            );
            same(&*stored(store, &before.key()).await?, &before, "the old token during a call that is refused")
        };
        ensure!(beside(round, refused, look).await?, "a call whose issuer has another version: succeeded");
    }
    Ok(())
}

pub(super) async fn a_reader_beside_a_purge_sees_all_or_none<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    for round in 0..ROUNDS {
        let project = project()?;
        let ended = || Ok::<_, Broken>(TokenRecord { expires_at: Some(at(-1)), ..record(project)? });
        put_all(store, &[ended()?, ended()?, ended()?]).await?;
        let look = async || {
            let left = store.list(&all_of(project)).await?.items.len();
            ensure!(left == 0 || left == 3, "a list during a purge: expected 0 or 3 records, but {left} are there");
            Ok(())
        };
        beside(round, store.purge(&project, at(0), PageSize::MAX), look).await??;
    }
    Ok(())
}

pub(super) async fn a_reader_beside_a_claim_sees_all_or_none<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    for round in 0..ROUNDS {
        let project = project()?;
        let due = || Ok::<_, Broken>(TokenRecord { expires_at: Some(at(3_600_000)), ..record(project)? });
        put_all(store, &[due()?, due()?, due()?]).await?;
        let look = async || {
            let page = store.list(&all_of(project)).await?;
            let leased = page.items.iter().filter(|listed| listed.notice_lease_until.is_some()).count();
            ensure!(
                leased == 0 || leased == 3,
                "a list during claim_notices: expected 0 or 3 claimed notices, but {leased} are"
            );
            Ok(())
        };
        let claim = store.claim_notices(&project, &NoticeLead::ALL, at(0), at(1000), PageSize::MAX);
        beside(round, claim, look).await??;
    }
    Ok(())
}
