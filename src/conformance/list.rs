//! The test cases for the filters and orders of `TokenStore::list`.

use super::sample::{
    at, every_status, folded, full, id, ids, name, owner, project, put, put_all, record, revocation, sibling,
    status_filters, stored,
};
use super::verdict::{Broken, Verdict, ensure_eq, same};
use crate::rules::change::Change;
use crate::rules::record::TokenRecord;
use crate::store::contract::TokenStore;
use crate::store::cursor::Cursor;
use crate::store::order::ListOrder;
use crate::store::query::{ListQuery, PageSize, StatusFilter, StatusGroup};
use crate::words::ids::{ProjectId, TokenId};
use crate::words::timestamp::Timestamp;

/// Returns a query for up to 1,000 tokens of a project on one page, oldest first.
pub(super) fn all_of(project: ProjectId) -> ListQuery {
    ListQuery { most: PageSize::MAX, descending: false, ..ListQuery::new(project) }
}

/// Checks that the list contains exactly the given records that match the query, in any order.
async fn filtered<S: TokenStore>(store: &S, query: &ListQuery, records: &[TokenRecord], what: &str) -> Verdict {
    let listed = ids(store.list(query).await?.items);
    let expected = ids(records.iter().filter(|record| query.matches(record)));
    ensure_eq!(listed, expected, "list {what}");
    Ok(())
}

/// Checks that the list contains all records in the right order, ascending and descending.
async fn ordered<S: TokenStore>(store: &S, records: &[TokenRecord], order: ListOrder) -> Verdict {
    let Some(first) = records.first() else { return Err(Broken::new("no records to sort")) };
    for descending in [false, true] {
        let mut places: Vec<Cursor> = records.iter().map(|record| Cursor::of(record, order)).collect();
        places.sort_by(Cursor::compare);
        if descending {
            places.reverse();
        }
        let query = ListQuery { order, descending, ..all_of(first.project) };
        let page = store.list(&query).await?;
        let listed: Vec<Cursor> = page.items.iter().map(|record| Cursor::of(record, order)).collect();
        ensure_eq!(listed, places, "list by {order}, {}", if descending { "descending" } else { "ascending" });
    }
    Ok(())
}

pub(super) async fn list_stays_in_its_project<S: TokenStore>(store: &S) -> Verdict {
    let mine = record(project()?)?;
    let elsewhere = TokenRecord { owner: mine.owner.clone(), ..record(sibling(mine.project, '6')?)? };
    let records = [mine.clone(), elsewhere];
    put_all(store, &records).await?;
    filtered(store, &all_of(mine.project), &records, "of one project").await?;
    let query = ListQuery { owner: Some(mine.owner), ..all_of(mine.project) };
    filtered(store, &query, &records, "of one owner in one project").await
}

pub(super) async fn list_answers_whole_records<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let filled = full(project)?;
    put(store, &filled).await?;
    let found = stored(store, &filled.key()).await?;
    let page = store.list(&all_of(project)).await?;
    let [listed] = &page.items[..] else {
        return Err(Broken::new(format!("list of one record: {} records", page.items.len())));
    };
    same(listed, &found, "the listed record, compared with the found one")
}

pub(super) async fn list_filters_by_owner<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    // Some collations of databases treat these owners as equal. For keyfob, all of them differ.
    let names = ["ada", "Ada", "ada2", "àda", "a\u{300}da", "a_a"];
    let mut records = Vec::new();
    for name in names {
        records.push(TokenRecord { owner: owner(project, name)?, ..record(project)? });
    }
    put_all(store, &records).await?;
    for name in names.into_iter().chain(["nobody"]) {
        let query = ListQuery { owner: Some(owner(project, name)?), ..all_of(project) };
        filtered(store, &query, &records, &format!("of owner {name:?}")).await?;
    }
    Ok(())
}

pub(super) async fn list_filters_by_status<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let records = every_status(project)?;
    put_all(store, &records).await?;
    for filter in status_filters() {
        let query = ListQuery { status: Some(filter), ..all_of(project) };
        filtered(store, &query, &records, &format!("with {filter:?}, all times in the records being {}", at(0)))
            .await?;
    }
    Ok(())
}

/// Inserts records with these names. Checks for each search that the list contains exactly the
/// records whose names contain the searched text.
async fn searched<S: TokenStore>(store: &S, names: &[&str], searches: &[&str]) -> Verdict {
    let project = project()?;
    let mut records = Vec::new();
    for text in names {
        records.push(TokenRecord { name: name(text)?, ..record(project)? });
    }
    put_all(store, &records).await?;
    for search in searches {
        let name_contains = if search.is_empty() { None } else { Some(folded(search)?) };
        let query = ListQuery { name_contains, ..all_of(project) };
        filtered(store, &query, &records, &format!("with {search:?} in the name, of {names:?}")).await?;
    }
    Ok(())
}

pub(super) async fn list_filters_by_name<S: TokenStore>(store: &S) -> Verdict {
    let names =
        ["VS Code", "code", "decode", "cod", "ÄNDERUNG", "änderung", "anderung", "ЖУК", "ΟΔΥΣΣΕΥΣ", "straße", "İx"];
    let searches = [
        "code", "CODE", "vs c", "änd", "ÄND", "and", "жук", "Жу", "σευς", "ΟΔΥΣ", "STRASSE", "SSE", "İX", "i", "",
        "zzz",
    ];
    searched(store, &names, &searches).await
}

