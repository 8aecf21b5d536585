//! The test cases for reads after a write through another handle. The store is a
//! [`Handles`](super::Handles), so two reads in a row go to both handles.

use std::time::Instant;

use super::list::all_of;
use super::sample::{at, kept, name, project, put, record, revocation, some, successor};
use super::verdict::{Broken, Verdict, ensure, ensure_eq, same_found};
use crate::rules::change::Change;
use crate::rules::issuer::Issuer;
use crate::rules::record::TokenRecord;
use crate::store::contract::TokenStore;
use crate::store::group::RevokeBatch;
use crate::store::last_use::LastUse;
use crate::store::query::{CountQuery, PageSize, StatusFilter, StatusGroup};

/// The kinds of writes that change one record.
#[derive(Clone, Copy, Debug)]
enum Write {
    Update,
    Revoke,
    RevokeOwner,
    RevokeFamily,
    RevokeIssuedBy,
    RevokeBatch,
    Rotate,
    Touch,
}

impl Write {
    const ALL: [Self; 8] = [
        Self::Update,
        Self::Revoke,
        Self::RevokeOwner,
        Self::RevokeFamily,
        Self::RevokeIssuedBy,
        Self::RevokeBatch,
        Self::Rotate,
        Self::Touch,
    ];

    /// Writes to the record, and returns the record as every handle must then show it.
    async fn run<S: TokenStore>(self, store: &S, before: &TokenRecord) -> Result<TokenRecord, Broken> {
        let (key, revocation) = (before.key(), revocation("root", 1)?);
        let mut after = before.clone();
        match self {
            Self::Update => {
                let change = Change::Rename(name("renamed")?);
                some(store.update(&key, before.version, change.clone()).await?, "update")?;
                after.apply(change);
                return Ok(after);
            }
            Self::Rotate => {
                let new = successor(before)?;
                after.rotate_to(new.id, at(20));
                some(store.rotate(&key, before.version, new, at(20), None).await?, "rotate")?;
                return Ok(after);
            }
            Self::Touch => {
                store.touch_many(&[LastUse { key, used_at: at(2), from: None }]).await?;
                after.touch(at(2), None);
                return Ok(after);
            }
            Self::Revoke => {
                some(store.revoke(&key, &revocation).await?, "revoke")?;
            }
            Self::RevokeOwner => {
                store.revoke_owner(&key.project, &before.owner, &revocation).await?;
            }
            Self::RevokeFamily => {
                store.revoke_family(&key.project, &before.family, &revocation).await?;
            }
            Self::RevokeIssuedBy => {
                let issuer = some(before.issuer, "the issuer of the sample")?;
                store.revoke_issued_by(&key.project, &issuer.id, &revocation).await?;
            }
            Self::RevokeBatch => {
                let batch = RevokeBatch::CreatedBefore(at(0));
                store.revoke_batch(&key.project, &revocation, batch, PageSize::MAX).await?;
            }
        }
        after.revoke(&revocation);
        Ok(after)
    }
}

/// Inserts a record that every kind of write can change: a token that is bound to an issuer. The
/// issuer has another owner, another family and a later time of creation.
async fn sample<S: TokenStore>(store: &S) -> Result<TokenRecord, Broken> {
    let project = project()?;
    let issuer = TokenRecord { owner: super::sample::owner(project, "bob")?, created_at: at(1), ..record(project)? };
    put(store, &issuer).await?;
    let bound = TokenRecord { issuer: Some(Issuer { id: issuer.id, bound: true }), ..record(project)? };
    Ok(TokenRecord::clone(&*kept(store, &bound).await?))
}

/// Sends one call to the next handle, so that the following call goes to the other one.
async fn skip<S: TokenStore>(store: &S, record: &TokenRecord) -> Verdict {
    store.find(&record.key()).await?;
    Ok(())
}

pub(super) async fn find_shows_what_another_handle_wrote<S: TokenStore>(store: &S) -> Verdict {
    for (write, turn) in Write::ALL.into_iter().flat_map(|write| [(write, 0), (write, 1)]) {
        let before = sample(store).await?;
        for _ in 0..2 + turn {
            skip(store, &before).await?;
        }
        let after = write.run(store, &before).await?;
        for _ in 0..2 {
            let found = store.find(&before.key()).await?;
            same_found(found.as_deref(), Some(&after), &format!("find after {write:?} through another handle"))?;
            let found = store.find_durable(&before.key()).await?;
            same_found(
                found.as_deref(),
                Some(&after),
                &format!("find_durable after {write:?} through another handle"),
            )?;
            skip(store, &before).await?;
        }
    }
    Ok(())
}

