//! The operations that list and count tokens. A script reads the rows in the order of an index, and
//! this process filters the rows.

use std::sync::Arc;

use redis::Value;

use super::failure::corrupt;
use super::handle::RedisStore;
use super::row;
use super::script::{COUNT, PAGE, ROWS};
use super::walk::{Walk, place, sortable};
use crate::rules::record::TokenRecord;
use crate::store::cursor::Cursor;
use crate::store::order::ListOrder;
use crate::store::query::{CountQuery, ListQuery, Page};
use crate::words::ids::{ProjectId, TokenId, TokenKey};
use crate::words::store_error::{StoreError, StoreErrorKind};

impl RedisStore {
    pub(super) async fn page(&self, query: &ListQuery) -> Result<Page<Arc<TokenRecord>>, StoreError> {
        let after = query.checked_after().map_err(|error| StoreError::with_source(StoreErrorKind::Other, error))?;
        let mut walk = Walk::along(query.project, query.owner.as_ref(), query.order);
        if let Some(issuer) = &query.issuer {
            walk.index = format!("issued-{}:{issuer}", query.order);
        }
        walk.descending = query.descending;
        if let (ListOrder::Expires, Some(time)) = (query.order, query.expires_before) {
            walk.to = format!("({}", sortable(time.as_unix_millis())).into_bytes();
        }
        if let Some(after) = after {
            walk.behind(&place(after));
        }
        // This is one row more than the page holds. The additional row shows whether another page
        // follows.
        let most = query.most.get() + 1;
        let mut items = self.matching(walk, most, |record| query.matches(record)).await?;
        let more = items.len() == most;
        items.truncate(query.most.get());
        let next = items.last().filter(|_| more).map(|last| Cursor::of(last, query.order));
        Ok(Page { items, next })
    }

    pub(super) async fn number_of(&self, query: &CountQuery) -> Result<u64, StoreError> {
        let mut walk = Walk::along(query.project, query.owner.as_ref(), ListOrder::Created);
        if query.status.is_none() && query.key_number.is_none() {
            return self.servers.read(&COUNT.on(&walk.project).arg(&walk.index)).await?.number();
        }
        let mut count = 0;
        loop {
            let rows = self.rows(&mut walk, ROWS).await?;
            count += rows.iter().filter(|record| query.matches(record)).count() as u64;
            if rows.len() < ROWS {
                return Ok(count);
            }
        }
    }

    /// Returns the first `most` records for which `matches` returns true, in the order of `walk` (a
    /// range of an index).
    pub(super) async fn matching(
        &self,
        mut walk: Walk,
        most: usize,
        matches: impl Fn(&TokenRecord) -> bool + Send,
    ) -> Result<Vec<Arc<TokenRecord>>, StoreError> {
        let mut found = Vec::new();
        // The first step is one page, which is enough if all rows match. Later steps are larger.
        let mut step = most.min(ROWS);
        loop {
            let rows = self.rows(&mut walk, step).await?;
            let read = rows.len();
            found.extend(rows.into_iter().filter(|record| matches(record)).take(most - found.len()).map(Arc::new));
            if read < step || found.len() == most {
                return Ok(found);
            }
            step = ROWS;
        }
    }

    /// Returns the records of up to `most` rows from the beginning of `walk` (a range of an index),
    /// and moves this beginning past these rows.
    async fn rows(&self, walk: &mut Walk, most: usize) -> Result<Vec<TokenRecord>, StoreError> {
        let act = PAGE.on(&walk.project).arg(&walk.index).arg(&walk.from).arg(&walk.to);
        let act = act.arg(if walk.descending { "1" } else { "" }).number(most);
        let answer = self.servers.read(&act).await?;
        let mut rows = Vec::with_capacity(most);
        for row in answer.values() {
            let (place, record) = placed(walk.project, row)?;
            walk.behind(&place);
            rows.push(record);
        }
        Ok(rows)
    }
}

/// Returns the position and the record of a token. `row` is a pair that a script returned: the
/// position, and the fields of the record. The position ends with the id of the token.
pub(super) fn placed(project: ProjectId, row: Value) -> Result<(Vec<u8>, TokenRecord), StoreError> {
    let parts = match row {
        Value::Array(parts) => <[Value; 2]>::try_from(parts).ok(),
        _ => None,
    };
    let Some([Value::BulkString(place), row]) = parts else {
        return Err(corrupt("a script returned a row without its position"));
    };
    let id = place.last_chunk::<{ TokenId::LEN }>().ok_or_else(|| corrupt("a position does not end with an id"))?;
    let id = TokenId::new(str::from_utf8(id).map_err(corrupt)?).map_err(corrupt)?;
    let record = row::record(&TokenKey { project, id }, row)?;
    Ok((place, record))
}
