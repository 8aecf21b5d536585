//! The test cases for tokens that another token issued: their limits, their lists, their chains and
//! the revocation of bound tokens.

use super::list::all_of;
use super::sample::{
    at, every_status, full, id, ids, kept, name, owner, project, put, put_all, record, revocation, sibling, stored,
    successor,
};
use super::verdict::{Broken, Verdict, ensure, ensure_eq, refused, same, same_found};
use crate::rules::change::Change;
use crate::rules::issuer::Issuer;
use crate::rules::precondition::LiveLimit;
use crate::rules::record::TokenRecord;
use crate::store::contract::{ChainResult, TokenStore};
use crate::store::maintenance::StoreMaintenance;
use crate::store::order::ListOrder;
use crate::store::query::{ListQuery, PageSize};
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::store_error::StoreErrorKind::Limit;

/// Returns a new token that `issuer` issued, either bound to the issuer or independent.
fn issued(issuer: &TokenRecord, bound: bool) -> Result<TokenRecord, Broken> {
    Ok(TokenRecord { issuer: Some(Issuer { id: issuer.id, bound }), ..record(issuer.project)? })
}

/// Returns a new token that is bound to `issuer`.
pub(super) fn bound(issuer: &TokenRecord) -> Result<TokenRecord, Broken> {
    issued(issuer, true)
}

/// Returns a token and `count` more new tokens, each bound to the token before it.
fn bound_in_a_row(project: ProjectId, count: usize) -> Result<Vec<TokenRecord>, Broken> {
    let mut row = vec![record(project)?];
    for below in 0..count {
        row.push(bound(&row[below])?);
    }
    Ok(row)
}

pub(super) async fn limit_of_bound_tokens_is_of_one_issuer<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let (issuer, other) = (record(project)?, record(project)?);
    let of_bob = TokenRecord { owner: owner(project, "bob")?, ..bound(&issuer)? };
    // Two tokens count towards the limit. They have different owners.
    let others = [bound(&other)?, issued(&issuer, false)?, record(project)?];
    put_all(store, &[issuer.clone(), other, bound(&issuer)?, of_bob]).await?;
    put_all(store, &others).await?;
    let limit = |most| Some(LiveLimit { most, now: at(0) });
    let insert = store.insert(bound(&issuer)?, limit(2), None).await;
    refused(insert, Limit, "insert of a bound token beside 2 of its issuer, with a limit of 2")?;
    store.insert(bound(&issuer)?, limit(3), None).await?;
    Ok(())
}

pub(super) async fn limit_of_an_owner_leaves_out_what_is_bound<S: TokenStore>(store: &S) -> Verdict {
    let issuer = record(project()?)?;
    put_all(store, &[issuer.clone(), bound(&issuer)?, bound(&issuer)?, issued(&issuer, false)?]).await?;
    let limit = |most| Some(LiveLimit { most, now: at(0) });
    let insert = store.insert(record(issuer.project)?, limit(2), None).await;
    refused(insert, Limit, "insert beside an independent token and its issuer, with a limit of 2")?;
    store.insert(record(issuer.project)?, limit(3), None).await?;
    Ok(())
}

pub(super) async fn list_filters_by_issuer<S: TokenStore>(store: &S) -> Verdict {
    let here = project()?;
    let (issuer, other) = (record(here)?, record(here)?);
    let ended = TokenRecord { revoked: Some(revocation("root", 0)?), ..bound(&issuer)? };
    let wanted = [bound(&issuer)?, issued(&issuer, false)?, ended];
    put_all(store, &wanted).await?;
    put_all(store, &[bound(&other)?, bound(&wanted[0])?, issuer.clone(), other]).await?;
    for order in ListOrder::ALL.iter().copied() {
        let page = store.list(&ListQuery { issuer: Some(issuer.id), order, ..all_of(here) }).await?;
        ensure_eq!(ids(page.items.iter().map(|record| &**record)), ids(&wanted), "issued by a token, by {order}");
    }
    Ok(())
}

/// Returns the ids of the chain of a token, starting with the token itself. Checks that the store
/// holds the same chain if it holds one.
async fn chain<S: TokenStore>(store: &S, key: &TokenKey) -> Result<Vec<TokenId>, Broken> {
    let ids = |ChainResult { chain, .. }: ChainResult| {
        chain.record().into_iter().chain(chain.issuers()).map(|record| record.id).collect::<Vec<_>>()
    };
    let found = ids(store.find_recent_chain(key).await?);
    if let Some(held) = store.find_held(key) {
        ensure_eq!(ids(held), found, "find_held of a chain");
    }
    Ok(found)
}

