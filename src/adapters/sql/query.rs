//! The SQL queries and conditions for lists, counts and groups of tokens. They select the same rows
//! as [`ListQuery::matches`], [`CountQuery::matches`] and [`RevokeGroup::contains`]. Lists have the
//! order of [`Cursor::compare`](crate::store::Cursor::compare).

use core::time::Duration;

use super::Dialect;
use super::row::columns;
use super::statement::{Statement, Value};
use crate::rules::notice_lead::NoticeLead;
use crate::rules::record::TokenRecord;
use crate::rules::status::Status;
use crate::store::cursor::{Cursor, Expiry, SortKey};
use crate::store::group::RevokeGroup;
use crate::store::order::ListOrder;
use crate::store::query::{CountQuery, ListQuery, PageSize, StatusFilter};
use crate::words::ids::{KeyNumber, ProjectId, TokenId};
use crate::words::text::OwnerId;
use crate::words::timestamp::Timestamp;

/// The value of `expires_order` for a token that never expires, in milliseconds since 1970: one
/// millisecond after the latest possible time.
pub(in crate::adapters) const NEVER: i64 = Timestamp::MAX.as_unix_millis() + 1;

/// Returns the query for one page of a list. If there is a cursor `after`, the page begins after
/// its position. The query fetches one row more than the page holds. The additional row shows
/// whether another page follows.
pub(in crate::adapters) fn list(dialect: &Dialect, query: &ListQuery, after: Option<&Cursor>) -> Statement {
    let mut sql = Statement::new(concat!("SELECT ", columns!(), " FROM keyfob_tokens"));
    if dialect.forces_lists && query.issuer.is_none() {
        sql.push(" FORCE INDEX (keyfob_tokens_").push(if query.owner.is_some() { "owner_" } else { "" });
        sql.push(query.order.as_str()).push(")");
    }
    sql.push(" WHERE ");
    and_project(&mut sql, &query.project);
    and_owner(&mut sql, query.owner.as_ref());
    if let Some(issuer) = &query.issuer {
        sql.push(" AND issuer = ").bind(issuer.as_str());
    }
    and_status(&mut sql, query.status);
    if let Some(part) = &query.name_contains {
        sql.push(" AND ").push(dialect.place_of).push("(name_folded, ").bind(part.as_str()).push(") > 0");
    }
    if let Some(time) = query.expires_before {
        sql.push(" AND ").push(dialect.expires_order).push(" < ").bind(time.as_unix_millis());
    }
    if let Some(time) = query.last_used_before {
        sql.push(" AND coalesce(last_used_at, created_at) < ").bind(time.as_unix_millis());
    }
    let (column, direction) = (sort_column(dialect, query.order), if query.descending { " DESC" } else { "" });
    if let Some(cursor) = after {
        let value: Value = match &cursor.key {
            SortKey::Created(time) | SortKey::Expires(Expiry::At(time)) => time.as_unix_millis().into(),
            SortKey::Expires(Expiry::Never) => NEVER.into(),
            SortKey::Name(name) => name.as_str().into(),
        };
        let beyond = if query.descending { " < " } else { " > " };
        sql.push(" AND (").push(column);
        if dialect.seeks_pairs {
            sql.push(", id)").push(beyond).push("(").bind(value).push(", ").bind(cursor.id.as_str()).push(")");
        } else {
            sql.push(beyond).bind(value.clone()).push(" OR ").push(column).push(" = ").bind(value);
            sql.push(" AND id").push(beyond).bind(cursor.id.as_str()).push(")");
        }
    }
    sql.push(" ORDER BY ").push(column).push(direction).push(", id").push(direction);
    sql.push(" LIMIT ").bind(query.most.get() as i64 + 1);
    sql
}

fn sort_column(dialect: &Dialect, order: ListOrder) -> &'static str {
    match order {
        ListOrder::Created => "created_at",
        ListOrder::Name => "name_folded",
        ListOrder::Expires => dialect.expires_order,
    }
}

