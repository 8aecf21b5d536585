//! The test cases for `TokenStore::touch_many`.

use super::list::all_of;
use super::sample::{
    absent, at, ensure_absent, every_status, full, id, kept, project, put, put_all, record, revocation, stored,
};
use super::verdict::{Verdict, ensure, ensure_eq, same_but_version};
use crate::rules::record::{Revocation, RevocationReason, TokenRecord};
use crate::store::contract::TokenStore;
use crate::store::last_use::LastUse;
use crate::words::ids::TokenKey;
use crate::words::timestamp::Timestamp;
use crate::words::used_from::{ClientText, UsedFrom};

/// Returns a use of a token at `at(millis)`, without an address or a client.
fn touch(key: TokenKey, millis: i64) -> LastUse {
    LastUse { key, used_at: at(millis), from: None }
}

pub(super) async fn touch_moves_forwards<S: TokenStore>(store: &S) -> Verdict {
    let sample = record(project()?)?;
    put(store, &sample).await?;
    let key = sample.key();
    for used_at in [Timestamp::MIN, at(-1), at(0), at(1), Timestamp::MAX] {
        store.touch_many(&[LastUse { key, used_at, from: None }]).await?;
        ensure_eq!(stored(store, &key).await?.last_used_at, Some(used_at), "the last use after a later touch");
    }
    Ok(())
}

pub(super) async fn touch_never_moves_backwards<S: TokenStore>(store: &S) -> Verdict {
    let sample = TokenRecord { last_used_at: Some(at(0)), ..record(project()?)? };
    let before = kept(store, &sample).await?.last_used_at;
    for used_at in [at(-1), Timestamp::MIN] {
        store.touch_many(&[LastUse { key: sample.key(), used_at, from: None }]).await?;
        ensure_eq!(stored(store, &sample.key()).await?.last_used_at, before, "the last use after an earlier touch");
    }
    Ok(())
}

pub(super) async fn touch_takes_the_latest_of_a_batch<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    for order in [[1, 2, 3], [3, 2, 1], [2, 3, 1]] {
        let sample = record(project)?;
        put(store, &sample).await?;
        store.touch_many(&order.map(|millis| touch(sample.key(), millis))).await?;
        let last = stored(store, &sample.key()).await?.last_used_at;
        ensure_eq!(last, Some(at(3)), "the last use after touches at {order:?} in one batch");
    }
    Ok(())
}

pub(super) async fn touch_writes_where_a_use_came_from<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let from = |address: &str, client: &str| UsedFrom {
        address: Some(address)
            .filter(|address| !address.is_empty())
            .map(|address| address.parse().expect("an address")),
        client: ClientText::of_header(client.as_bytes()),
    };
    let sample = record(project)?;
    put(store, &sample).await?;
    // The uses have an address and a client, only one of them, or neither. The use that is earlier
    // than the last one must change neither.
    let uses = [
        (1, Some(from("2001:db8::1", "git/2.47 (名)")), 1),
        (2, Some(from("10.0.0.1", "")), 2),
        (1, Some(from("10.0.0.2", "late")), 2),
        (3, Some(from("", "curl/8.5")), 3),
        (4, None, 4),
    ];
    let mut expected = None;
    for (millis, from, last) in uses {
        if millis == last {
            expected.clone_from(&from);
        }
        store.touch_many(&[LastUse { from, ..touch(sample.key(), millis) }]).await?;
        let found = stored(store, &sample.key()).await?;
        ensure_eq!((found.last_used_at, &found.last_used_from), (Some(at(last)), &expected), "the last use");
    }
    Ok(())
}

pub(super) async fn touch_ignores_unknown_tokens<S: TokenStore>(store: &S) -> Verdict {
    let here = project()?;
    let samples = [record(here)?, record(here)?];
    put_all(store, &samples).await?;
    let unknown = [absent(here)?, absent(project()?)?];
    let batch = [touch(unknown[0], 1), touch(samples[0].key(), 1), touch(unknown[1], 1), touch(samples[1].key(), 1)];
    let result = store.touch_many(&batch).await;
    ensure!(result.is_ok(), "touch_many with unknown keys among others: an error");
    for sample in &samples {
        let last = stored(store, &sample.key()).await?.last_used_at;
        ensure_eq!(last, Some(at(1)), "the last use of a known token, touched beside unknown ones");
    }
    for key in &unknown {
        ensure_absent(store, key, "after a touch of an absent record").await?;
    }
    Ok(())
}

pub(super) async fn touch_changes_no_other_column<S: TokenStore>(store: &S) -> Verdict {
    let before = kept(store, &full(project()?)?).await?;
    store.touch_many(&[touch(before.key(), 5)]).await?;
    let found = stored(store, &before.key()).await?;
    let expected = TokenRecord { last_used_at: found.last_used_at, ..TokenRecord::clone(&before) };
    same_but_version(&found, &expected, "a record after a touch")
}

pub(super) async fn touch_leaves_the_version<S: TokenStore>(store: &S) -> Verdict {
    let before = kept(store, &record(project()?)?).await?;
    for millis in [5, 6, 4] {
        store.touch_many(&[touch(before.key(), millis)]).await?;
        ensure_eq!(stored(store, &before.key()).await?.version, before.version, "the version after a touch");
    }
    Ok(())
}

pub(super) async fn touch_counts_the_rows_it_moved<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let unused = record(project)?;
    let mut samples = vec![unused.clone()];
    for used in [-1, 0, 1] {
        samples.push(TokenRecord { id: id('1')?, last_used_at: Some(at(used)), ..unused.clone() });
    }
    put_all(store, &samples).await?;
    let batch: Vec<LastUse> = samples.iter().map(|sample| touch(sample.key(), 0)).collect();
    // The last use changes for the unused token and for the token that was used earlier. It does
    // not change for the tokens that were used at this time or later.
    ensure_eq!(store.touch_many(&batch).await?, 2, "records touched");
    ensure_eq!(store.touch_many(&batch).await?, 0, "records touched by the same batch again");
    ensure_eq!(store.touch_many(&[]).await?, 0, "records touched by an empty batch");
    Ok(())
}

pub(super) async fn touch_takes_dead_tokens<S: TokenStore>(store: &S) -> Verdict {
    let here = project()?;
    let samples = every_status(here)?;
    put_all(store, &samples).await?;
    let batch: Vec<LastUse> = samples.iter().map(|sample| touch(sample.key(), 1)).collect();
    store.touch_many(&batch).await?;
    let page = store.list(&all_of(here)).await?;
    for sample in &samples {
        let touched = page.items.iter().any(|listed| listed.id == sample.id && listed.last_used_at == Some(at(1)));
        ensure!(touched, "a touch of a token that is {} at {}: not written", sample.status(at(1)), at(1));
    }
    Ok(())
}

pub(super) async fn touch_leaves_a_revoked_token_revoked<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    for reason in RevocationReason::ALL.iter().copied() {
        let revoked = Some(Revocation { reason, ..revocation("ada", 0)? });
        let before = kept(store, &TokenRecord { revoked, ..record(project)? }).await?;
        store.touch_many(&[touch(before.key(), 1)]).await?;
        ensure_eq!(stored(store, &before.key()).await?.revoked, before.revoked, "the revocation after a touch");
    }
    Ok(())
}