/// Returns the ids of the tokens in reverse order, which is the order of a chain.
fn upwards(row: &[TokenRecord]) -> Vec<TokenId> {
    row.iter().rev().map(|record| record.id).collect()
}

pub(super) async fn a_chain_goes_up_to_what_is_bound_to_none<S: TokenStore>(store: &S) -> Verdict {
    let row = bound_in_a_row(project()?, 3)?;
    put_all(store, &row).await?;
    for length in 1..=row.len() {
        let found = chain(store, &row[length - 1].key()).await?;
        ensure_eq!(found, upwards(&row[..length]), "the chain of a token with {} issuers", length - 1);
    }
    // Every record in a chain must be complete, as `find` returns it.
    let filled = TokenRecord { issuer: Some(Issuer { id: row[0].id, bound: true }), ..full(row[0].project)? };
    put(store, &filled).await?;
    let found = store.find_recent_chain(&filled.key()).await?.chain;
    let expected = stored(store, &filled.key()).await?;
    same_found(found.record().map(|record| &**record), Some(&expected), "the record of a chain")?;
    ensure!(found.issuers().count() == 1, "a chain of two: {} issuers", found.issuers().count());
    for issuer in found.issuers() {
        same(issuer, &*stored(store, &row[0].key()).await?, "an issuer in a chain")?;
    }
    Ok(())
}

pub(super) async fn a_chain_ends_at_an_independent_token<S: TokenStore>(store: &S) -> Verdict {
    let issuer = record(project()?)?;
    let independent = issued(&issuer, false)?;
    let below = bound(&independent)?;
    put_all(store, &[issuer, independent.clone(), below.clone()]).await?;
    ensure_eq!(chain(store, &independent.key()).await?, [independent.id], "the chain of an independent token");
    let expected = [below.id, independent.id];
    ensure_eq!(chain(store, &below.key()).await?, expected, "the chain of a token bound to an independent token");
    Ok(())
}

pub(super) async fn a_chain_ends_at_what_is_missing<S: TokenStore>(store: &S) -> Verdict {
    let row = bound_in_a_row(project()?, 2)?;
    // The middle token does not exist. A token with the same id in another project must not take
    // its place.
    let namesake = TokenRecord { project: sibling(row[1].project, '6')?, ..row[1].clone() };
    put_all(store, &[row[0].clone(), row[2].clone(), namesake]).await?;
    ensure_eq!(chain(store, &row[2].key()).await?, [row[2].id], "the chain of a token whose issuer does not exist");
    ensure_eq!(chain(store, &row[1].key()).await?, [], "the chain of an absent token");
    Ok(())
}

pub(super) async fn a_chain_ends_at_the_fourth_issuer<S: TokenStore>(store: &S) -> Verdict {
    let row = bound_in_a_row(project()?, 6)?;
    put_all(store, &row).await?;
    let found = chain(store, &row[6].key()).await?;
    ensure_eq!(found, upwards(&row[2..]), "the chain of a token with 6 issuers");
    // No method creates a token that is bound to itself. If a store holds one, its chain must still
    // end.
    let own = record(row[0].project)?;
    let own = TokenRecord { issuer: Some(Issuer { id: own.id, bound: true }), ..own };
    put(store, &own).await?;
    ensure_eq!(chain(store, &own.key()).await?, [own.id; 5], "the chain of a token that is bound to itself");
    Ok(())
}

pub(super) async fn a_chain_shows_what_was_changed<S: TokenStore>(store: &S) -> Verdict {
    let row = bound_in_a_row(project()?, 1)?;
    put_all(store, &row).await?;
    let shown = async |what: &str| {
        let found = store.find_recent_chain(&row[1].key()).await?.chain;
        let issuer = stored(store, &row[0].key()).await?;
        ensure!(found.issuers().eq([&issuer]), "the issuer in a chain after {what}: outdated");
        // A store may hold a chain only after several calls.
        for _ in 0..3 {
            let Some(held) = store.find_held(&row[1].key()) else { continue };
            ensure!(held.chain.issuers().eq([&issuer]), "the issuer in find_held after {what}: outdated");
        }
        Ok::<_, Broken>(())
    };
    shown("an insert").await?;
    store.update(&row[0].key(), row[0].version, Change::Rename(name("new")?)).await?;
    shown("an update").await?;
    store.revoke(&row[0].key(), &revocation("root", 1)?).await?;
    shown("a revocation").await
}