pub(super) async fn find_shows_what_another_handle_inserted<S: TokenStore>(store: &S) -> Verdict {
    for turn in 0..2 {
        let new = record(project()?)?;
        // Each handle has read that the record does not exist.
        for _ in 0..2 + turn {
            ensure!(store.find(&new.key()).await?.is_none(), "find of an absent record: a record, not None");
        }
        put(store, &new).await?;
        for _ in 0..2 {
            let found = store.find(&new.key()).await?;
            same_found(found.as_deref(), Some(&new), "find after an insert through another handle")?;
        }
    }
    Ok(())
}

pub(super) async fn list_shows_what_another_handle_wrote<S: TokenStore>(store: &S) -> Verdict {
    for (write, turn) in Write::ALL.into_iter().flat_map(|write| [(write, 0), (write, 1)]) {
        let before = sample(store).await?;
        for _ in 0..2 + turn {
            store.list(&all_of(before.project)).await?;
        }
        let after = write.run(store, &before).await?;
        for _ in 0..2 {
            let items = store.list(&all_of(before.project)).await?.items;
            let listed = items.iter().find(|listed| listed.id == before.id);
            let what = format!("list after {write:?} through another handle");
            same_found(listed.map(|listed| &**listed), Some(&after), &what)?;
        }
    }
    Ok(())
}

pub(super) async fn count_shows_what_another_handle_wrote<S: TokenStore>(store: &S) -> Verdict {
    for turn in 0..2 {
        let before = sample(store).await?;
        let status = Some(StatusFilter { group: StatusGroup::Live, at: at(5) });
        let query = CountQuery { status, ..CountQuery::new(before.project) };
        for _ in 0..2 + turn {
            store.count(&query).await?;
        }
        put(store, &record(before.project)?).await?;
        for _ in 0..2 {
            ensure_eq!(store.count(&query).await?, 3, "live tokens after an insert through another handle");
        }
        for _ in 0..turn {
            store.count(&query).await?;
        }
        Write::Revoke.run(store, &before).await?;
        for _ in 0..2 {
            ensure_eq!(store.count(&query).await?, 2, "live tokens after a revocation through another handle");
        }
    }
    Ok(())
}

pub(super) async fn recent_reads_are_no_older_than_they_say<S: TokenStore>(store: &S) -> Verdict {
    for (write, turn) in Write::ALL.into_iter().flat_map(|write| [(write, 0), (write, 1)]) {
        let before = sample(store).await?;
        let key = before.key();
        for _ in 0..2 + turn {
            store.find_recent(&key).await?;
        }
        let after = write.run(store, &before).await?;
        let written = Instant::now();
        for _ in 0..2 {
            let asked = written.elapsed();
            let read = store.find_recent(&key).await?;
            ensure!(
                read.record.as_deref() == Some(&after) || read.age >= asked,
                "find_recent after {write:?} through another handle: the record is older than its age, {:?}",
                read.age
            );
        }
        // In a loop of its own: calls of two methods by turns would reach one handle each.
        for _ in 0..2 {
            let asked = written.elapsed();
            let Some(held) = store.find_held(&key) else { continue };
            ensure!(
                held.chain.record().map(|record| &**record) == Some(&after) || held.age >= asked,
                "find_held after {write:?} through another handle: the record is older than its age, {:?}",
                held.age
            );
        }
    }
    Ok(())
}

pub(super) async fn chains_are_no_older_than_they_say<S: TokenStore>(store: &S) -> Verdict {
    for turn in 0..2 {
        let issuer = record(project()?)?;
        let bound = TokenRecord { issuer: Some(Issuer { id: issuer.id, bound: true }), ..record(issuer.project)? };
        put(store, &issuer).await?;
        put(store, &bound).await?;
        for _ in 0..2 + turn {
            store.find_recent_chain(&bound.key()).await?;
        }
        let after = Write::Revoke.run(store, &issuer).await?;
        let written = Instant::now();
        for _ in 0..2 {
            let asked = written.elapsed();
            let read = store.find_recent_chain(&bound.key()).await?;
            let shown = read.chain.issuers().next().map(|issuer| &**issuer);
            ensure!(
                shown == Some(&after) || read.age >= asked,
                "find_recent_chain after the revocation of the issuer through another handle: the chain is older \
                 than its age, {:?}",
                read.age
            );
        }
        // In a loop of its own: calls of two methods by turns would reach one handle each.
        for _ in 0..2 {
            let asked = written.elapsed();
            let Some(held) = store.find_held(&bound.key()) else { continue };
            let shown = held.chain.issuers().next().map(|issuer| &**issuer);
            ensure!(
                shown == Some(&after) || held.age >= asked,
                "find_held after the revocation of the issuer through another handle: the chain is older than its \
                 age, {:?}",
                held.age
            );
        }
    }
    Ok(())
}