pub(super) async fn list_finds_a_renamed_token<S: TokenStore>(store: &S) -> Verdict {
    let old = TokenRecord { name: name("Old one")?, ..record(project()?)? };
    put(store, &old).await?;
    store.update(&old.key(), old.version, Change::Rename(name("New one")?)).await?;
    for (part, expected) in [("new", vec![old.id]), ("old", vec![])] {
        let query = ListQuery { name_contains: Some(folded(part)?), ..all_of(old.project) };
        let found = ids(store.list(&query).await?.items);
        ensure_eq!(found, expected, "the tokens with {part:?} in their names, after \"Old one\" became \"New one\"");
    }
    Ok(())
}

pub(super) async fn list_takes_wildcards_as_they_are<S: TokenStore>(store: &S) -> Verdict {
    let names = ["100%", "100x", "a_b", "axb", "back\\slash", "[ab]", "a", "it's", "st*r", "star", "wh?t", "what"];
    let searches = ["%", "0%", "_", "a_b", "\\", "\\s", "\\%", "[ab]", "*", "st*", "?", "wh?", "'", "''", "^", ".*"];
    searched(store, &names, &searches).await
}

pub(super) async fn list_filters_by_expiry<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let mut records = vec![record(project)?];
    for expires_at in [at(-1), at(0), at(1), Timestamp::MIN, Timestamp::MAX] {
        records.push(TokenRecord { expires_at: Some(expires_at), ..record(project)? });
    }
    put_all(store, &records).await?;
    for time in [at(0), Timestamp::MIN, Timestamp::MAX] {
        let query = ListQuery { expires_before: Some(time), ..all_of(project) };
        filtered(store, &query, &records, &format!("of tokens that expire before {time}")).await?;
    }
    Ok(())
}

pub(super) async fn list_filters_by_last_use<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let mut records = Vec::new();
    for created in [-1, 0, 1] {
        let created = TokenRecord { created_at: at(created), ..record(project)? };
        for used in [-1, 0, 1] {
            records.push(TokenRecord { last_used_at: Some(at(used)), id: id('1')?, ..created.clone() });
        }
        records.push(created);
    }
    put_all(store, &records).await?;
    let query = ListQuery { last_used_before: Some(at(0)), ..all_of(project) };
    filtered(store, &query, &records, &format!("of tokens last used, or created if unused, before {}", at(0))).await
}

pub(super) async fn list_wants_all_its_filters<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let ended = revocation("ada", 0)?;
    let mut records = Vec::new();
    // For every combination of the five filters, there is a record that fails exactly these
    // filters.
    for bits in 0..32u8 {
        let fails = |bit: u8| bits & bit != 0;
        records.push(TokenRecord {
            owner: owner(project, if fails(1) { "bob" } else { "ada" })?,
            name: name(if fails(2) { "other" } else { "wanted" })?,
            revoked: fails(4).then(|| ended.clone()),
            expires_at: Some(at(if fails(8) { 20 } else { 5 })),
            last_used_at: Some(at(if fails(16) { 3 } else { -3 })),
            ..record(project)?
        });
    }
    put_all(store, &records).await?;
    let live = StatusFilter { group: StatusGroup::Live, at: at(0) };
    for bits in 0..32u8 {
        let on = |bit: u8| bits & bit != 0;
        let query = ListQuery {
            owner: if on(1) { Some(owner(project, "ada")?) } else { None },
            name_contains: if on(2) { Some(folded("want")?) } else { None },
            status: on(4).then_some(live),
            expires_before: on(8).then(|| at(10)),
            last_used_before: on(16).then(|| at(0)),
            ..all_of(project)
        };
        filtered(store, &query, &records, &format!("with several filters, {query:?}")).await?;
    }
    Ok(())
}

pub(super) async fn list_orders_by_creation<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let mut records = Vec::new();
    for created_at in [at(0), Timestamp::MAX, at(-1), at(1), Timestamp::UNIX_EPOCH, Timestamp::MIN] {
        records.push(TokenRecord { created_at, ..record(project)? });
    }
    put_all(store, &records).await?;
    ordered(store, &records, ListOrder::Created).await
}

pub(super) async fn list_orders_by_name<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let mut records = Vec::new();
    // By UTF-16 code unit, the last two names would be in the opposite order. In some alphabets,
    // the names with accents would be at other positions.
    for text in ["b", "A", "C", "a b", "a-b", "ab", "_", "10", "9", "zebra", "äpfel", "Éclair", "éa", "ａ", "\u{1d538}"]
    {
        records.push(TokenRecord { name: name(text)?, ..record(project)? });
    }
    put_all(store, &records).await?;
    ordered(store, &records, ListOrder::Name).await
}

pub(super) async fn list_orders_by_expiry<S: TokenStore>(store: &S) -> Verdict {
    let project = project()?;
    let mut records = vec![record(project)?];
    for expires_at in [at(0), Timestamp::MAX, at(-1), at(1), Timestamp::MIN] {
        records.push(TokenRecord { expires_at: Some(expires_at), ..record(project)? });
    }
    put_all(store, &records).await?;
    ordered(store, &records, ListOrder::Expires).await
}

/// Returns records that have equal sort values under every order, but different ids. A store that
/// ignores case would sort these ids in the wrong order.
pub(super) fn ties(project: ProjectId) -> Result<Vec<TokenRecord>, Broken> {
    let mut records = Vec::new();
    for first in ['b', 'A', '1', 'Z', 'a', 'B'] {
        let random = id(first)?;
        let id = TokenId::new(&format!("1{}", &random.as_str()[..TokenId::LEN - 1]))?;
        records.push(TokenRecord { id, ..record(project)? });
    }
    Ok(records)
}

pub(super) async fn list_breaks_ties_by_id<S: TokenStore>(store: &S) -> Verdict {
    let records = ties(project()?)?;
    put_all(store, &records).await?;
    for order in ListOrder::ALL {
        ordered(store, &records, *order).await?;
    }
    Ok(())
}