pub(in crate::adapters) fn count(query: &CountQuery) -> Statement {
    let mut sql = Statement::new("SELECT count(*) FROM keyfob_tokens WHERE ");
    and_project(&mut sql, &query.project);
    and_owner(&mut sql, query.owner.as_ref());
    if let Some(number) = query.key_number {
        and_key_number(&mut sql, number);
    }
    and_status(&mut sql, query.status);
    sql
}

/// Appends the condition on the project, which is always the first condition.
pub(in crate::adapters) fn and_project(sql: &mut Statement, project: &ProjectId) {
    sql.push("project = ").bind(project.as_str());
}

pub(in crate::adapters) fn and_group(sql: &mut Statement, group: &RevokeGroup) {
    match group {
        RevokeGroup::Owner(owner) => and_owner(sql, Some(owner)),
        RevokeGroup::Family(family) => {
            sql.push(" AND family = ").bind(family.as_str());
        }
        RevokeGroup::CreatedBefore(time) => {
            sql.push(" AND created_at < ").bind(time.as_unix_millis());
        }
        RevokeGroup::KeyNumber(number) => and_key_number(sql, *number),
    }
}

/// Appends the condition that a row is bound to this issuer.
pub(in crate::adapters) fn and_bound_to(sql: &mut Statement, issuer: &TokenId) {
    sql.push(" AND bound = 1 AND issuer = ").bind(issuer.as_str());
}

/// Returns the query for the ids of issuers that have ended but still have bound tokens to revoke,
/// as [`StoreMaintenance::ended_issuers`] defines them.
///
/// [`StoreMaintenance::ended_issuers`]: crate::store::StoreMaintenance::ended_issuers
pub(in crate::adapters) fn ended_issuers(
    dialect: &Dialect,
    project: &ProjectId,
    now: Timestamp,
    most: PageSize,
) -> Statement {
    let mut sql = Statement::new("SELECT issuer FROM (SELECT DISTINCT issuer FROM keyfob_tokens WHERE ");
    and_project(&mut sql, project);
    sql.push(" AND bound = 1");
    and_ends_after(dialect, &mut sql, cut(now));
    // Each issuer is looked up once in the primary key. The inner ORDER BY and LIMIT enforce this
    // in PostgreSQL. Without them, PostgreSQL might join all rows of a project with each other if
    // it has no statistics on the project.
    sql.push(") AS bound_to WHERE NOT EXISTS (SELECT 1 FROM ");
    if dialect.is_lateral {
        sql.push("(SELECT * FROM keyfob_tokens WHERE id BETWEEN bound_to.issuer AND bound_to.issuer AND ");
        and_project(&mut sql, project);
        sql.push(" ORDER BY id LIMIT 1) AS above WHERE id = bound_to.issuer");
    } else {
        sql.push("keyfob_tokens AS above WHERE ");
        and_project(&mut sql, project);
        sql.push(" AND id = bound_to.issuer");
    }
    and_ends_after(dialect, &mut sql, now);
    sql.push(") ORDER BY issuer LIMIT ").bind(most.get() as i64);
    sql
}

/// Returns the time that [`and_ends_after`] needs to select the rows that [can still
/// work](TokenRecord::can_still_work) at `now`. A row can still work if it ended at most
/// [`REVOCATION_MARGIN`](TokenRecord::REVOCATION_MARGIN) before `now`. `and_ends_after` excludes
/// rows that end exactly at its time, so the returned time is one millisecond earlier.
pub(in crate::adapters) fn cut(now: Timestamp) -> Timestamp {
    now.saturating_sub(TokenRecord::REVOCATION_MARGIN).saturating_sub(Duration::from_millis(1))
}

/// Appends the condition that a row is not revoked and ends after `time`. The end of a row is the
/// time at which its token ends if nothing changes the row. With the current time, the condition
/// selects exactly the live rows ([`Status::is_live`]). An index on the ends of rows serves this
/// condition, so the cost does not depend on how many rows have ended.
pub(in crate::adapters) fn and_ends_after(dialect: &Dialect, sql: &mut Statement, time: Timestamp) {
    sql.push(dialect.and_not_revoked).push(" AND ").push(dialect.ends).push(" > ").bind(time.as_unix_millis());
}

