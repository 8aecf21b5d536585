//! The test cases for `TokenStore::find_recent` and `TokenStore::find_durable`.

use super::sample::{absent, at, full, name, project, put, put_all, record, revocation, successor};
use super::verdict::{Verdict, same_found};
use crate::rules::change::Change;
use crate::store::contract::TokenStore;
use crate::words::ids::TokenKey;

/// Checks that `find_recent` returns the same record as `find`, and `find_held` too if it returns a
/// result. They must do so because this store made all changes to the record. The ages that they
/// report are not checked.
async fn shows_what_is_there<S: TokenStore>(store: &S, key: &TokenKey, what: &str) -> Verdict {
    let (recent, now) = (store.find_recent(key).await?.record, store.find(key).await?);
    same_found(recent.as_deref(), now.as_deref(), &format!("find_recent after {what}"))?;
    // A store may hold a record only after several calls.
    for _ in 0..3 {
        let Some(held) = store.find_held(key) else { continue };
        let record = held.chain.record().map(|record| &**record);
        same_found(record, now.as_deref(), &format!("find_held after {what}"))?;
    }
    Ok(())
}

pub(super) async fn find_recent_shows_what_was_inserted<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let (sample, old) = (full(project)?, record(project)?);
    let new = successor(&old)?;
    put(store, &old).await?;
    for key in [absent(project)?, sample.key(), new.key()] {
        same_found(store.find_recent(&key).await?.record.as_deref(), None, "find_recent of an absent record")?;
    }
    put(store, &sample).await?;
    shows_what_is_there(store, &sample.key(), "an insert").await?;
    store.rotate(&old.key(), old.version, new.clone(), at(20), None).await?;
    shows_what_is_there(store, &new.key(), "the rotation that it came of").await
}

/// Checks that `find_durable` returns the same record as `find`.
async fn durable<S: TokenStore>(store: &S, key: &TokenKey, what: &str) -> Verdict {
    let (durable, now) = (store.find_durable(key).await?, store.find(key).await?);
    same_found(durable.as_deref(), now.as_deref(), what)
}

pub(super) async fn find_durable_shows_what_find_does<S: TokenStore>(store: &S) -> Verdict {
    let sample = full(project()?)?;
    let key = sample.key();
    same_found(store.find_durable(&key).await?.as_deref(), None, "find_durable of an absent record")?;
    put(store, &sample).await?;
    durable(store, &key, "find_durable after an insert").await?;
    store.update(&key, sample.version, Change::Rename(name("new")?)).await?;
    durable(store, &key, "find_durable after an update").await?;
    store.revoke(&key, &revocation("root", 1)?).await?;
    durable(store, &key, "find_durable after a revocation").await?;
    Ok(())
}

pub(super) async fn find_recent_shows_what_was_changed<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let (renamed, revoked, rotated, of_owner) = (full(project)?, record(project)?, record(project)?, record(project)?);
    let all = [renamed.clone(), revoked.clone(), rotated.clone(), of_owner.clone()];
    put_all(store, &all).await?;
    for sample in &all {
        shows_what_is_there(store, &sample.key(), "an insert").await?;
    }
    store.update(&renamed.key(), renamed.version, Change::Rename(name("new")?)).await?;
    shows_what_is_there(store, &renamed.key(), "an update").await?;
    store.revoke(&revoked.key(), &revocation("root", 1)?).await?;
    shows_what_is_there(store, &revoked.key(), "a revocation").await?;
    store.rotate(&rotated.key(), rotated.version, successor(&rotated)?, at(20), None).await?;
    shows_what_is_there(store, &rotated.key(), "a rotation").await?;
    store.revoke_owner(&project, &of_owner.owner, &revocation("root", 2)?).await?;
    for sample in &all {
        shows_what_is_there(store, &sample.key(), "the revocation of a group").await?;
    }
    Ok(())
}