pub(super) async fn revoke_issued_by_takes_what_is_bound<S: TokenStore>(store: &S) -> Verdict {
    let here = project()?;
    let (issuer, other) = (record(here)?, record(here)?);
    let below = bound(&issuer)?;
    let next = TokenRecord { issuer: below.issuer, ..successor(&below)? };
    let taken: Vec<_> = every_status(here)?
        .into_iter()
        .map(|record| TokenRecord { issuer: below.issuer, ..record })
        .chain([below.clone(), next])
        .collect();
    let left = [
        issued(&issuer, false)?,
        bound(&other)?,
        bound(&below)?,
        TokenRecord { project: sibling(here, '6')?, ..bound(&issuer)? },
        issuer.clone(),
        other,
    ];
    put_all(store, &taken).await?;
    put_all(store, &left).await?;
    let expected = taken.iter().filter(|record| record.revoked.is_none()).count() as u64;
    let revocation = revocation("root", 0)?;
    let count = store.revoke_issued_by(&here, &issuer.id, &revocation).await?;
    ensure_eq!(count, expected, "the number of bound tokens revoked");
    for sample in &taken {
        let found = stored(store, &sample.key()).await?;
        let mut should = sample.clone();
        should.revoke(&revocation);
        same(&found, &should, "a bound token after revoke_issued_by")?;
    }
    for sample in &left {
        let found = stored(store, &sample.key()).await?;
        ensure_eq!(found.revoked, None, "the revocation of a token that is not bound to the issuer");
    }
    ensure_eq!(store.revoke_issued_by(&here, &issuer.id, &revocation).await?, 0, "revoked by the same call again");
    Ok(())
}

pub(super) async fn revoke_issued_by_takes_more_than_one_step<S: TokenStore>(store: &S) -> Verdict {
    let issuer = kept(store, &record(project()?)?).await?;
    // This number is larger than the maximum for one step, which is 1,000.
    for _ in 0..PageSize::MAX.get() + 3 {
        put(store, &bound(&issuer)?).await?;
    }
    let count = store.revoke_issued_by(&issuer.project, &issuer.id, &revocation("root", 0)?).await?;
    ensure_eq!(count, PageSize::MAX.get() as u64 + 3, "the number of bound tokens revoked in one call");
    Ok(())
}

pub(super) async fn ended_issuers_are_named<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let here = project()?;
    let issuers = every_status(here)?;
    put_all(store, &issuers).await?;
    let mut expected = Vec::new();
    for issuer in &issuers {
        put(store, &bound(issuer)?).await?;
        expected.extend((!issuer.status(at(0)).is_live()).then_some(issuer.id));
    }
    // The record of this issuer does not exist.
    let missing = TokenRecord { id: id('1')?, ..issuers[0].clone() };
    put(store, &bound(&missing)?).await?;
    expected.push(missing.id);
    expected.sort();
    let mut found = store.ended_issuers(&here, at(0), PageSize::MAX).await?;
    found.sort();
    ensure_eq!(found, expected, "the issuers that have ended");
    Ok(())
}

pub(super) async fn ended_issuers_have_something_left<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let here = project()?;
    let ended = || Ok::<_, Broken>(TokenRecord { expires_at: Some(at(0)), ..record(here)? });
    let (with, without) = (ended()?, [ended()?, ended()?, ended()?, ended()?]);
    let long_ago = at(0).saturating_sub(TokenRecord::REVOCATION_MARGIN);
    let others = [
        TokenRecord { revoked: Some(revocation("root", 0)?), ..bound(&without[0])? },
        TokenRecord { expires_at: Some(long_ago.saturating_sub(MS)), ..bound(&without[1])? },
        issued(&without[2], false)?,
        TokenRecord { project: sibling(here, '6')?, ..bound(&without[3])? },
        TokenRecord { expires_at: Some(long_ago), ..bound(&with)? },
    ];
    put_all(store, &without).await?;
    put_all(store, &others).await?;
    put(store, &with).await?;
    let found = store.ended_issuers(&here, at(0), PageSize::MAX).await?;
    ensure_eq!(found, [with.id], "the issuers with tokens that can still work");
    Ok(())
}

/// One millisecond, the resolution of a [`Timestamp`](crate::Timestamp).
const MS: core::time::Duration = core::time::Duration::from_millis(1);

pub(super) async fn ended_issuers_are_no_more_than_asked<S: TokenStore + StoreMaintenance>(store: &S) -> Verdict {
    let here = project()?;
    for _ in 0..3 {
        let issuer = TokenRecord { expires_at: Some(at(0)), ..record(here)? };
        put_all(store, &[bound(&issuer)?, issuer]).await?;
    }
    let found = store.ended_issuers(&here, at(0), PageSize::clamped(2)).await?.len();
    ensure!((1..=2).contains(&found), "ended issuers, at most 2 of 3: {found}");
    Ok(())
}