pub(in crate::adapters) fn and_owner(sql: &mut Statement, owner: Option<&OwnerId>) {
    if let Some(owner) = owner {
        sql.push(" AND owner = ").bind(owner.as_str());
    }
}

/// Appends the condition on the key number. The key number is the first character of the id, so the
/// condition is a range of ids, from this character up to the next one. The database can use the
/// primary key for such a range.
pub(super) fn and_key_number(sql: &mut Statement, number: KeyNumber) {
    let first = number.as_char();
    let behind = number.char_behind();
    sql.push(" AND id >= ").bind(first.to_string()).push(" AND id < ").bind(behind.to_string());
}

pub(in crate::adapters) fn and_status(sql: &mut Statement, filter: Option<StatusFilter>) {
    if let Some(StatusFilter { group: life, at }) = filter {
        and_status_in(sql, at, |status| life.contains(status));
    }
}

/// Appends the condition that `wanted` returns true for the status of a row at the time `at`. The
/// branches of the `CASE` have the order of [`TokenRecord::status`](crate::TokenRecord::status).
fn and_status_in(sql: &mut Statement, at: Timestamp, wanted: impl Fn(Status) -> bool) {
    // If possible, "not revoked" is a separate condition, because an index can decide it, whereas
    // the CASE needs the row.
    if !wanted(Status::Revoked) {
        sql.push(" AND revoked_at IS NULL");
        if Status::ALL.iter().all(|status| *status == Status::Revoked || wanted(*status)) {
            return;
        }
    }
    let at = at.as_unix_millis();
    sql.push(" AND CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN grace_until <= ").bind(at);
    sql.push(" THEN 'rotated' WHEN confirm_by <= ").bind(at);
    sql.push(" THEN 'lapsed' WHEN expires_at <= ").bind(at);
    sql.push(" THEN 'expired' WHEN disabled_at IS NOT NULL THEN 'disabled' WHEN confirm_by IS NOT NULL THEN 'pending'");
    sql.push(" WHEN not_before > ").bind(at).push(" THEN 'not_yet_valid' ELSE 'active' END IN (");
    let words = Status::ALL.iter().filter(|status| wanted(**status)).map(|status| status.as_str());
    sql.bind_all(words).push(")");
}

/// Appends two conditions. First, a notice with one of these leads is due
/// ([`TokenRecord::due_notice`](crate::TokenRecord::due_notice)). The lead of a notice is the time
/// from the notice to the expiry of the token. A notice is due after its lead has begun, unless a
/// notice with the same or a shorter lead was sent. Second, no sender has a lease on a notice of
/// the token.
pub(in crate::adapters) fn and_due(dialect: &Dialect, sql: &mut Statement, leads: &[NoticeLead], now: Timestamp) {
    and_status_in(sql, now, Status::is_live);
    sql.push(" AND confirm_by IS NULL AND rotated_to IS NULL AND expires_at IS NOT NULL AND (1 = 0");
    for lead in leads {
        let horizon = lead.horizon(now).as_unix_millis();
        sql.push(" OR ").push(dialect.expires_order).push(" <= ").bind(horizon);
        sql.push(" AND (notice_lead IS NULL OR notice_lead > ").bind(millis(*lead)).push(")");
    }
    sql.push(") AND (notice_lease_until IS NULL OR notice_lease_until <= ").bind(now.as_unix_millis());
    // This repeats the condition on the expiry as one range, from now to the furthest horizon, so
    // that the database can use the index.
    let furthest = leads.iter().map(|lead| lead.horizon(now)).max().unwrap_or(now);
    sql.push(") AND ").push(dialect.expires_order).push(" > ").bind(now.as_unix_millis());
    sql.push(" AND ").push(dialect.expires_order).push(" <= ").bind(furthest.as_unix_millis());
}

/// Returns the lead of a notice in milliseconds, as the column `notice_lead` stores it.
pub(in crate::adapters) fn millis(lead: NoticeLead) -> i64 {
    i64::try_from(lead.as_millis()).expect("a lead is at most 366 days")
}
