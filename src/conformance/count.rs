//! The test cases for `TokenStore::count`.

use super::sample::{every_status, id, owner, project, put_all, record, sibling, status_filters};
use super::verdict::{Verdict, ensure_eq};
use crate::rules::record::TokenRecord;
use crate::store::contract::TokenStore;
use crate::store::query::CountQuery;
use crate::words::ids::KeyNumber;

/// Checks that `count` returns the number of the given records that match the query.
async fn counted<S: TokenStore>(store: &S, query: &CountQuery, records: &[TokenRecord]) -> Verdict {
    let expected = records.iter().filter(|record| query.matches(record)).count() as u64;
    ensure_eq!(store.count(query).await?, expected, "count by {query:?}");
    Ok(())
}

pub(super) async fn count_stays_in_its_project<S: TokenStore>(store: &S) -> Verdict {
    let mine = record(project()?)?;
    let elsewhere = TokenRecord { owner: mine.owner.clone(), ..record(sibling(mine.project, '6')?)? };
    let records = [mine.clone(), elsewhere];
    put_all(store, &records).await?;
    counted(store, &CountQuery::new(mine.project), &records).await?;
    counted(store, &CountQuery { owner: Some(mine.owner), ..CountQuery::new(mine.project) }, &records).await
}

pub(super) async fn count_filters_by_owner<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let mut records = Vec::new();
    for name in ["ada", "ada", "Ada", "ada2"] {
        records.push(TokenRecord { owner: owner(project, name)?, ..record(project)? });
    }
    put_all(store, &records).await?;
    for name in ["ada", "Ada", "nobody"] {
        counted(store, &CountQuery { owner: Some(owner(project, name)?), ..CountQuery::new(project) }, &records)
            .await?;
    }
    Ok(())
}

pub(super) async fn count_filters_by_key_number<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let mut records = Vec::new();
    for first in ['0', '1', '1', 'A', 'a', 'a', 'a', 'z'] {
        records.push(TokenRecord { id: id(first)?, ..record(project)? });
    }
    put_all(store, &records).await?;
    for number in 0..=KeyNumber::MAX.get() {
        let key_number = Some(KeyNumber::new(number)?);
        counted(store, &CountQuery { key_number, ..CountQuery::new(project) }, &records).await?;
    }
    Ok(())
}

pub(super) async fn count_filters_by_status<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let records = every_status(project)?;
    put_all(store, &records).await?;
    for filter in status_filters() {
        counted(store, &CountQuery { status: Some(filter), ..CountQuery::new(project) }, &records).await?;
    }
    Ok(())
}
