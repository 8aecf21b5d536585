//! The test cases for the pages and cursors of `TokenStore::list`.

use super::list::{all_of, ties};
use super::sample::{at, id, ids, name, project, put, put_all, record, revocation, some};
use super::verdict::{Broken, Verdict, ensure, ensure_eq, refused};
use crate::rules::record::TokenRecord;
use crate::store::contract::TokenStore;
use crate::store::cursor::Cursor;
use crate::store::order::ListOrder;
use crate::store::query::{ListQuery, Page, PageSize, StatusFilter, StatusGroup};
use crate::words::ids::{ProjectId, TokenId};
use crate::words::store_error::StoreErrorKind::Other;

/// Lists all pages from the first to the last, and returns the ids of all records in order.
async fn walk<S: TokenStore>(store: &S, mut query: ListQuery) -> Result<Vec<TokenId>, Broken> {
    const FAR: usize = 1000;
    let mut seen = Vec::new();
    for _ in 0..FAR {
        let Page { items, next } = store.list(&query).await?;
        seen.extend(items.iter().map(|record| record.id));
        match next {
            Some(next) => query.after = Some(next),
            None => return Ok(seen),
        }
    }
    Err(Broken::new(format!("list: no end after {FAR} pages")))
}

/// Returns records for tests of an order. Under every order, some records have equal sort values
/// and some do not.
fn mixed(project: ProjectId) -> Result<Vec<TokenRecord>, Broken> {
    let mut records = ties(project)?;
    for (number, text) in ["alpha", "beta", "zeta"].into_iter().enumerate() {
        let millis = number as i64 * 10;
        records.push(TokenRecord {
            name: name(text)?,
            created_at: at(millis - 1005),
            expires_at: Some(at(millis)),
            ..record(project)?
        });
    }
    let twin = TokenRecord { id: id('1')?, ..records[records.len() - 1].clone() };
    records.push(twin);
    Ok(records)
}

pub(super) async fn pages_hold_each_row_once<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let records = mixed(project)?;
    put_all(store, &records).await?;
    for order in ListOrder::ALL.iter().copied() {
        for descending in [false, true] {
            for rows in 1..=3 {
                let query = ListQuery { order, descending, most: PageSize::clamped(rows), ..all_of(project) };
                let mut seen = walk(store, query).await?;
                seen.sort();
                ensure_eq!(seen, ids(&records), "pages of {rows} by {order}, descending {descending}, put together");
            }
        }
    }
    Ok(())
}

pub(super) async fn pages_stay_stable_while_rows_come_and_go<S: TokenStore>(store: &S) -> Verdict {
    for order in ListOrder::ALL.iter().copied() {
        let project = project()?;
        let row = |number: i64| {
            Ok::<_, Broken>(TokenRecord {
                name: name(&format!("row {}", (b'a' + number as u8) as char))?,
                created_at: at(number * 10 - 1000),
                expires_at: Some(at(number * 10 + 1000)),
                ..record(project)?
            })
        };
        let mut staying = Vec::new();
        for number in [1, 3, 5, 7, 9, 11] {
            staying.push(row(number)?);
        }
        put_all(store, &staying).await?;
        let live = StatusFilter { group: StatusGroup::Live, at: at(0) };
        let first = ListQuery { order, status: Some(live), most: PageSize::clamped(2), ..all_of(project) };
        let page = store.list(&first).await?;
        let mut seen: Vec<TokenId> = page.items.iter().map(|record| record.id).collect();
        let after = some(page.next, "the cursor after the first of several pages")?;

        // On each side of the cursor, one record disappears and one appears. The record from which
        // the cursor was created disappears too.
        let last = staying.iter().find(|row| row.id == after.id).cloned();
        let last = some(last, "the record of the cursor")?;
        let ahead = some(staying.last().cloned(), "the last record")?;
        for gone in [&last, &ahead] {
            some(store.revoke(&gone.key(), &revocation("ada", -1)?).await?, "revoke")?;
        }
        let (before, behind) = (row(0)?, row(8)?);
        put_all(store, &[before.clone(), behind.clone()]).await?;

        seen.extend(walk(store, ListQuery { after: Some(after), ..first }).await?);
        for row in staying.iter().chain([&behind]).filter(|row| row.id != ahead.id) {
            let times = seen.iter().filter(|seen| **seen == row.id).count();
            ensure_eq!(times, 1, "by {order}, how often a record that stayed is on the pages");
        }
        ensure!(!seen.contains(&before.id), "by {order}, a record inserted before the cursor is on a page after it");
    }
    Ok(())
}

pub(super) async fn a_cursor_is_a_place_without_its_row<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let records = mixed(project)?;
    put_all(store, &records).await?;
    for order in ListOrder::ALL.iter().copied() {
        for descending in [false, true] {
            let never = TokenRecord { id: TokenId::new("1000000000000000")?, ..records[0].clone() };
            let place = Cursor::of(&never, order);
            let behind = |record: &&TokenRecord| {
                let ascending = Cursor::of(record, order).compare(&place);
                if descending { ascending.is_lt() } else { ascending.is_gt() }
            };
            let query = ListQuery { order, descending, after: Some(place.clone()), ..all_of(project) };
            let listed = ids(store.list(&query).await?.items);
            let expected = ids(records.iter().filter(behind));
            ensure_eq!(listed, expected, "list by {order}, descending {descending}, after a position without a record");
        }
    }
    Ok(())
}

pub(super) async fn next_is_there_just_where_more_follow<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    for count in 0..5 {
        for most in 1..=5 {
            let query = ListQuery { most: PageSize::clamped(most), ..all_of(project) };
            let next = store.list(&query).await?.next;
            ensure_eq!(next.is_some(), count > most, "a cursor after the first {most} of {count} records");
        }
        put(store, &record(project)?).await?;
    }
    Ok(())
}

pub(super) async fn a_page_holds_no_more_than_asked<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    put_all(store, &mixed(project)?).await?;
    for most in 1..=4 {
        let query = ListQuery { most: PageSize::clamped(most), ..all_of(project) };
        let rows = store.list(&query).await?.items.len();
        ensure_eq!(rows, most, "records on a page");
    }
    Ok(())
}

pub(super) async fn a_cursor_of_another_order_is_refused<S: TokenStore>(store: &S) -> Verdict {
    let sample = record(project()?)?;
    put(store, &sample).await?;
    for order in ListOrder::ALL.iter().copied() {
        for other in ListOrder::ALL.iter().copied().filter(|other| *other != order) {
            let query = ListQuery { order, after: Some(Cursor::of(&sample, other)), ..all_of(sample.project) };
            refused(store.list(&query).await, Other, &format!("list by {order} after a cursor by {other}"))?;
        }
    }
    Ok(())
}
